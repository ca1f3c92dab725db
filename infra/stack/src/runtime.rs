//! Lambda's runtime API for one function process, which polls for events and gets one at a time.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

use crate::server;

/// Outcome of an event: the function's response or the runtime's error, both as JSON.
pub type Outcome = Result<Bytes, Bytes>;

struct Invocation {
    event: Bytes,
    deadline: SystemTime,
    done: oneshot::Sender<Outcome>,
}

#[derive(Default)]
struct State {
    /// Events waiting for the function.
    waiting: VecDeque<Invocation>,
    /// Id of the running event, and where to send its outcome.
    running: Option<(String, oneshot::Sender<Outcome>)>,
    given: u64,
    /// Whether the function is polling for an event.
    asking: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Notify,
    asked: Notify,
}

/// A running runtime API.
pub struct Lambda {
    shared: Arc<Shared>,
    /// Its address as `HOST:PORT`, for `AWS_LAMBDA_RUNTIME_API`.
    pub address: String,
}

impl Lambda {
    /// Starts the API on a free port.
    ///
    /// # Errors
    /// If there is no free port.
    pub async fn start() -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let api = Arc::clone(&shared);
        let answer = service_fn(move |request| {
            let api = Arc::clone(&api);
            async move { Ok::<_, Infallible>(api.answer(request).await) }
        });
        let address = server::serve(server::bind(0).await?, answer)?.replace("http://", "");
        Ok(Self { shared, address })
    }

    /// Resolves when the function polls for an event: it has initialised, and is done with its last event.
    pub async fn asked(&self) {
        loop {
            let asked = self.shared.asked.notified();
            if self.shared.state().asking {
                return;
            }
            asked.await;
        }
    }

    /// Sends the function an event with this timeout, and waits for the outcome.
    ///
    /// # Errors
    /// If there is no outcome ten seconds after the timeout.
    pub async fn invoke(&self, event: Bytes, time: Duration) -> Result<Outcome> {
        let (done, outcome) = oneshot::channel();
        let deadline = SystemTime::now() + time;
        self.shared.state().waiting.push_back(Invocation { event, deadline, done });
        self.shared.more.notify_one();
        let outcome = timeout(time + Duration::from_secs(10), outcome).await;
        outcome.context("the function did not answer in time")?.context("the event was dropped")
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let answered = match (request.method(), request.uri().path()) {
            (&Method::GET, "/2018-06-01/runtime/invocation/next") => self.next().await,
            (&Method::POST, path) => {
                let parts: Vec<String> = path.split('/').map(str::to_owned).collect();
                let body = request.into_body().collect().await.map(Collected::to_bytes);
                match (&parts[..], body) {
                    ([.., id, end], Ok(body)) => self.end(id, end, body),
                    _ => bad("the outcome cannot be read"),
                }
            }
            _ => bad("there is no such call"),
        };
        answered.unwrap_or_else(|error| {
            let body = Full::from(error.to_string());
            let mut response = Response::new(body);
            *response.status_mut() = StatusCode::BAD_REQUEST;
            response
        })
    }

    async fn next(&self) -> Result<Response<Full<Bytes>>> {
        self.state().asking = true;
        self.asked.notify_waiters();
        let invocation = loop {
            let more = self.more.notified();
            if let Some(invocation) = self.state().waiting.pop_front() {
                break invocation;
            }
            more.await;
        };
        let mut state = self.state();
        state.given += 1;
        state.asking = false;
        let id = format!("00000000-0000-4000-8000-{:012}", state.given);
        state.running = Some((id.clone(), invocation.done));
        let deadline = invocation.deadline.duration_since(UNIX_EPOCH)?.as_millis();
        let response = Response::builder()
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:1:function:local",
            )
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700");
        Ok(response.body(Full::new(invocation.event))?)
    }

    fn end(&self, id: &str, end: &str, body: Bytes) -> Result<Response<Full<Bytes>>> {
        let outcome = match end {
            "response" => Ok(body),
            "error" => Err(body),
            _ => return bad("there is no such call"),
        };
        let Some((_, done)) = self.state().running.take_if(|(running, _)| running == id) else {
            return bad("no event of that id runs");
        };
        // The caller may have stopped waiting.
        let _ = done.send(outcome);
        Ok(Response::builder().status(StatusCode::ACCEPTED).body(Full::default())?)
    }
}

fn bad(why: &str) -> Result<Response<Full<Bytes>>> {
    bail!("{why}")
}
