//! What maps and weights are, whatever reads them: how large, of which numbers, and where a packed model keeps them.
//!
//! Maps lie in memory as H, W, C: a pixel's channels side by side, so that a binary convolution reads whole words of signs.

mod data;
mod shape;

pub use data::{Blob, Data};
pub use shape::{Kind, Shape};
pub(crate) use shape::{LARGEST, MOST_ELEMENTS, windows};
