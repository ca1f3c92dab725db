//! Why bytes are not a packed model.

use core::fmt;

use super::program::VERSION;

/// Why bytes are not a packed model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FogError {
    /// The bytes end early or go on too long.
    Length,
    /// Not the magic of a packed model.
    Magic,
    /// Packed for another version of Fogline.
    Version(u32),
    /// The program is not one; says why.
    Program(String),
    /// Operation `index` does not fit; says why.
    Op {
        /// Its index.
        index: usize,
        /// What is wrong.
        why: String,
    },
}

impl FogError {
    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Length => "fog_length",
            Self::Magic => "fog_magic",
            Self::Version(_) => "fog_version",
            Self::Program(_) | Self::Op { .. } => "fog_invalid",
        }
    }
}

impl fmt::Display for FogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the packed model is cut short, too long or too large"),
            Self::Magic => f.write_str("this is not a packed edge model (edge.fog)"),
            Self::Version(v) => write!(
                f,
                "the packed model has format {v}, this version of Fogline reads up to {VERSION}: pack it anew"
            ),
            Self::Program(why) => write!(f, "the packed model's program: {why}"),
            Self::Op { index, why } => write!(f, "operation {index} of the packed model: {why}"),
        }
    }
}

impl std::error::Error for FogError {}
