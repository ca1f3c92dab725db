//! When to leave the cloud alone: a circuit breaker.
//!
//! Closed, every question passes. Faults one after the other open it; then nothing passes until a pause
//! is over, and after it one question, the probe, whose fate decides for all: an answer closes the
//! circuit, a fault opens it for twice as long.

use core::cell::Cell;
use core::time::Duration;

/// Failed questions in a row that open it.
pub(super) const FAULTS: u32 = 5;
/// The first pause, and the longest.
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
    /// Lets a question pass, or does not.
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

    /// Whether it lets no more than a probe pass.
    pub(super) fn is_open(&self) -> bool {
        !matches!(self.state.get(), State::Closed { .. })
    }

    /// Lets questions pass again, whatever was before.
    pub(super) fn close(&self) {
        self.state.set(State::Closed { faults: 0 });
    }

    fn open(&self, pause: Duration, now: Duration, random: f64) {
        // Between half and all of it, so that many edges do not probe together.
        let until = now + pause.mul_f64(0.5 + random / 2.0);
        self.state.set(State::Open { until, pause });
    }
}

/// A question on its way. Dropped without a word, it was given up and says nothing of the cloud.
pub(super) struct Passage<'a> {
    circuit: &'a Circuit,
    probe: bool,
}

impl Passage<'_> {
    pub(super) fn is_probe(&self) -> bool {
        self.probe
    }

    /// The cloud gave an answer, if only that it does not like the question.
    pub(super) fn answered(self) {
        self.circuit.close();
    }

    /// The cloud did not do its part.
    pub(super) fn failed(self, now: Duration, random: f64) {
        match self.circuit.state.get() {
            State::Closed { faults } if faults + 1 < FAULTS => {
                self.circuit.state.set(State::Closed { faults: faults + 1 });
            }
            State::Closed { .. } => self.circuit.open(FIRST, now, random),
            State::Probing { pause } if self.probe => {
                self.circuit.open((pause * 2).min(LONGEST), now, random);
            }
            // It was on its way when the circuit opened, and tells nothing new.
            State::Open { .. } | State::Probing { .. } => {}
        }
    }
}

impl Drop for Passage<'_> {
    fn drop(&mut self) {
        if let (true, State::Probing { pause }) = (self.probe, self.circuit.state.get()) {
            // The next question probes in its place.
            self.circuit.state.set(State::Open { until: Duration::ZERO, pause });
        }
    }
}
