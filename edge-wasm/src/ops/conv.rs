//! `conv`: a convolution with real results.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Filter};
use super::operation::{Convolution, Operation};
use crate::tensor::{Blob, Data, Shape};

/// A convolution over signs or levels, then `acc * scale + bias` per channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conv {
    /// The operation that gives the input, a map of signs or levels.
    pub x: usize,
    /// The window and the quantised weights.
    #[serde(rename = "conv")]
    pub filter: Filter,
    /// f32, one per output channel.
    pub scale: Blob,
    /// f32, one per output channel.
    pub bias: Blob,
}

impl Operation for Conv {
    fn read(of: Fields) -> Result<Self, String> {
        let (x, filter) = (of.number("x")?, Filter::read(of)?);
        Ok(Self { x, filter, scale: of.blob("scale")?, bias: of.blob("bias")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let shape = self.filter.shape(self.x, earlier)?;
        earlier.holds_channels(self.scale, shape, "scales")?;
        earlier.holds_channels(self.bias, shape, "biases")?;
        Ok(shape)
    }

    fn check(&self, data: &Data, shapes: &[Shape]) -> Result<(), String> {
        self.filter.check(data, shapes[self.x])?;
        data.finite(self.scale, "scales")?;
        data.finite(self.bias, "biases")
    }

    fn cost(&self, shapes: &[Shape]) -> Option<Cost> {
        Some(self.filter.cost(shapes[self.x]))
    }
}

impl Convolution for Conv {
    fn filter(&self) -> (usize, &Filter) {
        (self.x, &self.filter)
    }

    fn row(&self, data: &Data, sums: &[i32], row: &mut [f32]) {
        from_sums(row, sums, data.tensor(self.scale), data.tensor(self.bias));
    }
}

/// `sum * scale + bias`, with a scale and a bias per channel.
fn from_sums(row: &mut [f32], sums: &[i32], scale: &[f32], bias: &[f32]) {
    let pixels = row.chunks_exact_mut(scale.len()).zip(sums.chunks_exact(scale.len()));
    for (row, sums) in pixels {
        for (((out, &sum), scale), bias) in row.iter_mut().zip(sums).zip(scale).zip(bias) {
            *out = sum as f32 * scale + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn sums_are_scaled_by_channel_and_cost_what_the_window_does() {
        let mut given = Given::new();
        let x = given.levels([4, 4, 3], &[1; 48]);
        let (scale, bias) = (given.blob(&[2.0_f32, -1.0]), given.blob(&[0.5_f32, 0.0]));
        let weights = given.blob(&[0_i8; 54]);
        let (k, stride, pad, outputs, bits) = (3, 1, 1, 2, 8);
        let filter =
            Filter { k, stride, pad, outputs, bits, weights, nested: 0, share: 0, groups: 0 };
        let conv = Conv { x, filter, scale, bias };
        assert_eq!(given.shape(&conv).unwrap().to_string(), "4x4x2");
        let cost = Cost { bits: 8, macs: 16 * 54, reads: 54 + 48 };
        assert_eq!(conv.cost(given.shapes()), Some(cost));
        let mut row = [0.0; 4];
        conv.row(given.data(), &[1, 2, 3, 4], &mut row);
        assert_eq!(row, [2.5, -2.0, 6.5, -4.0]);
    }
}
