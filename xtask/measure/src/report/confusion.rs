//! Which classes the system takes for which.

use std::cmp::Reverse;

use serde::{Deserialize, Serialize};

use super::Outcome;

/// Most classes for which a matrix can be read; the page's limit, too.
pub const MOST_CLASSES: usize = 20;
/// Most pairs of classes that are listed in its place.
const MOST_PAIRS: usize = 20;

/// How many pictures of each class got which answer.
pub struct Confusion<'a> {
    /// Names of the classes.
    pub classes: &'a [String],
    /// By true class, then by answer.
    counts: Vec<Vec<usize>>,
}

/// Two classes that the system confuses.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub struct Confused {
    class: String,
    taken_for: String,
    /// Number of pictures of `class` that are answered with `taken_for`.
    pictures: usize,
}

impl<'a> Confusion<'a> {
    /// Counts the system's answers.
    pub fn of(classes: &'a [String], outcomes: &[Outcome]) -> Self {
        let mut counts = vec![vec![0; classes.len()]; classes.len()];
        for outcome in outcomes {
            counts[outcome.label][outcome.answer().label] += 1;
        }
        Self { classes, counts }
    }

    /// Number of pictures of a class.
    pub fn pictures(&self, class: usize) -> usize {
        self.counts[class].iter().sum()
    }

    /// Number of pictures that are answered with a class, rightly or wrongly.
    pub fn answers(&self, class: usize) -> usize {
        self.counts.iter().map(|row| row[class]).sum()
    }

    /// Number of pictures of a class that are answered with it.
    pub fn right(&self, class: usize) -> usize {
        self.counts[class][class]
    }

    /// The other class that pictures of this one are most often answered with, and of equal ones the first. `None` if all
    /// are answered rightly.
    pub fn taken_for(&self, class: usize) -> Option<usize> {
        let others = self.counts[class].iter().enumerate();
        let others = others.filter(|&(other, &count)| other != class && count > 0);
        others.min_by_key(|&(_, &count)| Reverse(count)).map(|(other, _)| other)
    }

    /// The counts, if there are few enough classes; otherwise nothing.
    pub fn matrix(&self) -> Vec<Vec<usize>> {
        if self.classes.len() <= MOST_CLASSES { self.counts.clone() } else { vec![] }
    }

    /// If there are too many classes for a matrix: those most often confused, of equal ones the first.
    pub fn pairs(&self) -> Vec<Confused> {
        if self.classes.len() <= MOST_CLASSES {
            return vec![];
        }
        let mut pairs = vec![];
        for (class, row) in self.counts.iter().enumerate() {
            let others = row.iter().enumerate();
            let wrong = others.filter(|&(other, &count)| other != class && count > 0);
            pairs.extend(wrong.map(|(other, &count)| (class, other, count)));
        }
        pairs.sort_by_key(|&(.., count)| Reverse(count));
        pairs.truncate(MOST_PAIRS);
        let name = |class: usize| self.classes[class].clone();
        let named = pairs.into_iter().map(|(class, other, pictures)| Confused {
            class: name(class),
            taken_for: name(other),
            pictures,
        });
        named.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::answered;
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|class| format!("class-{class}")).collect()
    }

    /// Outcomes of pictures with these true classes and answers, in turn at the edge and in the cloud.
    fn outcomes(pairs: &[[usize; 2]]) -> Vec<Outcome<'static>> {
        let ended = |index| (index % 2 == 0).then_some(0);
        let pairs = pairs.iter().enumerate();
        pairs.map(|(index, &pair)| answered("one", pair, 0.5, ended(index))).collect()
    }

    #[test]
    fn rows_are_true_classes_and_columns_are_answers() {
        let (names, outcomes) = (names(3), outcomes(&[[0, 0], [0, 2], [0, 2], [2, 2], [2, 0]]));
        let confusion = Confusion::of(&names, &outcomes);
        assert_eq!(confusion.matrix(), [[1, 0, 2], [0, 0, 0], [1, 0, 1]]);
        assert_eq!((confusion.pictures(0), confusion.answers(0), confusion.right(0)), (3, 2, 1));
        let all: usize = confusion.matrix().iter().flatten().sum();
        assert_eq!(all, outcomes.len());
        assert!(confusion.pairs().is_empty());
    }

    #[test]
    fn of_answers_that_are_as_frequent_the_first_class_counts() {
        let (names, outcomes) = (names(4), outcomes(&[[1, 3], [1, 0], [1, 1], [1, 1], [2, 2]]));
        let confusion = Confusion::of(&names, &outcomes);
        let taken_for: Vec<_> = (0..4).map(|class| confusion.taken_for(class)).collect();
        assert_eq!(taken_for, [None, Some(0), None, None]);
    }

    #[test]
    fn a_hundred_classes_are_listed_by_pairs() {
        let names = names(100);
        // Class n is taken for the one before it n times, up to ten times, and is right once.
        let mistakes = (1..100).flat_map(|class| vec![[class, class - 1]; class.min(10)]);
        let right = (0..100).map(|class| [class, class]);
        let pairs: Vec<_> = mistakes.chain(right).collect();
        let outcomes = outcomes(&pairs);
        let confusion = Confusion::of(&names, &outcomes);
        assert!(confusion.matrix().is_empty());
        let pairs = confusion.pairs();
        assert_eq!(pairs.len(), MOST_PAIRS);
        let first =
            Confused { class: "class-10".into(), taken_for: "class-9".into(), pictures: 10 };
        assert_eq!(pairs[0], first);
        assert_eq!((pairs[19].class.as_str(), pairs[19].pictures), ("class-29", 10));
    }

    #[test]
    fn as_many_classes_as_the_page_shows_have_a_matrix() {
        let (at_most, more) = (names(MOST_CLASSES), names(MOST_CLASSES + 1));
        let outcomes = outcomes(&[[19, 3]]);
        let few = Confusion::of(&at_most, &outcomes);
        assert_eq!((few.matrix().len(), few.pairs().len()), (20, 0));
        let many = Confusion::of(&more, &outcomes);
        assert_eq!((many.matrix().len(), many.pairs().len()), (0, 1));
    }
}
