//! A rate limit for bytes: each body occupies the line for the time that it takes at this rate.

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

    /// Reserves the line for a body. Returns the wait until it is free, or `None` if that is longer than `limit`.
    pub(super) fn book(&self, bytes: usize, now: Duration, limit: Duration) -> Option<Duration> {
        let wait = self.free.get().saturating_sub(now);
        if wait >= limit {
            return None;
        }
        self.free.set(now + wait + Duration::from_secs_f64(bytes as f64 / self.bytes_per_second));
        Some(wait)
    }
}
