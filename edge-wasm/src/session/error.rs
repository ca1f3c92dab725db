//! Why a pair cannot be loaded.

use core::fmt;

use fogline::manifest::{EDGE_FOG, ManifestError};

use crate::model::FogError;

/// Why a pair cannot be loaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest.
    Manifest(ManifestError),
    /// The packed model.
    Fog(FogError),
    /// The packed model is not the one that the manifest names.
    Corrupt,
    /// The manifest and the packed model contradict each other.
    Mismatch(String),
}

impl LoadError {
    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Manifest(error) => error.word(),
            Self::Fog(error) => error.word(),
            Self::Corrupt => fogline::refusal::MODEL_CORRUPT,
            Self::Mismatch(_) => "model_mismatch",
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
                "{EDGE_FOG} does not have the size and SHA-256 that the manifest states: fetch it again"
            ),
            Self::Mismatch(why) => {
                write!(f, "manifest and {EDGE_FOG} contradict each other: {why}")
            }
        }
    }
}

impl std::error::Error for LoadError {}
