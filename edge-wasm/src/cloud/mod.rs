//! Asking the cloud: one frame, a few tries, one deadline, and none of it while the cloud is known to be away.
//!
//! A [`Client`] asks one function over a [`Transport`]. A request is tried again after a failed
//! connection and the statuses 429, 500, 502, 503 and 504; never after any other refusal, which would be the
//! same again. Each try has all the time that is left of the one deadline. Pauses double and are drawn at random from zero up ("full
//! jitter"), so that many edges do not return together; `Retry-After` is honoured where the deadline
//! allows. Every try carries the same request id. Questions that fail one after the other open the
//! client's circuit: from then on one question in a while finds out whether the cloud is back, and every
//! other is over at once. Where a line is narrow, bodies go one after the other at so many bytes a second.
//!
//! Whoever does not want an answer any more drops the future: the exchange ends, and nothing is held
//! against the cloud.

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

/// How long the cloud may take before the best exit answers in its place.
pub const DEADLINE: Duration = Duration::from_secs(10);
/// The largest answer that is read.
pub const MAX_REPLY: usize = MAX_FRAME;

/// How frames get to the cloud: `fetch` in a browser, WASI's HTTP on a gateway.
#[expect(async_fn_in_trait, reason = "the edge is single-threaded: nobody needs these to be Send")]
pub trait Transport {
    /// Posts `body` to the cloud's `/infer` and reads the answer, at most [`MAX_REPLY`] bytes of
    /// it, within `limit`. Dropped before its end, it breaks the exchange off.
    async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError>;
    /// Milliseconds that the function says it took for the answer that `post` gave last. To be asked
    /// before anything else is awaited: by then another exchange may have ended.
    fn function_ms(&self) -> Option<f64> {
        None
    }
    /// Waits.
    async fn pause(&self, duration: Duration);
    /// Random bytes, anew at every call: a request's id, and what spreads pauses.
    fn random(&self) -> [u8; 16];
    /// Time since some fixed moment; the machine's clock, unless a test has its own.
    fn now(&self) -> Duration {
        clock::now()
    }
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Retry-After`, from now on.
    pub retry_after: Option<Duration>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why there is no HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TransportError {
    /// No connection: nothing was handed over.
    Unconnected(String),
    /// A connection that broke, or of which nobody knows whether there was one: the body counts as sent.
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
    /// It failed again and again, and is left alone for a while.
    CircuitOpen,
    /// It was not asked: too many pictures would be sent.
    OverQuota(String),
    /// It was not asked: the bytes before this question's would take longer than the deadline.
    OverBandwidth,
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
            Self::CircuitOpen => "circuit_open",
            Self::OverQuota(_) => "over_quota",
            Self::OverBandwidth => "over_bandwidth",
            Self::Refused { refusal, .. } => &refusal.error,
            Self::BadAnswer(_) => "cloud_bad_answer",
            Self::Frame(error) => error.word(),
        }
    }

    /// Whether the same question may well be answered another time: once the cloud is back, the line free, or a token that
    /// has run out replaced.
    pub fn may_pass(&self) -> bool {
        let is_closed = matches!(self, Self::Refused { status: 401 | 403, .. });
        self.is_fault() || is_closed || matches!(self, Self::CircuitOpen | Self::OverBandwidth)
    }

    /// Whether this speaks against the cloud, and not against the question.
    fn is_fault(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Late | Self::BadAnswer(_) => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            Self::NotConfigured
            | Self::CircuitOpen
            | Self::OverQuota(_)
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
                f.write_str("the cloud failed again and again, and is left alone for a while")
            }
            Self::OverQuota(why) => f.write_str(why),
            Self::OverBandwidth => f.write_str("the line is taken up to the deadline"),
            Self::Refused { status, refusal } => {
                write!(f, "the cloud refused with status {status}: {}", refusal.message)
            }
            Self::BadAnswer(why) => write!(f, "the cloud's answer is not one: {why}"),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for CloudError {}

/// What came of asking the cloud about one sample.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Logits, or why there are none.
    pub result: Result<Vec<f32>, CloudError>,
    /// Milliseconds it took.
    pub ms: f64,
    /// How many of them were the function's, where it answered and said so.
    pub function_ms: Option<f64>,
    /// The sample's share of the bytes of body handed to connections, all tries together. A try that a browser's `fetch`
    /// gave up without saying why counts in full, unless the browser is offline: whether it had a connection is not told.
    pub bytes_sent: usize,
}

impl Asked {
    /// Where nothing was sent.
    pub(crate) fn not_asked(why: CloudError) -> Self {
        Self { result: Err(why), ms: 0.0, function_ms: None, bytes_sent: 0 }
    }
}
