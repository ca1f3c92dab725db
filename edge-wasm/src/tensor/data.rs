//! The tensors of a packed model, used in place.

use serde::Serialize;

/// The place of a tensor in the data of a packed model: `len` bytes from `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Blob {
    /// Offset from the start of the data, a multiple of 64.
    pub at: u32,
    /// The number of bytes.
    pub len: u32,
}

/// The data of a packed model: all its tensors, one after the other.
#[derive(Debug, Clone)]
pub struct Data(Vec<u64>);

impl Data {
    /// Copies `bytes` to memory that is aligned for u64.
    pub fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self(words)
    }

    /// A tensor, whose place was checked when the model was parsed.
    ///
    /// # Panics
    /// If the tensor is outside the data, or its length is not a multiple of `T`'s.
    pub fn tensor<T: bytemuck::Pod>(&self, blob: Blob) -> &[T] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.0);
        bytemuck::cast_slice(&bytes[blob.at as usize..(blob.at + blob.len) as usize])
    }

    /// Checks that a tensor of f32 contains only finite numbers. With others, no result would be meaningful, and engines might
    /// differ.
    ///
    /// # Errors
    /// The first number that is not finite. `what` names the tensor.
    #[inline(never)]
    pub(crate) fn finite(&self, blob: Blob, what: &str) -> Result<(), String> {
        let numbers: &[f32] = self.tensor(blob);
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(at) => Err(format!("number {at} of its {what} is {}", numbers[at])),
            None => Ok(()),
        }
    }
}
