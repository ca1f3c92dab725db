//! The function's own binary, and what Lambda is to it: a runtime API that hands out one event after the other.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fogline::refusal::Refusal;
use fogline_cloud::store::Settings;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

/// An event that waits for the function, and where its answer goes.
struct Invocation {
    event: Value,
    deadline: SystemTime,
    answer: oneshot::Sender<Result<Value, Value>>,
}

/// The runtime API.
#[derive(Default)]
struct Lambda {
    waiting: Mutex<VecDeque<Invocation>>,
    more: Notify,
    running: Mutex<Vec<(String, oneshot::Sender<Result<Value, Value>>)>>,
}

impl Lambda {
    async fn answer(self: Arc<Self>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let path: Vec<String> = request.uri().path().split('/').map(str::to_owned).collect();
        let method = request.method().clone();
        let body = request.into_body().collect().await.unwrap().to_bytes();
        let answered = || Response::builder().status(202).body(Full::default()).unwrap();
        match (method, path.last().unwrap().as_str()) {
            (Method::GET, "next") => self.next().await,
            (Method::POST, end @ ("response" | "error")) => {
                let id = &path[path.len() - 2];
                let value = serde_json::from_slice(&body).unwrap_or(Value::Null);
                let mut running = self.running.lock().unwrap();
                let at = running.iter().position(|(running, _)| running == id).unwrap();
                let answer = if end == "error" { Err(value) } else { Ok(value) };
                let _ = running.swap_remove(at).1.send(answer);
                answered()
            }
            (method, path) => panic!("the runtime API has no {method} {path}"),
        }
    }

    async fn next(&self) -> Response<Full<Bytes>> {
        let invocation = loop {
            let more = self.more.notified();
            if let Some(invocation) = self.waiting.lock().unwrap().pop_front() {
                break invocation;
            }
            more.await;
        };
        let Invocation { event, deadline, answer } = invocation;
        let mut running = self.running.lock().unwrap();
        let id = format!("{:08}-0000-4000-8000-000000000000", running.len());
        let deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis();
        running.push((id.clone(), answer));
        Response::builder()
            .header("lambda-runtime-aws-request-id", id)
            .header("lambda-runtime-deadline-ms", deadline.to_string())
            .header(
                "lambda-runtime-invoked-function-arn",
                "arn:aws:lambda:eu-central-1:1:function:test",
            )
            .header("lambda-runtime-trace-id", "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700")
            .body(Full::from(event.to_string()))
            .unwrap()
    }
}

/// A running function.
pub struct Function {
    lambda: Arc<Lambda>,
    pub process: Child,
}

impl Function {
    /// Starts the function on a store, with a cache on disk if there is a folder for it.
    pub async fn start(store: &Settings, cache: Option<&Path>) -> Self {
        let lambda = Arc::new(Lambda::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address: SocketAddr = listener.local_addr().unwrap();
        let api = Arc::clone(&lambda);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let api = Arc::clone(&api);
                let answer = service_fn(move |request| {
                    let api = Arc::clone(&api);
                    async move { Ok::<_, std::convert::Infallible>(api.answer(request).await) }
                });
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), answer).await;
                });
            }
        });
        let mut command = Command::new(env!("CARGO_BIN_EXE_fogline-cloud"));
        command
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "test")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1024")
            .env("AWS_ENDPOINT_URL_S3", store.endpoint.as_deref().unwrap())
            .env("AWS_REGION", &store.region)
            .env("AWS_ACCESS_KEY_ID", &store.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &store.secret_key)
            .env("FOGLINE_BUCKET", &store.bucket)
            .env("FOGLINE_PRELOAD", "none/0.0.0");
        if let Some(folder) = cache {
            command.env("FOGLINE_CACHE", folder);
        }
        let process = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        Self { lambda, process }
    }

    /// What the function says to an event: the response of a function URL, or the runtime's error.
    pub async fn invoke(&self, event: Value, time: Duration) -> Result<Value, Value> {
        let (answer, answered) = oneshot::channel();
        let deadline = SystemTime::now() + time;
        self.lambda.waiting.lock().unwrap().push_back(Invocation { event, deadline, answer });
        self.lambda.more.notify_one();
        timeout(time + Duration::from_secs(10), answered)
            .await
            .expect("it hangs")
            .expect("it ended")
    }

    /// The status of its answer to an event, and the word, where it is a refusal.
    pub async fn outcome(&self, event: Value) -> (u64, String) {
        self.outcome_within(event, Duration::from_secs(30)).await
    }

    pub async fn outcome_within(&self, event: Value, time: Duration) -> (u64, String) {
        let answer = self.invoke(event, time).await.unwrap();
        let status = answer["statusCode"].as_u64().unwrap();
        let refusal = serde_json::from_slice::<Refusal>(&body(&answer));
        (status, refusal.map(|refusal| refusal.error).unwrap_or_default())
    }

    /// Ends it and gives what it wrote to standard output.
    pub async fn end(mut self) -> String {
        self.process.start_kill().unwrap();
        let mut text = String::new();
        self.process.stdout.take().unwrap().read_to_string(&mut text).await.unwrap();
        text
    }
}

/// The bytes of an answer's body.
pub fn body(answer: &Value) -> Vec<u8> {
    let text = answer["body"].as_str().unwrap_or_default();
    if answer["isBase64Encoded"] == json!(true) {
        BASE64.decode(text).unwrap()
    } else {
        text.into()
    }
}

/// The golden event of a request for inference, with this body.
pub fn infer(frame: &[u8]) -> Value {
    let mut event: Value = serde_json::from_str(include_str!("events/infer.json")).unwrap();
    event["body"] = json!(BASE64.encode(frame));
    event["headers"]["content-length"] = json!(frame.len().to_string());
    event
}

/// The golden frame.
pub fn golden() -> Vec<u8> {
    let event: Value = serde_json::from_str(include_str!("events/infer.json")).unwrap();
    BASE64.decode(event["body"].as_str().unwrap()).unwrap()
}
