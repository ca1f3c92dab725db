//! What an operation is: [`Operation`], and the trait of its role, which is how it runs.
//!
//! An operation is a file beside this one, named like its word in a packed model, and a line in the list of [`super`]. It has
//! to say all that these traits ask for; what costs nothing, or has no numbers to check, says that too.

use super::common::{Cost, Earlier, Fields, Filter, Maps};
use crate::tensor::{Blob, Data, Shape};

/// What every operation says of itself.
pub trait Operation: Sized {
    /// Reads its fields.
    ///
    /// # Errors
    /// Says which is missing, or is none.
    fn read(of: Fields) -> Result<Self, String>;

    /// Visits the indices of the operations whose results it reads, to change them.
    fn for_each_input(&mut self, visit: impl FnMut(&mut usize));

    /// The shape of its result. Whatever it says of sizes is checked here.
    ///
    /// # Errors
    /// Says what does not fit: an index, a shape, a length.
    fn shape(&self, earlier: &Earlier) -> Result<Shape, String>;

    /// Checks its numbers, behind all shapes.
    ///
    /// # Errors
    /// Says which number is none that a model may have.
    fn check(&self, data: &Data, shapes: &[Shape]) -> Result<(), String>;

    /// What it costs a sample; none where the energy model counts nothing.
    fn cost(&self, shapes: &[Shape]) -> Option<Cost>;
}

/// How an operation runs. What changes the map's shape, such as a pool, is a [`Gather`]; what keeps it, and reads each number
/// once, is [`Elementwise`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// [`Source`].
    Source,
    /// [`Convolution`].
    Convolution,
    /// [`Fused`].
    Fused,
    /// [`Gather`].
    Gather,
    /// [`Elementwise`].
    Elementwise,
    /// [`Quantiser`].
    Quantiser,
}

/// Gives levels of the picture, and is the first operation.
pub trait Source: Operation {
    /// The levels of RGB bytes, row by row.
    fn fill(&self, data: &Data, rgb: &[u8], levels: &mut [i8]);
}

/// Convolves to real numbers.
pub trait Convolution: Operation {
    /// The map that it reads, and its weights.
    fn filter(&self) -> (usize, &Filter);
    /// A row of the result from one of whole-number sums.
    fn row(&self, data: &Data, sums: &[i32], row: &mut [f32]);
}

/// Convolves to signs at once.
pub trait Fused: Operation {
    /// The map that it reads, and its weights.
    fn filter(&self) -> (usize, &Filter);
    /// The thresholds of its outputs, and which of them turn the comparison round.
    fn thresholds(&self) -> (Blob, Blob);
}

/// Takes real numbers from one or several maps, wherever they lie there: pools, `concat`, `dense`.
pub trait Gather: Operation {
    /// Row `y` of the result.
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]);
}

/// Changes real numbers, each for itself, as `clip` does: a row may meet it in its place, while it is in the fastest memory.
pub trait Elementwise: Operation {
    /// The map whose rows it changes where none is at hand.
    fn x(&self) -> usize;
    /// Changes row `y` of `from`, a map that it reads, into that of its result.
    fn change(&self, maps: &Maps, from: usize, y: usize, row: &mut [f32]);
}

/// Makes signs or levels of real numbers.
pub trait Quantiser: Operation {
    /// Bits that an element takes as it travels: 1, 2, 4 or 8.
    fn bits(&self) -> u8;
    /// Writes row `y` of `map`, of this shape, from one of real numbers.
    fn quantise(&self, data: &Data, shape: Shape, y: usize, row: &[f32], map: &mut [u64]);
}
