//! The name of a spooled sample.

use core::fmt;

use serde::{Serialize, Serializer};

/// The digits of the sequence number in a name.
const DIGITS: usize = 12;

/// The name of a spooled sample: its sequence number, and the start of its request id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name {
    pub(super) sequence: u64,
    pub(super) tag: u32,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}-{:08x}", self.sequence, self.tag)
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Name {
    /// Parses a file name without its extension; `None` if it is not a spooled sample's.
    pub(super) fn parse(stem: &str) -> Option<Self> {
        let (sequence, tag) = stem.split_once('-')?;
        let name =
            Self { sequence: sequence.parse().ok()?, tag: u32::from_str_radix(tag, 16).ok()? };
        // Only the canonical form: not `+1`, for example.
        (name.to_string() == stem && sequence.len() == DIGITS).then_some(name)
    }
}
