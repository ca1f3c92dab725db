//! Audits: how often the cloud disagrees with answers of which an exit was sure.
//!
//! A random share of the sure answers is audited, so the share of disagreement among them estimates that among all:
//!
//! ```
//! use fogline_edge::device::audits::Estimate;
//!
//! let estimate = Estimate::of(3, 200);
//! assert_eq!(estimate.share, 0.015);
//! assert!(estimate.low > 0.005 && estimate.high < 0.044);
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::session::{Answer, Audit};

/// The 97.5% quantile of the normal distribution.
const Z: f64 = 1.959_964;

/// Audits by exit and by the class that the exit answered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Audits(BTreeMap<String, BTreeMap<String, Outcomes>>);

/// The outcomes of audits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// The cloud gave the same class.
    pub agreed: u64,
    /// The cloud gave another class.
    pub disagreed: u64,
    /// The cloud did not answer, so these say nothing.
    pub unanswered: u64,
}

/// A share that was estimated from a sample, with its 95% confidence interval (Wilson 1927).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// The share in the sample, 0 to 1; 0 of an empty sample.
    pub share: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// All audits added up, as reports show them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary<'a> {
    /// The sum over exits and classes.
    #[serde(flatten)]
    pub outcomes: Outcomes,
    /// The share of sure answers that the cloud disagrees with.
    pub disagreement: Estimate,
    /// The outcomes by exit and class.
    pub by: &'a Audits,
}

impl Outcomes {
    fn add(&mut self, other: Self) {
        self.agreed += other.agreed;
        self.disagreed += other.disagreed;
        self.unanswered += other.unanswered;
    }

    /// Each outcome's name and number.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, u64)> {
        let Self { agreed, disagreed, unanswered } = self;
        [("agreed", agreed), ("disagreed", disagreed), ("unanswered", unanswered)].into_iter()
    }

    /// The estimated share of disagreement.
    pub fn disagreement(self) -> Estimate {
        Estimate::of(self.disagreed, self.agreed + self.disagreed)
    }
}

impl Estimate {
    /// The estimate from `count` of `of`.
    pub fn of(count: u64, of: u64) -> Self {
        if of == 0 {
            return Self { share: 0.0, low: 0.0, high: 1.0 };
        }
        let (n, share) = (of as f64, count as f64 / of as f64);
        let middle = share + Z * Z / (2.0 * n);
        let reach = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let scale = 1.0 + Z * Z / n;
        Self {
            share,
            low: ((middle - reach) / scale).max(0.0),
            high: ((middle + reach) / scale).min(1.0),
        }
    }
}

impl Audits {
    /// Counts an answer if it was audited.
    pub fn count(&mut self, answer: &Answer) {
        let Some(audit) = &answer.audit else { return };
        let outcomes = match **audit {
            Audit::Answered { agrees: true, .. } => Outcomes { agreed: 1, ..Outcomes::default() },
            Audit::Answered { .. } => Outcomes { disagreed: 1, ..Outcomes::default() },
            Audit::Unanswered { .. } => Outcomes { unanswered: 1, ..Outcomes::default() },
        };
        self.at(&answer.origin, &answer.label).add(outcomes);
    }

    /// Adds the audits of another run or instance to these.
    pub fn add(&mut self, other: &Self) {
        for (exit, class, outcomes) in other.iter() {
            self.at(exit, class).add(outcomes);
        }
    }

    fn at(&mut self, exit: &str, class: &str) -> &mut Outcomes {
        self.0.entry(exit.to_owned()).or_default().entry(class.to_owned()).or_default()
    }

    /// Every exit and class with its outcomes, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str, Outcomes)> {
        self.0.iter().flat_map(|(exit, classes)| {
            classes.iter().map(|(class, &outcomes)| (exit.as_str(), class.as_str(), outcomes))
        })
    }

    /// All audits added up; `None` if there were none.
    pub fn summary(&self) -> Option<Summary<'_>> {
        let mut outcomes = Outcomes::default();
        self.iter().for_each(|(_, _, more)| outcomes.add(more));
        let disagreement = outcomes.disagreement();
        (outcomes != Outcomes::default()).then_some(Summary { outcomes, disagreement, by: self })
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;

    #[test]
    fn an_estimate_s_interval_covers_the_true_share_as_often_as_it_says() {
        let mut state = 1_u64;
        let mut chance = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        for truth in [0.01, 0.05, 0.3] {
            let covered = (0..2000)
                .filter(|_| {
                    let count = (0..300).filter(|_| chance() < truth).count() as u64;
                    let Estimate { low, high, .. } = Estimate::of(count, 300);
                    low <= truth && truth <= high
                })
                .count();
            assert!((1860..=1960).contains(&covered), "{truth}: {covered} of 2000");
        }
    }

    #[test]
    fn nothing_audited_means_nothing_known() {
        assert_eq!(Estimate::of(0, 0), Estimate { share: 0.0, low: 0.0, high: 1.0 });
        assert_eq!(Audits::default().summary(), None);
    }

    #[test]
    fn audits_add_up_by_exit_and_class() {
        let one = |exit: &str, class: &str, disagreed| {
            let mut audits = Audits::default();
            audits.at(exit, class).add(Outcomes { agreed: 9, disagreed, unanswered: 1 });
            audits
        };
        let mut all = one("exit-1", "cat", 1);
        all.add(&one("exit-1", "cat", 2));
        all.add(&one("exit-2", "dog", 0));
        let found: Vec<_> =
            all.iter().map(|(exit, class, of)| (exit, class, of.disagreed)).collect();
        assert_eq!(found, [("exit-1", "cat", 3), ("exit-2", "dog", 0)]);
        let summary = all.summary().unwrap();
        assert_eq!((summary.outcomes.agreed, summary.outcomes.unanswered), (27, 3));
        assert_eq!(summary.disagreement.share, 0.1);
        let json = serde_json::to_string(&all).unwrap();
        assert_eq!(serde_json::from_str::<Audits>(&json).unwrap(), all);
    }
}
