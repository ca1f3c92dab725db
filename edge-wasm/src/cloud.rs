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
                last = CloudError::Refused { status, refusal: refusal(&body) };
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
        if attempt + 1 == TRIES || wait >= end.saturating_sub(transport.now()) {
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

/// The longest message of a refusal that is passed on.
const MOST_CHARACTERS: usize = 300;

/// The refusal in `body`, fit for a terminal and a log: whoever answers may say anything.
fn refusal(body: &[u8]) -> Refusal {
    let is_word = |word: &str| {
        (1..=40).contains(&word.len()) && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
    };
    match serde_json::from_slice::<Refusal>(body) {
        Ok(Refusal { error, message }) if is_word(&error) => {
            let shown = message.chars().filter(|c| !c.is_control()).take(MOST_CHARACTERS);
            Refusal { error, message: shown.collect() }
        }
        _ => Refusal::new("cloud_refused", "without saying why"),
    }
}

#[cfg(test)]
mod tests {
    use core::cell::{Cell, RefCell};
    use core::pin::pin;
    use core::task::{Context, Poll, Waker};

    use super::*;

    /// Answers from a list; its clock moves only by pauses and by `cost` a post.
    struct Script {
        replies: RefCell<Vec<Result<Reply, TransportError>>>,
        clock: Cell<Duration>,
        cost: Duration,
        pauses: RefCell<Vec<Duration>>,
        bodies: RefCell<Vec<Vec<u8>>>,
    }

    impl Transport for Script {
        async fn post(&self, body: &[u8], _: Duration) -> Result<Reply, TransportError> {
            self.clock.set(self.clock.get() + self.cost);
            self.bodies.borrow_mut().push(body.to_vec());
            self.replies.borrow_mut().remove(0)
        }

        async fn pause(&self, duration: Duration) {
            self.clock.set(self.clock.get() + duration);
            self.pauses.borrow_mut().push(duration);
        }

        fn now(&self) -> Duration {
            self.clock.get()
        }

        fn random(&self) -> f64 {
            0.5
        }
    }

    fn script(replies: Vec<Result<Reply, TransportError>>) -> Script {
        Script {
            replies: RefCell::new(replies),
            clock: Cell::default(),
            cost: Duration::from_millis(10),
            pauses: RefCell::default(),
            bodies: RefCell::default(),
        }
    }

    fn request() -> Request {
        let tensor = fogline::frame::Tensor { shape: [8, 1, 1], bits: 1, bytes: vec![7] };
        Request { pair: [1; 32], request_id: [2; 16], tensors: vec![tensor] }
    }

    fn status(status: u16) -> Reply {
        Reply { status, retry_after: None, body: vec![] }
    }

    fn answer(request_id: [u8; 16], scores: Vec<Vec<f32>>) -> Reply {
        let body = Response { request_id, scores }.encode().unwrap();
        Reply { status: 200, retry_after: None, body }
    }

    /// Asks with a deadline of a second. A script never waits, so that one poll is enough.
    fn run(script: &Script) -> (Result<Vec<f32>, CloudError>, usize) {
        let (request, mut sent) = (request(), 0);
        let asking = ask(script, &request, 2, Duration::from_secs(1), &mut sent);
        let Poll::Ready(result) = pin!(asking).poll(&mut Context::from_waker(Waker::noop())) else {
            panic!("a script never waits")
        };
        (result, sent)
    }

    #[test]
    fn a_passing_fault_is_tried_again_with_the_same_bytes() {
        let lost = Err(TransportError::Unreachable("reset".into()));
        let script = script(vec![lost, Ok(status(503)), Ok(answer([2; 16], vec![vec![1.0, 2.0]]))]);
        let (result, sent) = run(&script);
        assert_eq!(result, Ok(vec![1.0, 2.0]));
        let bodies = script.bodies.borrow();
        assert_eq!((bodies.len(), &bodies[0], &bodies[1]), (3, &bodies[1], &bodies[2]));
        assert_eq!(sent, 3 * bodies[0].len());
        // Half of 200 ms, half of 400 ms: the random number is 0.5.
        assert_eq!(*script.pauses.borrow(), [100, 200].map(Duration::from_millis));
    }

    #[test]
    fn three_tries_are_all() {
        let script = script([500, 502, 504].map(|code| Ok(status(code))).to_vec());
        let (result, _) = run(&script);
        assert!(matches!(result, Err(CloudError::Refused { status: 504, .. })), "{result:?}");
    }

    #[test]
    fn a_refusal_is_not_tried_again_and_keeps_its_word() {
        let body = br#"{"error": "unknown_pair", "message": "no such pair"}"#.to_vec();
        let script = script(vec![Ok(Reply { status: 404, retry_after: None, body })]);
        let (result, _) = run(&script);
        assert_eq!(result.unwrap_err().word(), "unknown_pair");
        assert!(script.pauses.borrow().is_empty());
    }

    #[test]
    fn a_refusal_is_made_fit_for_a_terminal() {
        let said = |body: &str| refusal(body.as_bytes());
        let red = said(r#"{"error": "unknown_pair", "message": "\u001b[31mno\nsuch pair"}"#);
        assert_eq!(red, Refusal::new("unknown_pair", "[31mnosuch pair"));
        let long = said(&format!(r#"{{"error": "a", "message": "{}"}}"#, "x".repeat(900)));
        assert_eq!(long.message.len(), MOST_CHARACTERS);
        for word in ["", "No Word", r"\u001b"] {
            let body = format!(r#"{{"error": "{word}", "message": ""}}"#);
            assert_eq!(said(&body).error, "cloud_refused");
        }
    }

    #[test]
    fn retry_after_is_honoured_within_the_deadline_only() {
        let busy = |ms| {
            Ok(Reply { status: 429, retry_after: Some(Duration::from_millis(ms)), body: vec![] })
        };
        let patient = script(vec![busy(700), Ok(answer([2; 16], vec![vec![0.0, 1.0]]))]);
        assert!(run(&patient).0.is_ok());
        assert_eq!(*patient.pauses.borrow(), [Duration::from_millis(700)]);
        // The longest is more than a clock can hold: it once made the sum overflow.
        for ms in [5_000, u64::MAX] {
            let long =
                Reply { status: 429, retry_after: Some(Duration::from_secs(ms)), body: vec![] };
            let hasty = script(vec![Ok(long)]);
            assert_eq!(run(&hasty).0.unwrap_err().word(), "cloud_refused");
            assert!(hasty.pauses.borrow().is_empty());
        }
    }

    #[test]
    fn what_is_no_answer_to_this_request_is_refused() {
        let bad = [
            Ok(answer([9; 16], vec![vec![1.0, 2.0]])),
            Ok(answer([2; 16], vec![vec![1.0, 2.0], vec![1.0, 2.0]])),
            Ok(answer([2; 16], vec![vec![1.0]])),
            Ok(Reply { status: 200, retry_after: None, body: b"<html>".to_vec() }),
            Err(TransportError::TooLarge),
        ];
        for reply in bad {
            assert_eq!(run(&script(vec![reply])).0.unwrap_err().word(), "cloud_bad_answer");
        }
    }
}
