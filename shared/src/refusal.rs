//! How either side says no: one machine word, and a sentence for people.

use serde::{Deserialize, Serialize};

use crate::frame::{FrameError, MAX_BATCH};

/// The body of every answer that is not a success: `{"error": word, "message": sentence}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The machine word; a word once used keeps its meaning.
    pub error: String,
    /// What was wrong, where, and what to do.
    pub message: String,
}

/// The bytes are not what they should be: a frame that breaks off, JSON without a field, a gzip stream that is none.
pub const MALFORMED: &str = "malformed";
/// The body, what it inflates to, or its number of samples is over the limit.
pub const TOO_LARGE: &str = "too_large";
/// The frame speaks a version of the protocol that this side does not.
pub const UNSUPPORTED_VERSION: &str = "unsupported_version";
/// The cloud knows no pair of that digest: the edge should fetch its manifest anew.
pub const UNKNOWN_PAIR: &str = "unknown_pair";
/// The maps are not of the shape or width that the pair's split has.
pub const WRONG_SHAPE: &str = "wrong_shape";
/// Who asks has not shown that they may.
pub const UNAUTHORIZED: &str = "unauthorized";
/// There is nothing at that path.
pub const NOT_FOUND: &str = "not_found";
/// The path is right, the method is not.
pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
/// A stored file does not have the SHA-256 its manifest states.
pub const MODEL_CORRUPT: &str = "model_corrupt";
/// The model store did not answer.
pub const STORE_UNREACHABLE: &str = "store_unreachable";
/// No verified plan is loaded yet.
pub const NOT_READY: &str = "not_ready";
/// The time that the function has for a request is over.
pub const DEADLINE: &str = "deadline";
/// A fault of ours; the log has the request id.
pub const INTERNAL: &str = "internal";

impl Refusal {
    /// A refusal of one word and one sentence.
    pub fn new(error: &str, message: impl Into<String>) -> Self {
        Self { error: error.to_owned(), message: message.into() }
    }

    /// The HTTP status that goes with the word.
    pub fn status(&self) -> u16 {
        match self.error.as_str() {
            UNAUTHORIZED => 401,
            NOT_FOUND | UNKNOWN_PAIR => 404,
            METHOD_NOT_ALLOWED => 405,
            UNSUPPORTED_VERSION | WRONG_SHAPE => 409,
            TOO_LARGE => 413,
            INTERNAL => 500,
            MODEL_CORRUPT => 502,
            STORE_UNREACHABLE | NOT_READY => 503,
            DEADLINE => 504,
            _ => 400,
        }
    }
}

impl From<&FrameError> for Refusal {
    fn from(error: &FrameError) -> Self {
        let word = match error {
            FrameError::Version(_) => UNSUPPORTED_VERSION,
            FrameError::TooLarge | FrameError::Batch(MAX_BATCH..) => TOO_LARGE,
            _ => MALFORMED,
        };
        Self::new(word, error.to_string())
    }
}
