//! The schedule of a model: which operations run together, and where results are stored. It is made once, at load.
//!
//! A *step* is an operation together with the element-wise operations after it (affine, sum, clip, PReLU, and the
//! quantisers that read it, on any way). A step runs row by row, so that all its operations see a row while it is in
//! the fastest cache; results that only they read are never stored. Stored results share a few buffers: a buffer is
//! reused as soon as nothing reads its contents any more.

use super::places::places;
use super::steps::{Step, steps};
use crate::model::Program;
use crate::tensor::Shape;

/// The steps of a model, and the memory that they need.
pub struct Schedule {
    /// The steps in running order; the first is just the input.
    pub steps: Vec<Step>,
    /// The buffer of each operation's result; `None` if the result is not stored.
    pub places: Vec<Option<usize>>,
    /// The length of each buffer in u64 words.
    pub buffers: Vec<usize>,
    /// For each exit the step that computes it, then the step that computes the split.
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
