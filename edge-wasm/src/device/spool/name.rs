//! What a kept sample is called.

use core::fmt;

use serde::{Serialize, Serializer};

/// Digits of a sequence number in a name.
const DIGITS: usize = 12;

/// What a kept sample is called: its place in the order, and the start of its request's id.
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
    /// The name of a file that is a spool's, by its name without the ending.
    pub(super) fn parse(stem: &str) -> Option<Self> {
        let (sequence, tag) = stem.split_once('-')?;
        let name =
            Self { sequence: sequence.parse().ok()?, tag: u32::from_str_radix(tag, 16).ok()? };
        // Not `+1`, nor another way to write the same.
        (name.to_string() == stem && sequence.len() == DIGITS).then_some(name)
    }
}
