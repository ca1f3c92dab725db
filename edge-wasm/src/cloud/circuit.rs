//! A circuit breaker, which stops asking a cloud that keeps failing.
//!
//! While the circuit is closed, every request passes. [`FAULTS`] failures in a row open it, and no request passes
//! during a pause. The next request after the pause is the probe: an answer closes the circuit, and a failure opens
//! it again for twice as long.

use core::cell::Cell;
use core::time::Duration;

/// The number of failures in a row that open the circuit.
pub(super) const FAULTS: u32 = 5;
/// The first pause. Each one after it is twice as long, up to [`LONGEST`].
pub(super) const FIRST: Duration = Duration::from_secs(1);
pub(super) const LONGEST: Duration = Duration::from_mins(1);

#[derive(Clone, Copy)]
enum State {
    Closed { faults: u32 },
    Open { until: Duration, pause: Duration },
    Probing { pause: Duration },
}

pub(super) struct Circuit {
    state: Cell<State>,
}

impl Default for Circuit {
    fn default() -> Self {
        Self { state: Cell::new(State::Closed { faults: 0 }) }
    }
}

impl Circuit {
    /// Lets a request pass, or returns `None` if the circuit is open.
    pub(super) fn enter(&self, now: Duration) -> Option<Passage<'_>> {
        let probe = match self.state.get() {
            State::Closed { .. } => false,
            State::Open { until, pause } if now >= until => {
                self.state.set(State::Probing { pause });
                true
            }
            State::Open { .. } | State::Probing { .. } => return None,
        };
        Some(Passage { circuit: self, probe })
    }

    /// Whether the circuit is open, so that at most a probe passes.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state.get(), State::Closed { .. })
    }

    /// Closes the circuit, whatever happened before.
    pub(super) fn close(&self) {
        self.state.set(State::Closed { faults: 0 });
    }

    fn open(&self, pause: Duration, now: Duration, random: f64) {
        // At a random moment in the pause's second half, so that many edges do not probe at once.
        let until = now + pause.mul_f64(0.5 + random / 2.0);
        self.state.set(State::Open { until, pause });
    }
}

/// A request in progress. Dropping it means that it was cancelled, and says nothing about the cloud.
pub(super) struct Passage<'a> {
    circuit: &'a Circuit,
    probe: bool,
}

impl Passage<'_> {
    pub(super) fn is_probe(&self) -> bool {
        self.probe
    }

    /// Records that the cloud answered, even if it refused the request.
    pub(super) fn answered(self) {
        self.circuit.close();
    }

    /// Records that the cloud failed.
    pub(super) fn failed(self, now: Duration, random: f64) {
        match self.circuit.state.get() {
            State::Closed { faults } if faults + 1 < FAULTS => {
                self.circuit.state.set(State::Closed { faults: faults + 1 });
            }
            State::Closed { .. } => self.circuit.open(FIRST, now, random),
            State::Probing { pause } if self.probe => {
                self.circuit.open((pause * 2).min(LONGEST), now, random);
            }
            // The request began before the circuit opened, so its failure is no news.
            State::Open { .. } | State::Probing { .. } => {}
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if let (true, State::Probing { pause }) = (self.probe, self.circuit.state.get()) {
            // The probe was cancelled: the next request probes instead.
            self.circuit.state.set(State::Open { until: Duration::ZERO, pause });
        }
    }
}
