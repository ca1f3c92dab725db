//! Why bytes are not a valid packed model.

use core::fmt;

use super::program::VERSION;

/// Why bytes are not a valid packed model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FogError {
    /// The bytes are shorter or longer than the header states, or over the limit.
    Length,
    /// The bytes do not begin with the magic of a packed model.
    Magic,
    /// The model has a newer format version, given here.
    Version(u32),
    /// The program is invalid, for this reason.
    Program(String),
    /// One of the operations is invalid, for this reason.
    Op {
        /// The operation's index, from 0.
        index: usize,
        /// What is wrong with it.
        why: String,
    },
}

impl FogError {
    /// The stable error code, such as `fog_magic`.
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
                "the packed model has format {v}, this version of Fogline reads up to {VERSION}: repack it"
            ),
            Self::Program(why) => write!(f, "the packed model's program: {why}"),
            Self::Op { index, why } => write!(f, "operation {index} of the packed model: {why}"),
        }
    }
}

impl std::error::Error for FogError {}
