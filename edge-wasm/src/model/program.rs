//! What a packed model does, in order.

use serde::Serialize;

use crate::ops::Op;

/// The newest format version, and what is written where a model needs it: for weights that are nested or shared, and for
/// ways. Others are of version 1, which edges in the field know.
pub const VERSION: u32 = 2;

/// What the model does, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Program {
    /// The operations; each reads only earlier ones. What an exit needs comes before the exit.
    pub ops: Vec<Op>,
    /// The operations whose results are the exits' logits, rising.
    pub exits: Vec<usize>,
    /// The last operation: the map that travels.
    pub split: usize,
    /// Stretches of operations that only some samples pass, in order; all samples pass the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<Stretch>,
}

/// The operations from `from` up to and without `to`, passed by the samples that take `way`.
///
/// What they give is read on the same way, or by [`Either`](crate::ops::Either); an exit among them is met on that way alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The way.
    pub way: u8,
    /// The first operation.
    pub from: usize,
    /// The first one behind it.
    pub to: usize,
}

impl Program {
    /// The way whose samples pass an operation; none where all do.
    pub fn way_of(&self, op: usize) -> Option<u8> {
        let around = |stretch: &&Stretch| (stretch.from..stretch.to).contains(&op);
        self.stretches.iter().find(around).map(|stretch| stretch.way)
    }

    /// How many ways there are; 1 where all samples go the same.
    pub fn ways(&self) -> u8 {
        self.stretches.iter().map(|stretch| stretch.way + 1).max().unwrap_or(1)
    }

    /// The oldest format version that knows its structure. A new operation needs no new version: an engine that does not know
    /// it refuses it by name.
    pub(super) fn version(&self) -> u32 {
        let newer =
            |op: &Op| op.filter().is_some_and(|(_, filter)| filter.nested + filter.share > 0);
        if self.stretches.is_empty() && !self.ops.iter().any(newer) { 1 } else { VERSION }
    }
}
