//! Requests to the cloud: one frame, a few tries, one deadline.
//!
//! A [`Client`] asks one function over a [`Transport`]. It retries after a failed connection and after the statuses
//! 429, 500, 502, 503 and 504. It does not retry any other refusal, because the next try would be refused as well. Each
//! try may take all the time that is left until the deadline. Pauses between tries double and are drawn at random from
//! zero up ("full jitter"), so that many edges do not return at once. `Retry-After` is honoured if the deadline allows.
//! Every try carries the same request id. Requests that fail in a row open the client's circuit breaker: from then on
//! an occasional request probes the cloud, and all others fail at once. On a slow line, bodies are sent one after the
//! other at a limited rate.
//!
//! To cancel a request, drop its future: the exchange is aborted, and does not count as the cloud's failure.

mod circuit;
mod client;
mod pace;
#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;

use fogline::frame::{FrameError, MAX_FRAME};
use fogline::refusal::Refusal;

pub use client::Client;

use crate::clock;

/// The default deadline: how long a request may take before the best exit answers instead.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// The largest response body that is read, in bytes.
pub const MAX_REPLY: usize = MAX_FRAME;

/// How frames get to the cloud: `fetch` in a browser, WASI HTTP on a gateway.
#[expect(async_fn_in_trait, reason = "the edge is single-threaded: nobody needs these to be Send")]
pub trait Transport {
    /// Posts `body` to the cloud's `/infer` and reads at most [`MAX_REPLY`] bytes of the response, all within `limit`.
    /// Dropping the future aborts the exchange.
    async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError>;
    /// The milliseconds that the function reports for the last answer of `post`, if it does. Call this before awaiting
    /// anything else: another exchange may end in between.
    fn function_ms(&self) -> Option<f64> {
        None
    }
    /// Waits for `duration`.
    async fn pause(&self, duration: Duration);
    /// Fresh random bytes, for request ids and jitter.
    fn random(&self) -> [u8; 16];
    /// The time since a fixed moment: the machine's clock, unless a test has its own.
    fn now(&self) -> Duration {
        clock::now()
    }
}

/// An HTTP response to a posted frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The HTTP status code, such as 200.
    pub status: u16,
    /// The wait that `Retry-After` asks for.
    pub retry_after: Option<Duration>,
    /// The body, of at most [`MAX_REPLY`] bytes.
    pub body: Vec<u8>,
}

/// The seconds that a `Retry-After` gives; too many for a number count as the most.
pub fn seconds(said: &str) -> Option<Duration> {
    let is_number = !said.is_empty() && said.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Duration::from_secs(said.parse().unwrap_or(u64::MAX)))
}

/// A number in 0..1 of random bytes.
pub fn fraction([a, b, c, d, ..]: [u8; 16]) -> f64 {
    f64::from(u32::from_le_bytes([a, b, c, d])) / f64::from(u32::MAX)
}

/// Why there is no HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// There was no connection, so nothing was sent.
    Unconnected(String),
    /// The connection broke, or it is unknown whether there was one: the body counts as sent.
    Unreachable(String),
    /// There was no response in time.
    Late,
    /// The response is larger than any frame.
    TooLarge,
}

/// Why the cloud did not answer a request.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloudError {
    /// There is no cloud: no URL was given.
    NotConfigured,
    /// No try reached the cloud.
    Unreachable(String),
    /// There was no answer within the deadline.
    Late,
    /// The circuit is open after repeated failures, so nothing was sent.
    CircuitOpen,
    /// Not sent: a limit of the device does not allow it.
    Held {
        /// The error code.
        word: &'static str,
        /// The limit, as a sentence.
        why: String,
    },
    /// Not sent: at the allowed rate, earlier requests occupy the line until after the deadline.
    OverBandwidth,
    /// The cloud refused the request.
    Refused {
        /// The HTTP status code of the refusal.
        status: u16,
        /// The refusal, or one made from another body.
        refusal: Refusal,
    },
    /// The body of a successful response is not an answer to this request.
    BadAnswer(String),
    /// The request cannot be encoded as a frame.
    Frame(FrameError),
}

impl CloudError {
    /// The stable error code; if the cloud refused, the refusal's own.
    pub fn word(&self) -> &str {
        match self {
            Self::NotConfigured => "no_cloud",
            Self::Unreachable(_) => "cloud_unreachable",
            Self::Late => "cloud_late",
            Self::CircuitOpen => "circuit_open",
            Self::Held { word, .. } => word,
            Self::OverBandwidth => "over_bandwidth",
            Self::Refused { refusal, .. } => &refusal.error,
            Self::BadAnswer(_) => "cloud_bad_answer",
            Self::Frame(error) => error.word(),
        }
    }

    /// Whether the same request may succeed later: when the cloud is back, the line is free, or an expired token was
    /// replaced.
    pub fn may_pass(&self) -> bool {
        let is_closed = matches!(self, Self::Refused { status: 401 | 403, .. });
        self.is_fault() || is_closed || matches!(self, Self::CircuitOpen | Self::OverBandwidth)
    }

    /// Whether this is a failure of the cloud, not of the request.
    fn is_fault(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Late | Self::BadAnswer(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::NotConfigured
            | Self::CircuitOpen
            | Self::Held { .. }
            | Self::OverBandwidth
            | Self::Frame(_) => false,
        }
    }
}

impl fmt::Display for CloudError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotConfigured => f.write_str("no cloud is configured"),
            Self::Unreachable(why) => write!(f, "the cloud is out of reach: {why}"),
            Self::Late => f.write_str("the cloud did not answer in time"),
            Self::CircuitOpen => {
                f.write_str("the cloud failed repeatedly; it is not asked for now")
            }
            Self::Held { why, .. } => f.write_str(why),
            Self::OverBandwidth => f.write_str("the bandwidth limit is used up"),
            Self::Refused { status, refusal } => {
                write!(f, "the cloud refused with status {status}: {}", refusal.message)
            }
            Self::BadAnswer(why) => write!(f, "the cloud's answer is invalid: {why}"),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CloudError {}

/// The outcome of asking the cloud about one sample.
#[derive(Debug, Clone)]
pub struct Asked {
    /// One logit per class, or why there are none.
    pub result: Result<Vec<f32>, CloudError>,
    /// Milliseconds that the request took, including retries and pauses.
    pub ms: f64,
    /// The function's own part of them, if it answered and reported it.
    pub function_ms: Option<f64>,
    /// The sample's share of the body bytes sent, over all tries. A failed `fetch` does not tell if there was a connection:
    /// it counts in full unless the browser is offline.
    pub bytes_sent: usize,
}

impl Asked {
    /// The outcome if nothing was sent.
    pub(crate) fn not_asked(why: CloudError) -> Self {
        Self { result: Err(why), ms: 0.0, function_ms: None, bytes_sent: 0 }
    }
}
