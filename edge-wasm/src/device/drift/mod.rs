//! Notices when a pair sees other pictures than it was calibrated for: fog on the lens, dusk, a camera that was knocked askew.
//!
//! No labels are needed. The pair's manifest says what is [`Normal`]: histograms of each exit's confidence and of the classes,
//! on pictures that were held out of training. A [`Drift`] compares the latest pictures with them. It raises the alarm when
//! one histogram is farther away than its limit, which the recipe found by simulation, and ends it when all are well within.
//!
//! ```
//! use fogline_edge::device::drift::{Drift, Normal};
//! use fogline_edge::{kernel::Backend, session::Session};
//!
//! # let confidences = serde_json::json!({"edges": [0.9], "counts": [10, 90], "limit": 12.0});
//! # let mut json: serde_json::Value = serde_json::from_slice(include_bytes!("../../../tests/tiny/manifest.json"))?;
//! # json["normal"] = serde_json::json!({
//! #     "pictures": 100, "window": 30, "false_alarms": 5e-7, "exits": [confidences, confidences],
//! #     "classes": {"counts": [20, 20, 20, 20, 20], "limit": 30.0},
//! # });
//! # let manifest = serde_json::to_vec(&json)?;
//! # let model = include_bytes!("../../../tests/tiny/edge.fog");
//! let mut session = Session::load(&manifest, model, Backend::fastest())?;
//! let normal = Normal::of(&manifest, session.manifest())?.expect("the pair has one");
//! let mut drift = Drift::new(&normal, session.manifest());
//! // The camera shows nothing but grey.
//! for frame in 1.. {
//!     let answer = session.classify_alone(&[127; 16 * 16 * 3]);
//!     if drift.observe(&answer.exits) {
//!         assert!(frame >= normal.window && drift.is_drifting());
//!         println!("drifting since picture {frame}: {}", drift.off().collect::<Vec<_>>().join(", "));
//!         break;
//!     }
//! #   assert!(frame < 1000, "never raised");
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod normal;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use fogline::manifest::Manifest;

pub use self::normal::{Classes, Confidences, Normal, NormalError};
use crate::session::ExitReport;

/// The name of the histogram of classes; the others have their exits' names.
pub const CLASSES: &str = "classes";

/// An alarm ends when the distance is back below this share of the limit, so that it does not come and go at the limit.
const ENDS: f64 = 0.5;

/// Compares the latest pictures with what is normal.
///
/// Each histogram has its own window of the latest observations: an exit that few pictures reach fills its window slowly.
/// Its distance from the calibration's histogram is 0 until the window is full. Memory is bounded by window and bins.
pub struct Drift {
    watched: Vec<Watched>,
    drifting: bool,
}

/// A histogram under watch.
struct Watched {
    name: String,
    of: Of,
    /// The frequency of each bin, above 0.
    expected: Vec<f64>,
    limit: f64,
    window: usize,
    /// The bins of the latest observations, oldest first.
    latest: VecDeque<u16>,
    /// How many of them are in each bin.
    counts: Vec<u32>,
    distance: f64,
    off: bool,
}

/// What a histogram counts.
enum Of {
    /// The confidences of the exit with this index, in bins between these edges.
    Confidences(usize, Vec<f32>),
    /// The first exit's classes.
    Classes,
}

impl Drift {
    /// Watches all histograms of `normal`, which must be that of `manifest`.
    pub fn new(normal: &Normal, manifest: &Manifest) -> Self {
        let exits = normal.exits.iter().zip(manifest.deciding()).enumerate();
        let exits = exits.map(|(index, (exit, there))| {
            let of = Of::Confidences(index, exit.edges.clone());
            Watched::new(&there.name, of, &exit.counts, exit.limit, normal.window)
        });
        let Classes { counts, limit } = &normal.classes;
        let classes = Watched::new(CLASSES, Of::Classes, counts, *limit, normal.window);
        Self { watched: exits.chain([classes]).collect(), drifting: false }
    }

    /// Watches of the exits only the first: with other thresholds or another policy than the manifest's, other pictures reach
    /// the next ones.
    #[must_use]
    pub fn of_first_exit(mut self) -> Self {
        self.watched.retain(|watched| matches!(watched.of, Of::Confidences(0, _) | Of::Classes));
        self
    }

    /// Does not watch the classes: a camera sees few of them, and in other numbers than the calibration.
    #[must_use]
    pub fn without_classes(mut self) -> Self {
        self.watched.retain(|watched| matches!(watched.of, Of::Confidences(..)));
        self
    }

    /// Takes in the exits of the next picture's answer; whether the alarm began or ended with it.
    pub fn observe(&mut self, exits: &[ExitReport]) -> bool {
        // On the way to an extension, a picture passes exits after the one that was sure. They are not asked.
        let sure = exits.iter().position(|exit| exit.verdict.sure);
        let asked = &exits[..sure.map_or(exits.len(), |sure| sure + 1)];
        for watched in &mut self.watched {
            if let Some(bin) = watched.of.bin(asked) {
                watched.take(bin);
            }
        }
        let before = self.drifting;
        self.drifting = self.watched.iter().any(|watched| watched.off);
        self.drifting != before
    }

    /// Whether the alarm is raised.
    pub fn is_drifting(&self) -> bool {
        self.drifting
    }

    /// The names of the histograms that keep the alarm raised: those of exits, and [`CLASSES`].
    pub fn off(&self) -> impl Iterator<Item = &str> {
        self.watched.iter().filter(|watched| watched.off).map(|watched| watched.name.as_str())
    }

    /// For each histogram its name and its distance as a multiple of its limit: above 1 raises the alarm.
    pub fn distances(&self) -> impl Iterator<Item = (&str, f64)> {
        self.watched.iter().map(|watched| (watched.name.as_str(), watched.of_limit()))
    }
}

impl Of {
    /// The bin of a picture that asked these exits, or `None` if it does not count.
    fn bin(&self, asked: &[ExitReport]) -> Option<usize> {
        match self {
            Self::Classes => asked.first().map(|exit| exit.verdict.index),
            Self::Confidences(index, edges) => {
                let confidence = asked.get(*index)?.verdict.confidence;
                Some(edges.partition_point(|&edge| edge <= confidence))
            }
        }
    }
}

impl Watched {
    fn new(name: &str, of: Of, counts: &[u64], limit: f64, window: usize) -> Self {
        // As the recipe does: half a picture more in each bin, so that an empty one is only improbable.
        let all: f64 = counts.iter().map(|&count| count as f64 + 0.5).sum();
        Self {
            name: name.to_owned(),
            of,
            expected: counts.iter().map(|&count| (count as f64 + 0.5) / all).collect(),
            limit,
            window,
            latest: VecDeque::with_capacity(window),
            counts: vec![0; counts.len()],
            distance: 0.0,
            off: false,
        }
    }

    /// Puts an observation in the place of the oldest.
    fn take(&mut self, bin: usize) {
        if self.latest.len() == self.window
            && let Some(oldest) = self.latest.pop_front()
        {
            self.counts[usize::from(oldest)] -= 1;
        }
        self.latest.push_back(bin as u16);
        self.counts[bin] += 1;
        if self.latest.len() == self.window {
            self.distance = self.distance();
            self.off = self.distance > if self.off { ENDS * self.limit } else { self.limit };
        }
    }

    fn distance(&self) -> f64 {
        let of = self.window as f64;
        match self.of {
            Of::Classes => pearson(&self.counts, &self.expected, of),
            Of::Confidences(..) => anderson_darling(&self.counts, &self.expected, of),
        }
    }

    fn of_limit(&self) -> f64 {
        if self.limit > 0.0 { self.distance / self.limit } else { f64::from(u8::from(self.off)) }
    }
}

/// Pearson's chi-square of the counts of `of` observations against the expected frequencies.
fn pearson(counts: &[u32], expected: &[f64], of: f64) -> f64 {
    let terms = counts.iter().zip(expected).map(|(&count, expected)| {
        let expected = expected * of;
        (f64::from(count) - expected).powi(2) / expected
    });
    terms.sum()
}

/// The distance of Anderson and Darling on bins in order: at each edge between two, the squared difference of the numbers below
/// it by its variance. Unlike a chi-square, it adds up small shifts in one direction.
fn anderson_darling(counts: &[u32], expected: &[f64], of: f64) -> f64 {
    let (mut below, mut share, mut sum) = (0, 0.0, 0.0);
    for (&count, expected) in counts.iter().zip(expected).take(counts.len() - 1) {
        below += count;
        share += expected;
        sum += (f64::from(below) - of * share).powi(2) / (of * share * (1.0 - share));
    }
    sum
}
