//! The tensors of a packed model, used in place.

use serde::Serialize;

/// A tensor in the data of a packed model: `len` bytes from `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Blob {
    /// Offset from the start of the data, a multiple of 64.
    pub at: u32,
    /// Length in bytes.
    pub len: u32,
}

/// All tensors of a packed model, one behind the other.
#[derive(Debug, Clone)]
pub struct Data(Vec<u64>);

impl Data {
    /// A copy of `bytes` whose beginning lies as u64 words do.
    pub fn new(bytes: &[u8]) -> Self {
        let mut words = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut words)[..bytes.len()].copy_from_slice(bytes);
        Self(words)
    }

    /// A tensor, whose place was checked when the model was parsed.
    ///
    /// # Panics
    /// When it lies outside the data, or is not of whole `T`.
    pub fn tensor<T: bytemuck::Pod>(&self, blob: Blob) -> &[T] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.0);
        bytemuck::cast_slice(&bytes[blob.at as usize..(blob.at + blob.len) as usize])
    }

    /// Whether a tensor of f32 holds numbers alone. Nothing that follows from one that is none is an answer, and engines may
    /// differ in it.
    ///
    /// # Errors
    /// Says which of its `what` is none.
    #[inline(never)]
    pub(crate) fn finite(&self, blob: Blob, what: &str) -> Result<(), String> {
        let numbers: &[f32] = self.tensor(blob);
        match numbers.iter().position(|number| !number.is_finite()) {
            Some(at) => Err(format!("number {at} of its {what} is {}", numbers[at])),
            None => Ok(()),
        }
    }
}
