//! Hand-built models for tests.

use fogline_edge::model::{FogError, Model, Program, Stretch};
use fogline_edge::ops::{AveragePool, Conv, Filter, Input, Op, Sign};
use fogline_edge::tensor::Blob;

/// Operations and their data.
pub struct Built {
    pub ops: Vec<Op>,
    pub data: Vec<u8>,
    pub stretches: Vec<Stretch>,
    /// The index of the split; `None` for the last operation.
    pub split: Option<usize>,
}

/// The index of the exit in every model.
pub const EXIT: usize = 2;
/// The index of the signs that further operations may read.
pub const SIGNS: usize = 3;

impl Built {
    /// Input, a convolution to `channels` real numbers, their mean as the exit, and their signs.
    pub fn new(size: u32, channels: u32) -> Self {
        let mut built = Self { ops: vec![], data: vec![], stretches: vec![], split: None };
        // Bytes to levels that differ in sign by byte and channel.
        let table: Vec<i8> = (0..768_u32).map(|i| (i * 37 + i / 256 * 11) as i8).collect();
        let table = built.blob(&table);
        built.push(Input { size, table, unsigned: false });
        let weights: Vec<i8> = (0..3 * channels).map(|i| (i * 91 + 5) as i8).collect();
        let weights = built.blob(&weights);
        let filter = Filter {
            k: 1,
            stride: 1,
            pad: 0,
            outputs: channels,
            bits: 8,
            weights,
            nested: 0,
            share: 0,
            groups: 0,
        };
        let scale = built.blob(&vec![1.0_f32; channels as usize]);
        let zeros = built.blob(&vec![0.0_f32; channels as usize]);
        built.push(Conv { x: 0, filter, scale, bias: zeros });
        built.push(AveragePool { x: 1, k: size, stride: 1, pad: 0, beyond: 0, zeros: false });
        built.push(Sign { x: 1, threshold: zeros });
        built
    }

    /// Adds an operation.
    pub fn push(&mut self, op: impl Into<Op>) {
        self.ops.push(op.into());
    }

    /// Adds a tensor.
    pub fn blob<T: bytemuck::Pod>(&mut self, values: &[T]) -> Blob {
        let at = self.data.len().next_multiple_of(64);
        self.data.resize(at, 0);
        self.data.extend(bytemuck::cast_slice::<T, u8>(values));
        Blob { at: at as u32, len: (self.data.len() - at) as u32 }
    }

    /// The packed model.
    pub fn write(&self) -> Result<Vec<u8>, FogError> {
        let split = self.split.unwrap_or(self.ops.len() - 1);
        let (ops, stretches) = (self.ops.clone(), self.stretches.clone());
        let program = Program { ops, exits: vec![EXIT], split, stretches, coder: None };
        Model::write(&program, &self.data, [0; 32])
    }
}
