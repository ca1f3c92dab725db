//! The operations of a packed model, in order.

use serde::Serialize;

use crate::ops::Op;
use crate::tensor::Blob;

/// The newest format version. It is written only for models that need it: with nested or shared weights, or with ways. Others
/// are written as version 1, which older edges can read.
pub const VERSION: u32 = 2;

/// The operations of a model, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Program {
    /// The operations. Each reads only earlier ones; those that an exit needs come before the exit.
    pub ops: Vec<Op>,
    /// The indices of the operations whose results are the exits' logits, ascending.
    pub exits: Vec<usize>,
    /// The index of the operation whose result is the map at the split point. Exits may read it.
    pub split: usize,
    /// Stretches of operations that only some samples run, in order. All samples run the other operations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<Stretch>,
    /// The file of the coder of the split's maps, in the data. An engine that does not know coders sends plain maps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub coder: Option<Blob>,
}

/// The operations in `from..to`, which only samples on `way` run.
///
/// Their results are read on the same way, or by [`Either`](crate::ops::Either). An exit among them is reached on that way
/// only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The way's index, from 0.
    pub way: u8,
    /// The index of the first operation in the stretch.
    pub from: usize,
    /// The index of the first operation after the stretch.
    pub to: usize,
}

impl Program {
    /// The way whose samples run operation `op`, or `None` if all samples do.
    pub fn way_of(&self, op: usize) -> Option<u8> {
        let around = |stretch: &&Stretch| (stretch.from..stretch.to).contains(&op);
        self.stretches.iter().find(around).map(|stretch| stretch.way)
    }

    /// The number of ways; 1 if all samples take the same.
    pub fn ways(&self) -> u8 {
        self.stretches.iter().map(|stretch| stretch.way + 1).max().unwrap_or(1)
    }

    /// The oldest format version that can express this program. New operations need no new version: an engine that does not know
    /// one refuses it by name.
    pub(super) fn version(&self) -> u32 {
        let newer =
            |op: &Op| op.filter().is_some_and(|(_, filter)| filter.nested + filter.share > 0);
        if self.stretches.is_empty() && !self.ops.iter().any(newer) { 1 } else { VERSION }
    }
}
