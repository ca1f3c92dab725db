//! What a host says of a request besides its HTTP.

use std::time::Instant;

/// One call of the function. The default is that of a host that says nothing: no id, no deadline, and a caller whom nobody
/// has verified.
#[derive(Debug, Clone, Default)]
#[allow(clippy::exhaustive_structs)]
pub struct Call {
    /// The host's own id of the request, for the log; empty where it has none.
    pub id: String,
    /// When the host stops waiting for an answer; `None` where it waits however long it takes.
    pub deadline: Option<Instant>,
    /// Who asks.
    pub caller: Caller,
}

/// Who asks, as far as the host has found out before it called.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Caller {
    /// The host asked nobody who they are.
    #[default]
    Unknown,
    /// The host has verified who asks, and let them through.
    Verified,
}
