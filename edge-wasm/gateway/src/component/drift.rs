//! Drift: the pictures are no longer like those that the pair was calibrated for.

use std::fmt::Write as _;

use fogline::manifest::Manifest;
use fogline_edge::device::drift::{Drift, Normal};
use fogline_edge::device::metrics::escaped;
use fogline_edge::session::Answer;

use crate::component::fault::{Fault, complain, note};
use crate::component::pair::PairOptions;

/// Which histograms are compared.
#[derive(Clone, Copy, PartialEq, clap::ValueEnum)]
pub enum Watched {
    /// None.
    Off,
    /// The exits' confidences.
    Confidence,
    /// The classes, too.
    All,
}

/// Options for drift.
#[derive(clap::Args)]
pub struct DriftOptions {
    /// Compare the latest pictures with those that the pair was calibrated on, by the exits' confidences, or by the classes, too: a
    /// camera sees few of them. Reports when they begin to differ, and when they no longer do.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = Watched::Confidence)]
    drift: Watched,
}

/// Compares a run's pictures with the calibration's.
pub struct Monitor {
    drift: Drift,
    /// The histograms that raised alarms since they were last asked for.
    raised: Vec<String>,
}

impl DriftOptions {
    /// The monitor, if it is wanted and the pair's manifest says what is normal. With thresholds or a policy of the user's, other
    /// pictures reach later exits, so only the first is compared. If what the manifest says is not valid, that is reported, and
    /// nothing is compared: answers do not depend on it.
    ///
    /// # Errors
    /// If the manifest cannot be read.
    pub fn monitor(
        &self,
        pair: &PairOptions,
        manifest: &Manifest,
    ) -> Result<Option<Monitor>, Fault> {
        if self.drift == Watched::Off {
            return Ok(None);
        }
        let normal = Normal::of(&pair.manifest_json()?, manifest).unwrap_or_else(|error| {
            complain(&Fault::new(error.word(), error));
            None
        });
        let Some(normal) = normal else { return Ok(None) };
        let mut drift = Drift::new(&normal, manifest);
        if pair.decides_otherwise() {
            drift = drift.of_first_exit();
        }
        if self.drift == Watched::Confidence {
            drift = drift.without_classes();
        }
        Ok(Some(Monitor { drift, raised: vec![] }))
    }
}

impl Monitor {
    /// Takes in the next picture's answer. Returns whether drift began or ended with it.
    pub fn observe(&mut self, answer: &Answer) -> bool {
        let changed = self.drift.observe(&answer.exits);
        if changed {
            self.raised.extend(self.drift.off().map(str::to_owned));
        }
        changed
    }

    /// The histograms that raised alarms since the last call.
    pub fn take_raised(&mut self) -> Vec<String> {
        std::mem::take(&mut self.raised)
    }

    /// As [`Self::observe`], but says so on standard error.
    pub fn observe_and_tell(&mut self, answer: &Answer) {
        let changed = self.observe(answer);
        if changed && self.is_drifting() {
            let what = self.off().join(", ");
            note(&format!(
                "drifting: the latest pictures are not like those of the calibration ({what})"
            ));
        } else if changed {
            note("steady: the latest pictures are like those of the calibration again");
        }
    }

    pub fn is_drifting(&self) -> bool {
        self.drift.is_drifting()
    }

    /// The histograms that are off.
    pub fn off(&self) -> Vec<&str> {
        self.drift.off().collect()
    }

    /// How far each histogram is, as a multiple of its limit.
    pub fn distances(&self) -> impl Iterator<Item = (&str, f64)> {
        self.drift.distances()
    }
}

/// Gauges of a monitor in Prometheus' text format; none if nothing is compared.
pub fn gauges(monitor: Option<&Monitor>) -> String {
    let Some(monitor) = monitor else { return String::new() };
    let mut text = format!(
        "# HELP fogline_drifting Whether the latest pictures differ from the calibration's.\n\
         # TYPE fogline_drifting gauge\nfogline_drifting {}\n\
         # HELP fogline_drift_ratio A histogram's distance from the calibration's; above 1 is drift.\n\
         # TYPE fogline_drift_ratio gauge\n",
        u8::from(monitor.is_drifting())
    );
    for (histogram, ratio) in monitor.distances() {
        let histogram = escaped(histogram);
        let _ = writeln!(text, "fogline_drift_ratio{{histogram=\"{histogram}\"}} {ratio:.4}");
    }
    text
}
