//! What an operation's shape depends on.

use crate::tensor::{Blob, Kind, Shape};

/// The shapes of all earlier operations, and the length of the model's data.
pub struct Earlier<'a> {
    /// The shape of each earlier operation's result.
    pub shapes: &'a [Shape],
    /// The length of the data in bytes.
    pub data: usize,
}

impl Earlier<'_> {
    /// The shape of an earlier operation's result.
    ///
    /// # Errors
    /// If operation `index` is not an earlier one.
    #[inline(never)]
    pub fn of(&self, index: usize) -> Result<Shape, String> {
        let shape = self.shapes.get(index).copied();
        shape.ok_or_else(|| format!("it reads operation {index}, which is not earlier"))
    }

    /// The shape of an earlier operation's result, which must be real numbers.
    ///
    /// # Errors
    /// If the result is not real numbers, or operation `index` is not an earlier one.
    #[inline(never)]
    pub fn real(&self, index: usize) -> Result<Shape, String> {
        self.of(index).and_then(|shape| match shape.kind {
            Kind::Real => Ok(shape),
            kind => Err(format!("it needs a real map, not one of {kind:?}")),
        })
    }

    /// Checks that the data contain tensor `blob`, of `bytes` bytes. `what` names it in errors.
    ///
    /// # Errors
    /// If the tensor is outside the data, is not aligned, or has another length.
    #[inline(never)]
    pub fn holds(&self, blob: Blob, bytes: u64, what: &str) -> Result<(), String> {
        // In u64: a usize has 32 bits in WebAssembly, and a hostile model may state any number.
        let end = u64::from(blob.at) + u64::from(blob.len);
        if !blob.at.is_multiple_of(64) || end > self.data as u64 {
            Err(format!("its {what} are outside the data or misaligned"))
        } else if u64::from(blob.len) != bytes {
            Err(format!("its {what} take {} bytes, but need {bytes}", blob.len))
        } else {
            Ok(())
        }
    }

    /// Checks that the data contain tensor `blob`, of one f32 per channel of `shape`.
    ///
    /// # Errors
    /// As for [`Self::holds`].
    pub fn holds_channels(&self, blob: Blob, shape: Shape, what: &str) -> Result<(), String> {
        self.holds(blob, 4 * shape.c as u64, what)
    }
}
