//! The client of one function.

use core::num::NonZeroU32;
use core::time::Duration;

use fogline::coding::Coder;
use fogline::frame::{Request, Response};
use fogline::refusal::Refusal;
use serde::Deserialize;

use super::circuit::Circuit;
use super::pace::Pace;
use super::{Asked, CloudError, DEADLINE, MAX_REPLY, Reply, Transport, TransportError, fraction};

/// Tries per request, the first one included.
const TRIES: u32 = 3;
/// The upper bound of the first pause; each one after it is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// Asks one function, within a deadline and behind a circuit breaker.
pub struct Client<T> {
    transport: T,
    deadline: Duration,
    circuit: Circuit,
    pace: Option<Pace>,
}

impl<T: Transport> Client<T> {
    /// A client with the deadline [`DEADLINE`].
    pub fn new(transport: T) -> Self {
        Self { transport, deadline: DEADLINE, circuit: Circuit::default(), pace: None }
    }

    /// Sets the deadline of a request, which includes all its tries.
    #[must_use]
    pub fn within(self, deadline: Duration) -> Self {
        Self { deadline, ..self }
    }

    /// Limits the bytes of request bodies per second, including every try. A request waits for those before it, within its
    /// deadline.
    #[must_use]
    pub fn at_most(self, bytes_per_second: Option<NonZeroU32>) -> Self {
        Self { pace: bytes_per_second.map(Pace::new), ..self }
    }

    /// The transport that it asks over.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    /// Whether the circuit is open: the cloud failed repeatedly, and only an occasional probe is sent.
    pub fn is_left_alone(&self) -> bool {
        self.circuit.is_open()
    }

    /// Closes the circuit: the next request is sent, with all its tries.
    pub fn forgive(&self) {
        self.circuit.close();
    }

    /// A random id for a request and all its tries.
    pub fn new_id(&self) -> [u8; 16] {
        self.transport.random()
    }

    /// A random number in 0..1.
    pub fn fraction(&self) -> f64 {
        fraction(self.transport.random())
    }

    /// Sends `request`, its maps coded by the pair's coder, and returns one outcome per sample; all are alike if the cloud did not
    /// answer. An answer must hold `classes` scores per sample.
    pub async fn ask(
        &self,
        request: &Request,
        coder: Option<&Coder>,
        classes: usize,
    ) -> Vec<Asked> {
        let began = self.transport.now();
        let mut bytes_sent = 0;
        let result = match request.encode_with(coder) {
            Ok(body) => {
                let end = began + self.deadline;
                self.scores(request, &body, classes, end, &mut bytes_sent).await
            }
            Err(error) => Err(CloudError::Frame(error)),
        };
        let ms = self.transport.now().saturating_sub(began).as_secs_f64() * 1e3;
        let function_ms = result.as_ref().ok().and_then(|_| self.transport.function_ms());
        let samples = request.tensors.len();
        let outcome = |sample: usize| Asked {
            result: match &result {
                Ok(scores) => Ok(scores[sample].clone()),
                Err(error) => Err(error.clone()),
            },
            ms,
            function_ms,
            // Integer shares that add up to all the bytes sent.
            bytes_sent: (bytes_sent + sample) / samples,
        };
        (0..samples).map(outcome).collect()
    }

    async fn scores(
        &self,
        request: &Request,
        body: &[u8],
        classes: usize,
        end: Duration,
        bytes_sent: &mut usize,
    ) -> Result<Vec<Vec<f32>>, CloudError> {
        let passage = self.circuit.enter(self.transport.now()).ok_or(CloudError::CircuitOpen)?;
        // A probe only tests the cloud, so it is not retried.
        let tries = if passage.is_probe() { 1 } else { TRIES };
        let answer = self.answer(body, tries, end, bytes_sent).await;
        let result = answer.and_then(|body| read(&body, request, classes));
        match &result {
            // Nothing was sent, so this says nothing about the cloud.
            Err(CloudError::OverBandwidth) => drop(passage),
            Err(error) if error.is_fault() => {
                passage.failed(self.transport.now(), self.fraction());
            }
            _ => passage.answered(),
        }
        result
    }

    /// Sends the request with retries and returns the answer's body. Adds the body length of each try to `bytes_sent`,
    /// except those without a connection.
    async fn answer(
        &self,
        body: &[u8],
        tries: u32,
        end: Duration,
        bytes_sent: &mut usize,
    ) -> Result<Vec<u8>, CloudError> {
        let transport = &self.transport;
        let mut last = CloudError::OverBandwidth;
        for attempt in 0..tries {
            if let Some(pace) = &self.pace {
                let now = transport.now();
                let wait = pace.book(body.len(), now, end.saturating_sub(now));
                match wait {
                    None => return Err(last),
                    Some(Duration::ZERO) => {}
                    Some(wait) => transport.pause(wait).await,
                }
            }
            let left = end.saturating_sub(transport.now());
            if left.is_zero() {
                return Err(last);
            }
            let mut wait = FIRST_PAUSE.mul_f64(f64::from(1 << attempt) * self.fraction());
            let reply = transport.post(body, left).await;
            if !matches!(reply, Err(TransportError::Unconnected(_))) {
                *bytes_sent += body.len();
            }
            match reply {
                Ok(Reply { status: 200, body, .. }) => return Ok(body),
                Ok(Reply { status, retry_after, body }) => {
                    last = CloudError::Refused { status, refusal: refusal(&body) };
                    if !matches!(status, 429 | 500 | 502 | 503 | 504) {
                        return Err(last);
                    }
                    wait = wait.max(retry_after.unwrap_or_default());
                }
                Err(TransportError::Unconnected(why) | TransportError::Unreachable(why)) => {
                    last = CloudError::Unreachable(why);
                }
                Err(TransportError::Late) => last = CloudError::Late,
                Err(TransportError::TooLarge) => {
                    return Err(CloudError::BadAnswer(format!("over {MAX_REPLY} bytes")));
                }
            }
            if attempt + 1 == tries || wait >= end.saturating_sub(transport.now()) {
                return Err(last);
            }
            transport.pause(wait).await;
        }
        Err(last)
    }
}

fn read(body: &[u8], request: &Request, classes: usize) -> Result<Vec<Vec<f32>>, CloudError> {
    let bad = |why: &str| Err(CloudError::BadAnswer(why.to_owned()));
    let response =
        Response::decode(body).map_err(|error| CloudError::BadAnswer(error.to_string()))?;
    if response.request_id != request.request_id {
        return bad("it answers another request");
    }
    let scores = response.scores;
    if scores.len() != request.tensors.len() || scores.iter().any(|one| one.len() != classes) {
        return bad("it needs one score per class for each sample");
    }
    Ok(scores)
}

/// The length at which a refusal's message is cut.
pub(super) const MOST_CHARACTERS: usize = 300;

/// A refusal by the function, or by AWS in front of it: AWS sends no error code and may spell it `Message`.
#[derive(Deserialize)]
struct Said {
    error: Option<String>,
    #[serde(alias = "Message")]
    message: String,
}

/// The refusal in `body`. Its text may be anybody's, so it is made safe for terminals and logs.
pub(super) fn refusal(body: &[u8]) -> Refusal {
    let is_word = |word: &str| {
        (1..=40).contains(&word.len()) && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    let shown = |message: &str| -> String {
        message.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS).collect()
    };
    match serde_json::from_slice::<Said>(body) {
        Ok(Said { error: Some(error), message }) if is_word(&error) => {
            Refusal::new(&error, shown(&message))
        }
        Ok(Said { error: None, message }) => Refusal::new("cloud_refused", shown(&message)),
        _ => Refusal::new("cloud_refused", "without a reason"),
    }
}
