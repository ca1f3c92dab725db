//! What an operation's shape follows from.

use crate::tensor::{Blob, Kind, Shape};

/// What an operation may build on: the shapes of those before it, and the length of the data.
pub struct Earlier<'a> {
    /// The shape of every earlier operation.
    pub shapes: &'a [Shape],
    /// Bytes of data.
    pub data: usize,
}

impl Earlier<'_> {
    /// The shape of an earlier operation.
    ///
    /// # Errors
    /// When it does not come before.
    #[inline(never)]
    pub fn of(&self, index: usize) -> Result<Shape, String> {
        let shape = self.shapes.get(index).copied();
        shape.ok_or_else(|| format!("it reads operation {index}, which does not come before"))
    }

    /// The shape of an earlier operation that gives real numbers.
    ///
    /// # Errors
    /// When it gives others, or does not come before.
    #[inline(never)]
    pub fn real(&self, index: usize) -> Result<Shape, String> {
        self.of(index).and_then(|shape| match shape.kind {
            Kind::Real => Ok(shape),
            kind => Err(format!("it needs a real map, not one of {kind:?}")),
        })
    }

    /// Whether the data hold a tensor of so many bytes, its `what`.
    ///
    /// # Errors
    /// When it lies elsewhere, or has another length.
    #[inline(never)]
    pub fn holds(&self, blob: Blob, bytes: u64, what: &str) -> Result<(), String> {
        // In u64, since usize has 32 bits in WebAssembly and a hostile model may say anything.
        let end = u64::from(blob.at) + u64::from(blob.len);
        if !blob.at.is_multiple_of(64) || end > self.data as u64 {
            Err(format!("its {what} lie outside the data or out of line"))
        } else if u64::from(blob.len) != bytes {
            Err(format!("its {what} take {} bytes, where {bytes} are needed", blob.len))
        } else {
            Ok(())
        }
    }

    /// Whether the data hold an f32 a channel of `shape`, its `what`.
    ///
    /// # Errors
    /// As [`Self::holds`].
    pub fn holds_channels(&self, blob: Blob, shape: Shape, what: &str) -> Result<(), String> {
        self.holds(blob, 4 * shape.c as u64, what)
    }
}
