//! `max_pool`: the maximum over windows.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps, is_zero, pool};
use super::operation::{Gather, Operation};
use crate::tensor::{Data, Shape};

/// The maximum over windows of `k` x `k`, `stride` apart. Padding is never the largest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaxPool {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// Side of the window.
    pub k: u32,
    /// The distance between windows.
    pub stride: u32,
    /// Padding on each side of the map.
    #[serde(skip_serializing_if = "is_zero")]
    pub pad: u32,
    /// More padding below the map and on its right.
    #[serde(skip_serializing_if = "is_zero")]
    pub beyond: u32,
}

impl Operation for MaxPool {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self {
            x: of.number("x")?,
            k: of.number("k")?,
            stride: of.number("stride")?,
            pad: of.or_zero("pad")?,
            beyond: of.or_zero("beyond")?,
        })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        pool::shape(earlier.real(self.x)?, self.k, self.stride, (self.pad, self.beyond))
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // There are no numbers to check.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Gather for MaxPool {
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]) {
        let (map, shape) = (maps.numbers(self.x), maps.shapes[self.x]);
        let larger = |a, b| if b > a { b } else { a };
        let [k, stride, pad] = [self.k, self.stride, self.pad].map(|n| n as usize);
        let windows = pool::Windows { sides: (k, k), stride, pad };
        windows.fold(row, y, map, shape, f32::NEG_INFINITY, larger);
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn windows_give_their_largest_by_channel() {
        let mut given = Given::new();
        let numbers: Vec<f32> = (0..18).map(|i| if i % 2 == 0 { i as f32 } else { -1.0 }).collect();
        let x = given.real([3, 3, 2], &numbers);
        let two = MaxPool { x, k: 2, stride: 1, pad: 0, beyond: 0 };
        assert_eq!(given.gathered(&two), [8.0, -1.0, 10.0, -1.0, 14.0, -1.0, 16.0, -1.0]);
        assert_eq!(given.gathered(&MaxPool { k: 1, stride: 2, ..two.clone() }).len(), 8);
        let padded = MaxPool { k: 3, stride: 2, pad: 1, ..two };
        assert_eq!(given.gathered(&padded), [8.0, -1.0, 10.0, -1.0, 14.0, -1.0, 16.0, -1.0]);
        assert!(
            given.refusal(&MaxPool { pad: 3, ..padded.clone() }).contains("not below its window")
        );
        let further = MaxPool { k: 2, stride: 2, pad: 0, beyond: 1, ..padded.clone() };
        assert_eq!(given.gathered(&further), [8.0, -1.0, 10.0, -1.0, 14.0, -1.0, 16.0, -1.0]);
        let large = MaxPool { k: 4, pad: 0, beyond: 0, ..padded };
        assert!(given.refusal(&large).contains("does not fit a map of 3x3"));
    }
}
