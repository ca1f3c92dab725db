//! `conv_sign`: a convolution with signs as results.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Filter};
use super::operation::{Fused, Operation};
use crate::tensor::{Blob, Data, Kind, Shape};

/// A convolution with batch-norm and sign folded into integer thresholds: +1 where `(acc >= threshold) != flip`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ConvSign {
    /// The operation that gives the input, a map of signs or levels.
    pub x: usize,
    /// The window and the quantised weights.
    #[serde(rename = "conv")]
    pub filter: Filter,
    /// i32, one per output channel.
    pub threshold: Blob,
    /// u8, one per output channel: 1 inverts the comparison.
    pub flip: Blob,
}

impl Operation for ConvSign {
    fn read(of: Fields) -> Result<Self, String> {
        let (x, filter) = (of.number("x")?, Filter::read(of)?);
        Ok(Self { x, filter, threshold: of.blob("threshold")?, flip: of.blob("flip")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let shape = self.filter.shape(self.x, earlier)?;
        earlier.holds_channels(self.threshold, shape, "thresholds")?;
        earlier.holds(self.flip, shape.c as u64, "flips")?;
        Ok(Shape { kind: Kind::Sign, ..shape })
    }

    fn check(&self, data: &Data, shapes: &[Shape]) -> Result<(), String> {
        self.filter.check(data, shapes[self.x]) // Any integer is a valid threshold.
    }

    fn cost(&self, shapes: &[Shape]) -> Option<Cost> {
        Some(self.filter.cost(shapes[self.x]))
    }
}

impl Fused for ConvSign {
    fn filter(&self) -> (usize, &Filter) {
        (self.x, &self.filter)
    }

    fn thresholds(&self) -> (Blob, Blob) {
        (self.threshold, self.flip)
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn its_map_is_of_signs_and_its_numbers_lie_by_channel() {
        let mut given = Given::new();
        let x = given.levels([2, 2, 1], &[1; 4]);
        let (threshold, flip) = (given.blob(&[0_i32; 3]), given.blob(&[0_u8; 3]));
        let weights = given.blob(&[1_i8; 3]);
        let (k, stride, pad, outputs, bits) = (1, 1, 0, 3, 8);
        let filter =
            Filter { k, stride, pad, outputs, bits, weights, nested: 0, share: 0, groups: 0 };
        let conv = ConvSign { x, filter, threshold, flip };
        let shape = Shape { kind: Kind::Sign, h: 2, w: 2, c: 3 };
        assert_eq!(given.shape(&conv), Ok(shape));
        assert_eq!(conv.cost(given.shapes()).unwrap().macs, 12);
        let fewer = Blob { len: 2, ..conv.flip };
        assert!(given.refusal(&ConvSign { flip: fewer, ..conv }).contains("flips take 2 bytes"));
    }
}
