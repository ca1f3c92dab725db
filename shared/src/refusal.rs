//! Error responses: a stable error code, and a sentence for people.

use serde::{Deserialize, Serialize};

use crate::frame::{FrameError, MAX_BATCH};

/// The body of every response that is not a success: `{"error": code, "message": sentence}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The error code, whose meaning never changes.
    pub error: String,
    /// What was wrong, where, and what to do.
    pub message: String,
}

/// The body is not what it should be: a frame that is cut short, JSON without a field, an invalid gzip stream.
pub const MALFORMED: &str = "malformed";
/// The body, its decompressed size, or its number of samples is over the limit.
pub const TOO_LARGE: &str = "too_large";
/// The frame has a protocol version that this side does not speak.
pub const UNSUPPORTED_VERSION: &str = "unsupported_version";
/// No pair in the cloud has this digest: the edge should fetch its manifest again.
pub const UNKNOWN_PAIR: &str = "unknown_pair";
/// A map's shape or bit width differs from that of the pair's split.
pub const WRONG_SHAPE: &str = "wrong_shape";
/// Authentication is missing or wrong.
pub const UNAUTHORIZED: &str = "unauthorized";
/// Nothing exists at this path.
pub const NOT_FOUND: &str = "not_found";
/// The path exists, but does not take this method.
pub const METHOD_NOT_ALLOWED: &str = "method_not_allowed";
/// A stored file does not match the SHA-256 in its manifest.
pub const MODEL_CORRUPT: &str = "model_corrupt";
/// The model store did not answer.
pub const STORE_UNREACHABLE: &str = "store_unreachable";
/// No verified model is loaded yet.
pub const NOT_READY: &str = "not_ready";
/// The function's time limit for a request has passed.
pub const DEADLINE: &str = "deadline";
/// A bug or fault in Fogline; the log has details under the request id.
pub const INTERNAL: &str = "internal";

impl Refusal {
    /// A refusal with an error code and a message.
    pub fn new(error: &str, message: impl Into<String>) -> Self {
        Self { error: error.to_owned(), message: message.into() }
    }

    /// The HTTP status for the error code; 400 for codes that are not listed here.
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
