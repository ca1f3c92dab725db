//! `blur`: a depthwise convolution over real numbers.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps, is_zero, pool};
use super::operation::{Gather, Operation};
use crate::tensor::{Blob, Data, Shape};

/// Each channel convolved by a kernel of its own, in real numbers, as blur pools do. Padding counts as zeros.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Blur {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// Side of the kernel.
    pub k: u32,
    /// The distance between windows.
    pub stride: u32,
    /// Padding on each side of the map.
    #[serde(skip_serializing_if = "is_zero")]
    pub pad: u32,
    /// f32, k x k x channels.
    pub weights: Blob,
    /// f32, one per channel.
    pub bias: Blob,
}

impl Operation for Blur {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self {
            x: of.number("x")?,
            k: of.number("k")?,
            stride: of.number("stride")?,
            pad: of.or_zero("pad")?,
            weights: of.blob("weights")?,
            bias: of.blob("bias")?,
        })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let x = earlier.real(self.x)?;
        let shape = pool::shape(x, self.k, self.stride, (self.pad, 0))?;
        let weights = u64::from(self.k) * u64::from(self.k) * x.c as u64;
        earlier.holds(self.weights, 4 * weights, "weights")?;
        earlier.holds_channels(self.bias, x, "biases")?;
        Ok(shape)
    }

    fn check(&self, data: &Data, _: &[Shape]) -> Result<(), String> {
        data.finite(self.weights, "weights")?;
        data.finite(self.bias, "biases")
    }

    /// Its inputs are real, so it counts at 32 bits.
    fn cost(&self, shapes: &[Shape]) -> Option<Cost> {
        let (x, taps) = (shapes[self.x], u64::from(self.k).pow(2));
        let side = |length: usize| {
            (length as u64 + 2 * u64::from(self.pad) - u64::from(self.k)) / u64::from(self.stride)
                + 1
        };
        let macs = side(x.h) * side(x.w) * taps * x.c as u64;
        Some(Cost { bits: 32, macs, reads: taps * x.c as u64 + x.len() as u64 })
    }
}

impl Gather for Blur {
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]) {
        let (x, shape) = (maps.numbers::<f32>(self.x), maps.shapes[self.x]);
        let weights: &[f32] = maps.data.tensor(self.weights);
        let bias: &[f32] = maps.data.tensor(self.bias);
        let [k, stride, pad] = [self.k, self.stride, self.pad].map(|n| n as usize);
        let windows = pool::Windows { sides: (k, k), stride, pad };
        for (ox, out) in row.chunks_exact_mut(shape.c).enumerate() {
            out.copy_from_slice(bias);
            let (rows, columns) = windows.under(shape, y, ox);
            for iy in rows {
                for ix in columns.clone() {
                    let tap = (iy + pad - y * stride) * k + ix + pad - ox * stride;
                    let x = &x[(iy * shape.w + ix) * shape.c..][..shape.c];
                    let weights = &weights[tap * shape.c..][..shape.c];
                    for ((out, x), weight) in out.iter_mut().zip(x).zip(weights) {
                        *out += x * weight;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn every_channel_has_a_kernel_of_its_own() {
        let mut given = Given::new();
        let numbers: Vec<f32> = (0..18).map(|i| i as f32).collect();
        let x = given.real([3, 3, 2], &numbers);
        // The first channel moves by one pixel, down and right; the second is the sum of a window.
        let weights: Vec<f32> =
            (0..9).flat_map(|tap| [if tap == 0 { 1.0 } else { 0.0 }, 1.0]).collect();
        let (weights, bias) = (given.blob(&weights), given.blob(&[0.5_f32, 0.0]));
        let blur = Blur { x, k: 3, stride: 2, pad: 1, weights, bias };
        let sums = [1 + 3 + 7 + 9, 3 + 5 + 9 + 11, 7 + 9 + 13 + 15, 9 + 11 + 15 + 17];
        let [a, b, c, d] = sums.map(|sum| sum as f32);
        assert_eq!(given.gathered(&blur), [0.5, a, 0.5, b, 0.5, c, 8.5, d]);
        assert_eq!(blur.cost(given.shapes()), Some(Cost { bits: 32, macs: 72, reads: 36 }));
        let bias = given.blob(&[f32::NAN, 0.0]);
        assert_eq!(given.refusal(&Blur { bias, ..blur.clone() }), "number 0 of its biases is NaN");
        assert!(given.refusal(&Blur { pad: 3, ..blur }).contains("not below its window"));
    }
}
