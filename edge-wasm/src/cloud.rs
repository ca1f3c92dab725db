//! Asking the cloud: one frame, a few tries, one deadline.
//!
//! A request is tried again after a failed connection, a time-out of its own, and the statuses
//! 429, 500, 502, 503 and 504; never after any other refusal, which would be the same again. Pauses
//! double and are drawn at random from zero up ("full jitter"), so that many edges do not return
//! together; `Retry-After` is honoured where the deadline allows. Every try carries the same request id.

use core::fmt;
use core::time::Duration;

use fogline::frame::{FrameError, MAX_FRAME, Request, Response};
use fogline::refusal::Refusal;

/// Tries in all.
const TRIES: u32 = 3;
/// The longest first pause.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The largest answer that is read.
pub const MAX_REPLY: usize = MAX_FRAME;

/// How frames get to the cloud: `fetch` in a browser, WASI's HTTP on a gateway.
#[expect(async_fn_in_trait, reason = "the edge is single-threaded: nobody needs these to be Send")]
pub trait Transport {
    /// Posts `body` to the cloud's `/infer` and reads the answer, at most [`MAX_REPLY`] bytes of
    /// it, within `limit`.
    async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError>;
    /// Waits.
    async fn pause(&self, duration: Duration);
    /// Time since some fixed moment.
    fn now(&self) -> Duration;
    /// A random number in 0..1.
    fn random(&self) -> f64;
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Retry-After`, where it was a number of seconds.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection, or it broke.
    Unreachable(String),
    /// No answer in time.
    Late,
    /// The answer is larger than any frame.
    TooLarge,
}

/// Why the cloud did not answer the question.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudError {
    /// No cloud was named.
    NotConfigured,
    /// No connection, after all tries.
    Unreachable(String),
    /// No answer within the deadline.
    Late,
    /// It refused.
    Refused {
        /// The HTTP status.
        status: u16,
        /// The refusal, or one made from a body that is none.
        refusal: Refusal,
    },
    /// It answered something that is not an answer.
    BadAnswer(String),
    /// The request cannot be framed.
    Frame(FrameError),
}

impl CloudError {
    /// The machine word of this error; a refusal's own where the cloud refused.
    pub fn word(&self) -> &str {
        match self {
            Self::NotConfigured => "no_cloud",
            Self::Unreachable(_) => "cloud_unreachable",
            Self::Late => "cloud_late",
            Self::Refused { refusal, .. } => &refusal.error,
            Self::BadAnswer(_) => "cloud_bad_answer",
            Self::Frame(error) => error.word(),
        }
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no cloud is configured"),
            Self::Unreachable(why) => write!(f, "the cloud is out of reach: {why}"),
            Self::Late => f.write_str("the cloud did not answer in time"),
            Self::Refused { status, refusal } => {
                write!(f, "the cloud refused with status {status}: {}", refusal.message)
            }
            Self::BadAnswer(why) => write!(f, "the cloud's answer is not one: {why}"),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CloudError {}

/// Sends `request`; gives the logits of its only sample. Adds every body's length to `bytes_sent`.
///
/// # Errors
/// When no try brought `classes` scores within `deadline`.
pub async fn ask(
    transport: &impl Transport,
    request: &Request,
    classes: usize,
    deadline: Duration,
    bytes_sent: &mut usize,
) -> Result<Vec<f32>, CloudError> {
    let body = request.encode().map_err(CloudError::Frame)?;
    let end = transport.now() + deadline;
    let mut last = CloudError::Late;
    for attempt in 0..TRIES {
        let left = end.saturating_sub(transport.now());
        if left.is_zero() {
            return Err(last);
        }
        *bytes_sent += body.len();
        let mut wait = FIRST_PAUSE.mul_f64(f64::from(1 << attempt) * transport.random());
        match transport.post(&body, left).await {
            Ok(Reply { status: 200, body, .. }) => return read(&body, request, classes),
            Ok(Reply { status, retry_after, body }) => {
                last = CloudError::Refused { status, refusal: refusal(status, &body) };
                if !matches!(status, 429 | 500 | 502 | 503 | 504) {
                    return Err(last);
                }
                wait = wait.max(retry_after.unwrap_or_default());
            }
            Err(TransportError::Unreachable(why)) => last = CloudError::Unreachable(why),
            Err(TransportError::Late) => last = CloudError::Late,
            Err(TransportError::TooLarge) => {
                return Err(CloudError::BadAnswer(format!("over {MAX_REPLY} bytes")));
            }
        }
        if attempt + 1 == TRIES || transport.now() + wait >= end {
            return Err(last);
        }
        transport.pause(wait).await;
    }
    Err(last)
}

fn read(body: &[u8], request: &Request, classes: usize) -> Result<Vec<f32>, CloudError> {
    let bad = |why: &str| Err(CloudError::BadAnswer(why.to_owned()));
    let response =
        Response::decode(body).map_err(|error| CloudError::BadAnswer(error.to_string()))?;
    if response.request_id != request.request_id {
        return bad("it answers another request");
    }
    match <[Vec<f32>; 1]>::try_from(response.scores) {
        Ok([scores]) if scores.len() == classes => Ok(scores),
        _ => bad("it does not hold one score a class for one sample"),
    }
}

fn refusal(status: u16, body: &[u8]) -> Refusal {
    serde_json::from_slice(body)
        .unwrap_or_else(|_| Refusal::new("cloud_refused", format!("HTTP status {status}")))
}
