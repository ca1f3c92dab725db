//! Evaluation on pictures of known classes: accuracy, origins, bytes, energy.

use std::collections::BTreeMap;

use fogline::energy::{self, Constants, Ending, Terms};
use fogline::manifest::Manifest;
use serde::Serialize;

use super::answer::Answer;

/// A number of pictures, and how many of them were answered correctly.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// The number of pictures that were answered.
    pub pictures: u64,
    /// The number of those that were labelled with their class.
    pub right: u64,
}

impl Tally {
    fn add(&mut self, right: bool) {
        self.pictures += 1;
        self.right += u64::from(right);
    }

    /// The share of correct answers; 0 if there are no pictures.
    pub fn accuracy(&self) -> f64 {
        self.right as f64 / self.pictures.max(1) as f64
    }
}

/// Counts of answers to pictures of known classes.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Score {
    /// Every answer, degraded or not.
    pub all: Tally,
    /// Answers that are not degraded, by origin.
    pub origins: BTreeMap<String, Tally>,
    /// Answers that an exit gave in place of the cloud, by error code.
    pub degraded: BTreeMap<String, Tally>,
    /// Bytes sent to the cloud.
    pub bytes_sent: u64,
    /// Bytes of the picture files, as if they had been sent instead.
    pub file_bytes: u64,
    /// Energy of all answers that are not degraded, in picojoules.
    pub energy: Terms,
}

impl Score {
    /// Counts the answer to a picture of class `index`, from a file of `file_bytes` bytes.
    pub fn add(&mut self, manifest: &Manifest, answer: &Answer, index: usize, file_bytes: usize) {
        let right = answer.index == index;
        self.all.add(right);
        self.bytes_sent += answer.bytes_sent as u64;
        self.file_bytes += file_bytes as u64;
        if let Some(degraded) = &answer.degraded {
            self.degraded.entry(degraded.reason.clone()).or_default().add(right);
            return;
        }
        self.origins.entry(answer.origin.clone()).or_default().add(right);
        let exit = manifest.exits.iter().position(|exit| exit.name == answer.origin);
        let ending = exit.map_or(Ending::Cloud, Ending::Exit);
        self.energy +=
            energy::of_sample(manifest, ending, answer.way.unwrap_or(0), &Constants::default());
    }

    /// The mean energy per picture in picojoules. `None` if an answer is degraded: the energy that the cloud did not spend
    /// would look like savings.
    pub fn mean_energy(&self) -> Option<Terms> {
        self.degraded.is_empty().then(|| self.energy / self.all.pictures.max(1) as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloud::{Asked, CloudError};
    use crate::kernel::Backend;
    use crate::session::Session;
    use crate::session::draft::Draft;

    #[test]
    fn what_is_counted_adds_up() {
        let manifest = include_bytes!("../../tests/tiny/manifest.json");
        let model = include_bytes!("../../tests/tiny/edge.fog");
        let mut session = Session::load(manifest, model, Backend::fastest()).unwrap();
        let none = vec![-1.0; session.thresholds().len()];
        session.decide_by(session.policy(), Some(&none)).unwrap();
        let pass = session.run_edge(&[127; 16 * 16 * 3]);
        let logits =
            |top| (0..session.manifest().classes.len()).map(move |c| f32::from(u8::from(c == top)));
        let cloud = Asked {
            result: Ok(logits(1).collect()),
            ms: 1.0,
            function_ms: Some(0.5),
            bytes_sent: 100,
        };
        let late =
            Asked { result: Err(CloudError::Late), ms: 1.0, function_ms: None, bytes_sent: 50 };
        let mut score = Score::default();
        let add = |score: &mut Score, outcome, index| {
            let draft = Draft::of(&session, pass.clone(), 1.0);
            let answer = draft.conclude(session.manifest(), Some(outcome), [0; 16]);
            score.add(session.manifest(), &answer, index, 1000);
        };
        add(&mut score, cloud.clone(), 1);
        add(&mut score, cloud, 0);
        let one = energy::of_sample(session.manifest(), Ending::Cloud, 0, &Constants::default());
        assert_eq!(score.mean_energy(), Some(one));
        add(&mut score, late, usize::MAX);
        assert_eq!(score.mean_energy(), None);
        assert_eq!(score.all, Tally { pictures: 3, right: 1 });
        assert_eq!(score.origins["cloud"], Tally { pictures: 2, right: 1 });
        assert_eq!(score.degraded["cloud_late"], Tally { pictures: 1, right: 0 });
        assert_eq!((score.bytes_sent, score.file_bytes), (250, 3000));
        assert_eq!(score.origins["cloud"].accuracy(), 0.5);
    }
}
