//! What the host knows about a request beyond its HTTP content.

use std::time::Instant;

/// The host's side of one request. The default has no id, no deadline, and an unauthenticated caller.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs)]
pub struct Call {
    /// The host's request id, for the log; empty if there is none.
    pub id: String,
    /// When the host stops waiting for the response; `None` for no limit.
    pub deadline: Option<Instant>,
    /// Whether the host authenticated the caller.
    pub caller: Caller,
}

/// Whether the host authenticated the caller before it passed the request on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Caller {
    /// The host did not authenticate the caller.
    #[default]
    Unknown,
    /// The host authenticated the caller and let it through.
    Verified,
}
