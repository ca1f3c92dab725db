//! Maps and weights: their shapes, their data types, and their place in a packed model.
//!
//! Maps are stored as H, W, C, with a pixel's channels side by side, so that a binary convolution reads whole words of signs.

mod data;
mod shape;

pub use data::{Blob, Data};
pub use shape::{Kind, MAX_WINDOW, Shape};
pub(crate) use shape::{LARGEST, MOST_ELEMENTS, windows};
