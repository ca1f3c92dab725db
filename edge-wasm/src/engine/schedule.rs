//! What runs together, and where results lie: decided once, when a model is loaded.
//!
//! A *step* is an operation with the element-wise ones behind it (affine, sum, clip, PReLU, and the quantisers
//! that read it, on whatever way). It runs row by row, so that a row meets all of them while it is in the fastest memory,
//! and what only they read is never stored. Results that are stored lie in a few buffers: one is used
//! again as soon as nothing reads what it holds.

use super::places::places;
use super::steps::{Step, steps};
use crate::model::Program;
use crate::tensor::Shape;

/// The steps of a model, and the memory that they need.
pub struct Schedule {
    /// In the order in which they run; the first is the input alone.
    pub steps: Vec<Step>,
    /// The buffer of each operation's result; `None` where it only passes through a step.
    pub places: Vec<Option<usize>>,
    /// Words of each buffer.
    pub buffers: Vec<usize>,
    /// The step that gives each exit, then the one that gives the split.
    pub stops: Vec<usize>,
}

impl Schedule {
    /// The schedule of a checked program.
    pub fn new(program: &Program, shapes: &[Shape]) -> Self {
        let steps = steps(program);
        let mut step_of = vec![0; program.ops.len()];
        for (index, step) in steps.iter().enumerate() {
            step.members().for_each(|op| step_of[op] = index);
        }
        let stops = program.exits.iter().chain([&program.split]).map(|&op| step_of[op]).collect();
        let (places, buffers) = places(program, shapes, &steps, &step_of);
        Self { steps, places, buffers, stops }
    }
}
