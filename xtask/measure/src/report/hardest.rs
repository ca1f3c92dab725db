//! The pictures that the system is wrong about while it is sure.

use fogline::manifest::Manifest;
use serde::{Deserialize, Serialize};

use super::{Outcome, rounded};

/// Most pictures that are listed.
const MOST: usize = 20;

/// A picture with a wrong answer.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// Its name in the dataset.
    picture: String,
    /// Its true class.
    class: String,
    answer: String,
    /// Probability of the answer, with four decimals.
    confidence: f64,
    /// Name of the exit that answered, or `cloud`.
    origin: String,
}

/// The wrong answers of highest confidence, highest first; equal ones in the dataset's order.
pub fn of(manifest: &Manifest, outcomes: &[Outcome]) -> Vec<Mistake> {
    let mut wrong: Vec<&Outcome> = outcomes.iter().filter(|outcome| !outcome.right()).collect();
    wrong.sort_by(|a, b| b.answer().confidence.total_cmp(&a.answer().confidence));
    let mistake = |outcome: &&Outcome| Mistake {
        picture: outcome.picture.to_owned(),
        class: manifest.classes[outcome.label].clone(),
        answer: manifest.classes[outcome.answer().label].clone(),
        confidence: rounded(f64::from(outcome.answer().confidence)),
        origin: outcome.ended.map_or("cloud", |exit| &manifest.exits[exit].name).to_owned(),
    };
    wrong.iter().take(MOST).map(mistake).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{answered, manifest};
    use super::*;

    #[test]
    fn sure_mistakes_come_first_and_right_answers_not_at_all() {
        let outcomes = [
            answered("test/a/1.jpg", [0, 0], 1.0, Some(0)),
            answered("test/a/2.jpg", [0, 1], 0.6, None),
            answered("test/b/1.jpg", [1, 0], 0.912_345, Some(0)),
            answered("test_batch.bin[3]", [1, 0], 0.6, Some(0)),
        ];
        let hardest = of(&manifest(), &outcomes);
        let names: Vec<&str> = hardest.iter().map(|mistake| mistake.picture.as_str()).collect();
        // Equal ones stay in order.
        assert_eq!(names, ["test/b/1.jpg", "test/a/2.jpg", "test_batch.bin[3]"]);
        let first = r#"{"picture":"test/b/1.jpg","class":"b","answer":"a","confidence":0.9123,"origin":"exit-1"}"#;
        assert_eq!(serde_json::to_string(&hardest[0]).unwrap(), first);
        assert_eq!(hardest[1].origin, "cloud");
    }

    #[test]
    fn the_list_is_short() {
        let outcomes: Vec<_> = (0_u8..50)
            .map(|index| answered("one", [0, 1], f32::from(index) / 50.0, Some(0)))
            .collect();
        let hardest = of(&manifest(), &outcomes);
        assert_eq!(hardest.len(), MOST);
        assert_eq!((hardest[0].confidence, hardest[19].confidence), (0.98, 0.6));
    }
}
