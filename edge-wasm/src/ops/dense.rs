//! `dense`: a linear layer.

use serde::Serialize;

use super::affine::affine;
use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Gather, Operation};
use crate::tensor::{Blob, Data, Kind, Shape};

/// A linear layer over the whole map: `sum(x * w) * scale + bias`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dense {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// The number of scores that the layer gives.
    pub outputs: u32,
    /// Bits per weight: 8 (i8) or 32 (f32).
    pub bits: u8,
    /// Weights in the order inputs (H, W, C) x outputs.
    pub weights: Blob,
    /// f32, one per output.
    pub scale: Blob,
    /// f32, one per output.
    pub bias: Blob,
}

impl Operation for Dense {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self {
            x: of.number("x")?,
            outputs: of.number("outputs")?,
            bits: of.number("bits")?,
            weights: of.blob("weights")?,
            scale: of.blob("scale")?,
            bias: of.blob("bias")?,
        })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let inputs = earlier.real(self.x)?.len() as u64;
        let (wide, bits) = (u64::from(self.outputs), self.bits);
        if ![8, 32].contains(&bits) {
            return Err(format!("a linear layer of {bits} bits; use 8 or 32"));
        }
        earlier.holds(self.weights, inputs * wide * u64::from(bits / 8), "weights")?;
        earlier.holds(self.scale, 4 * wide, "scales")?;
        earlier.holds(self.bias, 4 * wide, "biases")?;
        Ok(Shape { kind: Kind::Real, h: 1, w: 1, c: self.outputs as usize })
    }

    fn check(&self, data: &Data, _: &[Shape]) -> Result<(), String> {
        if self.bits == 32 {
            data.finite(self.weights, "weights")?;
        }
        data.finite(self.scale, "scales")?;
        data.finite(self.bias, "biases")
    }

    /// Its inputs are real, so it counts at 32 bits.
    fn cost(&self, shapes: &[Shape]) -> Option<Cost> {
        let inputs = shapes[self.x].len() as u64;
        let macs = inputs * u64::from(self.outputs);
        Some(Cost { bits: 32, macs, reads: macs + inputs })
    }
}

impl Gather for Dense {
    fn row(&self, maps: &Maps, _: usize, row: &mut [f32]) {
        let (x, data) = (maps.numbers(self.x), maps.data);
        match self.bits {
            8 => multiply(row, x, data.tensor::<i8>(self.weights)),
            _ => multiply(row, x, data.tensor::<f32>(self.weights)),
        }
        affine(row, data.tensor(self.scale), data.tensor(self.bias));
    }
}

/// `row[o] = sum over i of x[i] * weights[i, o]`, in the order of i, so that every build gives the same bits.
fn multiply<W: Copy + Into<f32>>(row: &mut [f32], x: &[f32], weights: &[W]) {
    row.fill(0.0);
    for (&x, w) in x.iter().zip(weights.chunks_exact(row.len())) {
        for (sum, &w) in row.iter_mut().zip(w) {
            *sum += x * w.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn weights_of_both_widths_give_the_same() {
        let mut given = Given::new();
        let x = given.real([1, 1, 2], &[2.0, 3.0]);
        let (scale, bias) = (given.blob(&[1.0_f32, 0.5, 1.0]), given.blob(&[0.0_f32, 0.0, -1.0]));
        let bytes = given.blob(&[1_i8, 2, 3, -1, 0, 1]);
        let floats = given.blob(&[1.0_f32, 2.0, 3.0, -1.0, 0.0, 1.0]);
        for (bits, weights) in [(8, bytes), (32, floats)] {
            let dense = Dense { x, outputs: 3, bits, weights, scale, bias };
            assert_eq!(given.gathered(&dense), [-1.0, 2.0, 8.0]);
            assert_eq!(dense.cost(given.shapes()), Some(Cost { bits: 32, macs: 6, reads: 8 }));
        }
        let dense = Dense { x, outputs: 3, bits: 4, weights: bytes, scale, bias };
        assert!(given.refusal(&dense).contains("use 8 or 32"));
    }
}
