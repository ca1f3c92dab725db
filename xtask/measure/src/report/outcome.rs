//! What every part made of one picture, and where it ended.

use fogline::energy::{self, Constants, Ending, Terms};
use fogline::manifest::Manifest;
use fogline::policy::Verdict;

/// A part's answer for one picture.
#[derive(Clone, Copy)]
pub struct Answer {
    /// Index of the class.
    pub label: usize,
    /// Its probability, from 0 to 1.
    pub confidence: f32,
}

impl Answer {
    /// The answer of a verdict.
    pub fn of(verdict: &Verdict) -> Self {
        Self { label: verdict.label, confidence: verdict.confidence }
    }
}

/// The results of all parts for one picture.
pub struct Outcome<'a> {
    /// The picture's name in its dataset.
    pub picture: &'a str,
    /// Index of its true class.
    pub label: usize,
    /// Each exit's answer.
    pub exits: Vec<Answer>,
    /// The final head's answer.
    pub cloud: Answer,
    /// Whether the full-precision twin was right, if there is one.
    pub twin: Option<bool>,
    /// Index of the exit that answered; `None` for the cloud.
    pub ended: Option<usize>,
    /// The way it took on the edge.
    pub way: u8,
    /// Size in bytes of the frame that it sends if no exit answers.
    pub frame: usize,
    /// Size in bytes of the JPEG that would be sent instead.
    pub jpeg: usize,
}

impl Outcome<'_> {
    /// The system's answer.
    pub fn answer(&self) -> Answer {
        self.ended.map_or(self.cloud, |exit| self.exits[exit])
    }

    /// Whether the system's answer was right.
    pub fn right(&self) -> bool {
        self.is_true(self.answer())
    }

    /// Whether a part's answer is the true class.
    pub fn is_true(&self, answer: Answer) -> bool {
        answer.label == self.label
    }

    /// Energy of the picture, by term.
    pub fn energy(&self, manifest: &Manifest, constants: &Constants) -> Terms {
        let ending = self.ended.map_or(Ending::Cloud, Ending::Exit);
        energy::of_sample(manifest, ending, self.way, constants)
    }
}
