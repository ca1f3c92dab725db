//! Why a pair cannot be loaded, or cannot decide in a given way.

use core::fmt;

use fogline::manifest::{EDGE_FOG, ManifestError};
use fogline::policy::Policy;

use crate::model::FogError;

/// Why a pair cannot be loaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest cannot be parsed, or fails a check.
    Manifest(ManifestError),
    /// The packed model cannot be parsed, or fails a check.
    Fog(FogError),
    /// The packed model does not have the size and SHA-256 in the manifest.
    Corrupt,
    /// Manifest and packed model contradict each other.
    Mismatch(String),
    /// The exits cannot decide by the manifest's policy.
    Decision(DecisionError),
}

impl LoadError {
    /// The stable error code, such as `model_corrupt`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Manifest(error) => error.word(),
            Self::Fog(error) => error.word(),
            Self::Corrupt => fogline::refusal::MODEL_CORRUPT,
            Self::Mismatch(_) => "model_mismatch",
            Self::Decision(error) => error.word(),
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(error) => error.fmt(f),
            Self::Fog(error) => error.fmt(f),
            Self::Corrupt => write!(
                f,
                "{EDGE_FOG} does not match the size and SHA-256 in the manifest: fetch it again"
            ),
            Self::Mismatch(why) => {
                write!(f, "manifest and {EDGE_FOG} contradict each other: {why}")
            }
            Self::Decision(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for LoadError {}

impl From<DecisionError> for LoadError {
    fn from(error: DecisionError) -> Self {
        Self::Decision(error)
    }
}

/// Why a pair's exits cannot decide by a policy or thresholds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecisionError {
    /// The policy needs each exit's score of its own answer.
    NoScore {
        /// An exit without such a score.
        exit: String,
        /// The policy that was to decide.
        policy: Policy,
    },
    /// The manifest has no threshold for the policy, and none was given.
    NoThreshold {
        /// The exit without a threshold.
        exit: String,
        /// The policy that was to decide.
        policy: Policy,
    },
    /// The number of thresholds is not the number of exits that decide.
    Count {
        /// The number of thresholds given.
        given: usize,
        /// The number of exits that decide.
        exits: usize,
    },
    /// A threshold is NaN.
    NotANumber,
}

impl DecisionError {
    /// The stable error code, such as `policy_unavailable`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NoScore { .. } | Self::NoThreshold { .. } => "policy_unavailable",
            Self::Count { .. } | Self::NotANumber => "thresholds_invalid",
        }
    }
}

impl fmt::Display for DecisionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoScore { exit, policy } => write!(
                f,
                "{exit} does not score its own answer, as policy '{policy}' needs: choose another policy or pair"
            ),
            Self::NoThreshold { exit, policy } => write!(
                f,
                "{exit} has no threshold for policy '{policy}': give thresholds, or choose another policy"
            ),
            Self::Count { given, exits } => {
                write!(
                    f,
                    "{given} thresholds given, but {exits} exits decide: give one for each exit"
                )
            }
            Self::NotANumber => f.write_str("a threshold is not a number"),
        }
    }
}

impl std::error::Error for DecisionError {}
