//! How many bytes a second are sent: a line that is busy for as long as each body takes on it.

use core::cell::Cell;
use core::num::NonZeroU32;
use core::time::Duration;

pub(super) struct Pace {
    bytes_per_second: f64,
    free: Cell<Duration>,
}

impl Pace {
    pub(super) fn new(bytes_per_second: NonZeroU32) -> Self {
        Self { bytes_per_second: bytes_per_second.get().into(), free: Cell::default() }
    }

    /// Books the line for a body, and gives how long it is busy with others until then; not where `limit` is over by then.
    pub(super) fn book(&self, bytes: usize, now: Duration, limit: Duration) -> Option<Duration> {
        let wait = self.free.get().saturating_sub(now);
        if wait >= limit {
            return None;
        }
        self.free.set(now + wait + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second));
        Some(wait)
    }
}
