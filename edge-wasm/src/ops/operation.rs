//! The definition of an operation: [`Operation`], and a trait for its role, which is how it runs.
//!
//! Each operation is a file in this folder, with the name that it has in a packed model, and an entry in the list of [`super`].
//! It must implement every method of these traits, even if it costs nothing or has no numbers to check.

use super::common::{Cost, Earlier, Fields, Filter, Maps};
use crate::tensor::{Blob, Data, Shape};

/// What every operation must provide.
pub trait Operation: Sized {
    /// Reads the operation's fields.
    ///
    /// # Errors
    /// Which field is missing or invalid.
    fn read(of: Fields) -> Result<Self, String>;

    /// Visits the indices of the operations whose results this one reads, and may change them.
    fn for_each_input(&mut self, visit: impl FnMut(&mut usize));

    /// The shape of the result. All sizes are checked here.
    ///
    /// # Errors
    /// What is wrong: an index, a shape or a length.
    fn shape(&self, earlier: &Earlier) -> Result<Shape, String>;

    /// Checks the operation's numbers, once all shapes are known.
    ///
    /// # Errors
    /// The first number that is not allowed.
    fn check(&self, data: &Data, shapes: &[Shape]) -> Result<(), String>;

    /// The cost per sample, or `None` if the energy model does not count the operation.
    fn cost(&self, shapes: &[Shape]) -> Option<Cost>;
}

/// How an operation runs. An operation that changes the map's shape, such as a pool, is a [`Gather`]; one that keeps it and
/// reads each number once is [`Elementwise`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The operation implements [`Source`].
    Source,
    /// The operation implements [`Convolution`].
    Convolution,
    /// The operation implements [`Fused`].
    Fused,
    /// The operation implements [`Gather`].
    Gather,
    /// The operation implements [`Elementwise`].
    Elementwise,
    /// The operation implements [`Quantiser`].
    Quantiser,
}

/// The first operation, which makes levels from the picture.
pub trait Source: Operation {
    /// Fills in the levels of RGB bytes, row by row.
    fn fill(&self, data: &Data, rgb: &[u8], levels: &mut [i8]);
}

/// A convolution with real results.
pub trait Convolution: Operation {
    /// The map that the convolution reads, and its weights.
    fn filter(&self) -> (usize, &Filter);
    /// Computes a row of the result from a row of integer sums.
    fn row(&self, data: &Data, sums: &[i32], row: &mut [f32]);
}

/// A convolution with signs as results.
pub trait Fused: Operation {
    /// The map that the convolution reads, and its weights.
    fn filter(&self) -> (usize, &Filter);
    /// The thresholds of the outputs, and the flags that invert their comparisons.
    fn thresholds(&self) -> (Blob, Blob);
}

/// An operation that reads numbers anywhere in one or several maps: pools, `concat`, `dense`.
pub trait Gather: Operation {
    /// Computes row `y` of the result, if it is real numbers.
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]);
    /// Computes row `y` of the result, if it is signs or levels, as that of `max_pool` may be: its bytes, as the map holds them.
    fn levels(&self, _: &Maps, _: usize, _: &mut [u8]) {
        unreachable!("the result is real numbers")
    }
}

/// An operation on each real number by itself, such as `clip`. It can change a row in place, while the row is in the fastest cache.
pub trait Elementwise: Operation {
    /// The map whose rows the operation changes, if no row is at hand.
    fn x(&self) -> usize;
    /// Changes row `y` of `from`, a map that the operation reads, into row `y` of the result.
    fn change(&self, maps: &Maps, from: usize, y: usize, row: &mut [f32]);
}

/// An operation that makes signs or levels from real numbers.
pub trait Quantiser: Operation {
    /// Bits per element in a frame: 1, 2, 4 or 8.
    fn bits(&self) -> u8;
    /// Writes row `y` of `map`, which has this shape, from a row of real numbers.
    fn quantise(&self, data: &Data, shape: Shape, y: usize, row: &[f32], map: &mut [u64]);
}
