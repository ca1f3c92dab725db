//! When an exit is sure enough to answer: the same decision, bit for bit, everywhere.
//!
//! `libm` computes exponential and logarithm in software, and sums run in index order. A browser,
//! a gateway and a test on a workstation therefore decide alike on equal logits.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

/// The table of policies as JSON: an array of [`Rule`]s, for code that is not written in Rust.
pub const POLICIES: &str = include_str!("../policies.json");

/// On which side of its threshold an exit is sure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Sure {
    /// At or below the threshold.
    AtMost,
    /// At or above the threshold.
    AtLeast,
}

/// The largest value that a measure can have; the smallest is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Most {
    /// The measure is a probability or a difference of two, so at most 1.
    One,
    /// The natural logarithm of the number of classes.
    LnClasses,
}

/// A policy's row in the table of policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Rule {
    /// The policy's name in manifests and options.
    pub name: &'static str,
    /// What the policy measures, as the page words it.
    pub title: &'static str,
    /// Which side of the threshold is sure.
    pub sure: Sure,
    /// The largest value of the measure.
    pub most: Most,
    /// Whether exits must score their own answer, in addition to the classes.
    pub own_score: bool,
}

/// Makes the enum and the table from one list, so that a policy without a row does not compile. A test keeps
/// `policies.json` equal to the table.
macro_rules! policies {
    ($($(#[$doc:meta])* $Policy:ident $rule:tt)*) => {
        /// How an exit's certainty is measured.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        #[non_exhaustive]
        pub enum Policy {
            $($(#[$doc])* $Policy,)*
        }

        impl Policy {
            /// Every policy, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$Policy),*];

            /// The policy's row in the table.
            pub const fn rule(self) -> &'static Rule {
                match self {
                    $(Self::$Policy => &Rule $rule,)*
                }
            }
        }
    };
}

policies! {
    /// Shannon entropy of the softmax in nats; sure at or below the threshold (arXiv 2005.10851).
    Entropy { name: "entropy", title: "entropy", sure: Sure::AtMost, most: Most::LnClasses, own_score: false }
    /// The largest probability; sure at or above the threshold.
    MaxProbability {
        name: "max_probability", title: "largest probability", sure: Sure::AtLeast, most: Most::One, own_score: false
    }
    /// The largest probability minus the second largest; sure at or above the threshold.
    Margin { name: "margin", title: "lead over the second", sure: Sure::AtLeast, most: Most::One, own_score: false }
    /// The exit's own prediction that its answer is right; sure at or above the threshold. It is the sigmoid of one more
    /// score than there are classes (AppealNet, Li et al. 2021, arXiv 2105.04104).
    Appeal { name: "appeal", title: "its own prediction", sure: Sure::AtLeast, most: Most::One, own_score: true }
}

impl Policy {
    /// The policy's name in manifests and options.
    pub const fn name(self) -> &'static str {
        self.rule().name
    }

    /// The names of the policies that `wanted` accepts, separated by commas.
    pub fn names(wanted: impl Fn(&Rule) -> bool) -> String {
        let mut names = String::new();
        for rule in Self::ALL.iter().map(|policy| policy.rule()).filter(|rule| wanted(rule)) {
            names.push_str(if names.is_empty() { "" } else { ", " });
            names.push_str(rule.name);
        }
        names
    }

    /// Whether a smaller measure is surer, as with entropy.
    pub fn less_is_surer(self) -> bool {
        self.rule().sure == Sure::AtMost
    }

    /// Whether `certainty` passes `threshold`. A NaN never does.
    pub fn is_sure(self, certainty: f32, threshold: f32) -> bool {
        if self.less_is_surer() { certainty <= threshold } else { certainty >= threshold }
    }

    /// The measure of `probabilities`, and for [`Policy::Appeal`] of the exit's `score` of its own answer. NaN if a
    /// probability is NaN, or if the policy needs a score and there is none.
    pub fn certainty(self, probabilities: &[f32], score: Option<f32>) -> f32 {
        if probabilities.iter().any(|p| p.is_nan()) {
            return f32::NAN;
        }
        let [first, second] = probabilities
            .iter()
            .fold([0.0_f32; 2], |[a, b], &p| if p > a { [p, a] } else { [a, b.max(p)] });
        match self {
            Self::Entropy => entropy(probabilities),
            Self::MaxProbability => first,
            Self::Margin => first - second,
            Self::Appeal => score.map_or(f32::NAN, sigmoid),
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Policy {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .iter()
            .copied()
            .find(|policy| policy.name() == name)
            .ok_or_else(|| format!("no policy '{name}': use {}", Self::names(|_| true)))
    }
}

/// An exit's answer for one sample.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// The index of the most probable class; the first of equal ones.
    pub label: usize,
    /// One probability per class.
    pub scores: Vec<f32>,
    /// The probability of `label`.
    pub confidence: f32,
    /// The policy's measure.
    pub certainty: f32,
    /// Whether the measure passes the threshold.
    pub sure: bool,
}

impl Verdict {
    /// Judges the logits of `classes` classes at `temperature` (1 leaves them as they are). One more logit is the exit's
    /// score of its own answer, for [`Policy::Appeal`].
    ///
    /// # Panics
    /// If there are fewer logits than classes, or no class; a manifest has at least two.
    pub fn of(
        logits: &[f32],
        classes: usize,
        temperature: f32,
        policy: Policy,
        threshold: f32,
    ) -> Self {
        let scores = softmax(&logits[..classes], temperature);
        let label =
            (1..scores.len()).fold(0, |best, i| if scores[i] > scores[best] { i } else { best });
        let certainty = policy.certainty(&scores, logits.get(classes).copied());
        let sure = policy.is_sure(certainty, threshold);
        Self { label, confidence: scores[label], scores, certainty, sure }
    }

    /// The verdict of the last head, after which nobody else is asked: always sure.
    pub fn last(logits: &[f32]) -> Self {
        Self::of(logits, logits.len(), 1.0, Policy::MaxProbability, 0.0)
    }
}

/// 1 / (1 + exp(-x)).
fn sigmoid(x: f32) -> f32 {
    (1.0 / (1.0 + libm::exp(-f64::from(x)))) as f32
}

/// Softmax of `logits / temperature`.
pub fn softmax(logits: &[f32], temperature: f32) -> Vec<f32> {
    let top = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> =
        logits.iter().map(|&z| libm::exp(f64::from(z - top) / f64::from(temperature))).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|&e| (e / sum) as f32).collect()
}

/// Shannon entropy in nats: 0 if one class is certain, ln(classes) if all are equally probable.
pub fn entropy(probabilities: &[f32]) -> f32 {
    let sum: f64 = probabilities
        .iter()
        .filter(|&&p| p > 0.0)
        .map(|&p| -f64::from(p) * libm::log(f64::from(p)))
        .sum();
    sum as f32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_that_others_read_is_this_one() {
        let rules: Vec<&Rule> = Policy::ALL.iter().map(|policy| policy.rule()).collect();
        let written: serde_json::Value = serde_json::from_str(POLICIES).unwrap();
        let table = serde_json::to_string_pretty(&rules).unwrap();
        assert_eq!(
            serde_json::to_value(&rules).unwrap(),
            written,
            "policies.json should hold:\n{table}"
        );
        for policy in Policy::ALL {
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.name());
            assert_eq!(policy.name().parse::<Policy>(), Ok(*policy));
        }
    }

    #[test]
    fn entropy_runs_from_zero_to_ln_classes() {
        assert!(entropy(&[1.0, 0.0, 0.0]) == 0.0);
        assert!((entropy(&[0.1; 10]) - 10.0_f32.ln()).abs() < 1e-6);
    }

    #[test]
    fn each_policy_measures_what_it_says() {
        let p = [0.2, 0.7, 0.1];
        let near = |policy: Policy, expected: f32| {
            (policy.certainty(&p, Some(-1.0)) - expected).abs() < 1e-6
        };
        assert!(near(Policy::Margin, 0.5));
        assert!(near(Policy::MaxProbability, 0.7));
        assert!(near(Policy::Entropy, 0.801_818_6));
        assert!(near(Policy::Appeal, 0.268_941_4));
        assert!(Policy::Appeal.certainty(&p, None).is_nan());
    }

    #[test]
    fn a_threshold_tie_is_sure_and_nan_never_is() {
        for &policy in Policy::ALL {
            assert!(policy.is_sure(0.5, 0.5));
            assert!(!policy.is_sure(f32::NAN, 0.5));
        }
    }

    #[test]
    fn equal_logits_answer_the_first_class() {
        let verdict = Verdict::of(&[1.0, 1.0, 1.0], 3, 1.0, Policy::Entropy, 0.1);
        assert_eq!((verdict.label, verdict.sure), (0, false));
    }

    #[test]
    fn a_high_temperature_flattens() {
        let cold = softmax(&[2.0, 0.0], 1.0);
        let hot = softmax(&[2.0, 0.0], 4.0);
        assert!(hot[0] < cold[0] && hot[0] > 0.5);
        assert!((hot.iter().sum::<f32>() - 1.0).abs() < 1e-6);
    }

    #[test]
    fn no_exit_is_sure_of_what_is_not_a_number() {
        for logits in [[f32::NAN, 0.0], [f32::INFINITY, 0.0], [f32::NEG_INFINITY; 2]] {
            for &policy in Policy::ALL {
                let threshold = if policy.less_is_surer() { 99.0 } else { -99.0 };
                let verdict = Verdict::of(&logits, 2, 1.0, policy, threshold);
                assert!(!verdict.sure, "{policy}: {logits:?}");
            }
        }
    }

    #[test]
    fn an_exit_that_predicts_its_own_answer_names_only_classes() {
        let verdict = Verdict::of(&[0.0, 1.0, 9.0], 2, 1.0, Policy::Appeal, 0.5);
        assert_eq!((verdict.label, verdict.scores.len(), verdict.sure), (1, 2, true));
        assert!(!Verdict::of(&[0.0, 1.0, f32::NAN], 2, 1.0, Policy::Appeal, -1.0).sure);
    }

    #[test]
    fn large_logits_do_not_overflow() {
        assert_eq!(softmax(&[1e30, 0.0], 1.0), [1.0, 0.0]);
    }
}
