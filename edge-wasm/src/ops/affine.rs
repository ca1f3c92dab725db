//! `affine`: a scale and a bias per channel.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Elementwise, Operation};
use crate::tensor::{Blob, Data, Shape};

/// `x * scale + bias`, with a scale and a bias per channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Affine {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// f32, one per channel.
    pub scale: Blob,
    /// f32, one per channel.
    pub bias: Blob,
}

impl Operation for Affine {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { x: of.number("x")?, scale: of.blob("scale")?, bias: of.blob("bias")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let shape = earlier.real(self.x)?;
        earlier.holds_channels(self.scale, shape, "scales")?;
        earlier.holds_channels(self.bias, shape, "biases")?;
        Ok(shape)
    }

    fn check(&self, data: &Data, _: &[Shape]) -> Result<(), String> {
        data.finite(self.scale, "scales")?;
        data.finite(self.bias, "biases")
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Elementwise for Affine {
    fn x(&self) -> usize {
        self.x
    }

    fn change(&self, maps: &Maps, _: usize, _: usize, row: &mut [f32]) {
        affine(row, maps.data.tensor(self.scale), maps.data.tensor(self.bias));
    }
}

/// `x * scale + bias`, with a scale and a bias per channel.
pub(super) fn affine(row: &mut [f32], scale: &[f32], bias: &[f32]) {
    for pixel in row.chunks_exact_mut(scale.len()) {
        for ((x, scale), bias) in pixel.iter_mut().zip(scale).zip(bias) {
            *x = *x * scale + bias;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn every_channel_has_its_factor_and_its_term() {
        let mut given = Given::new();
        let x = given.real([1, 2, 2], &[1.0, 2.0, 3.0, 4.0]);
        let (scale, bias) = (given.blob(&[2.0_f32, 0.5]), given.blob(&[0.0_f32, 1.0]));
        let affine = Affine { x, scale, bias };
        assert_eq!(given.changed(&affine, x), [2.0, 2.0, 6.0, 3.0]);
        let bias = given.blob(&[f32::NAN, 0.0]);
        assert_eq!(given.refusal(&Affine { bias, ..affine }), "number 0 of its biases is NaN");
    }
}
