//! `prelu`: a slope per channel for negative numbers.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Elementwise, Operation};
use crate::tensor::{Blob, Data, Shape};

/// `x` where positive, else `x * slope`, with a slope per channel. ONNX's Relu, LeakyRelu and PRelu all become this.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Prelu {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// f32, one per channel.
    pub slope: Blob,
}

impl Operation for Prelu {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { x: of.number("x")?, slope: of.blob("slope")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let shape = earlier.real(self.x)?;
        earlier.holds_channels(self.slope, shape, "slopes")?;
        Ok(shape)
    }

    fn check(&self, data: &Data, _: &[Shape]) -> Result<(), String> {
        data.finite(self.slope, "slopes")
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Elementwise for Prelu {
    fn x(&self) -> usize {
        self.x
    }

    fn change(&self, maps: &Maps, _: usize, _: usize, row: &mut [f32]) {
        prelu(row, maps.data.tensor(self.slope));
    }
}

/// `x` where positive, else `x * slope`. It has no branch, so that compilers vectorise the loop.
fn prelu(row: &mut [f32], slope: &[f32]) {
    for pixel in row.chunks_exact_mut(slope.len()) {
        for (x, slope) in pixel.iter_mut().zip(slope) {
            let below = *x * slope;
            *x = if *x > 0.0 { *x } else { below };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn slopes_are_for_what_is_below_zero() {
        let mut given = Given::new();
        let x = given.real([1, 2, 2], &[1.0, -1.0, -2.0, 4.0]);
        let prelu = Prelu { x, slope: given.blob(&[0.5_f32, 0.0]) };
        assert_eq!(given.changed(&prelu, x), [1.0, -0.0, -1.0, 4.0]);
    }
}
