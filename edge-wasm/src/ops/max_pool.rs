//! `max_pool`: the maximum over windows.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps, is_zero, pool};
use super::operation::{Gather, Operation};
use crate::tensor::{Data, Kind, Shape};

/// The maximum over windows of `k` x `k`, `stride` apart. Padding is never the largest. Of signs or levels, the result is signs or
/// levels as well.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MaxPool {
    /// The operation that gives the input, a map of any kind.
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
        pool::shape(earlier.of(self.x)?, self.k, self.stride, (self.pad, self.beyond))
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
        self.largest(row, y, (maps.numbers(self.x), maps.shapes[self.x]), f32::NEG_INFINITY);
    }

    fn levels(&self, maps: &Maps, y: usize, row: &mut [u8]) {
        let shape = maps.shapes[self.x];
        match shape.kind {
            Kind::Sign => {
                // +1 is larger than -1 as a bit as well, 64 signs at a time.
                let words = Shape { c: shape.words(), ..shape };
                let (map, row) = (maps.signs(self.x), bytemuck::cast_slice_mut(row));
                self.windows().fold(row, y, map, words, 0_u64, |a, b| a | b);
            }
            Kind::Byte => self.largest(row, y, (maps.numbers(self.x), shape), u8::MIN),
            _ => {
                let row = bytemuck::cast_slice_mut(row);
                self.largest(row, y, (maps.numbers(self.x), shape), i8::MIN);
            }
        }
    }
}

impl MaxPool {
    fn windows(&self) -> pool::Windows {
        let [k, stride, pad] = [self.k, self.stride, self.pad].map(|n| n as usize);
        pool::Windows { sides: (k, k), stride, pad }
    }

    fn largest<T: Copy + PartialOrd>(
        &self,
        row: &mut [T],
        y: usize,
        (map, shape): (&[T], Shape),
        least: T,
    ) {
        self.windows().fold(row, y, map, shape, least, |a, b| if b > a { b } else { a });
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
    #[test]
    fn levels_bytes_and_signs_stay_what_they_are() {
        let mut given = Given::new();
        let pool = |x| MaxPool { x, k: 2, stride: 1, pad: 0, beyond: 0 };
        let levels = given.levels([2, 3, 1], &[-128, -3, 2, -128, -128, 1]);
        assert_eq!(given.kept(&pool(levels)), [-3_i8 as u8, 2]);
        // As levels, 200 would be the smallest.
        let bytes = given.bytes([2, 3, 1], &[0, 127, 3, 200, 0, 0]);
        assert_eq!(given.kept(&pool(bytes)), [200, 127]);
        // Four pixels of 65 channels: the first is +1 in the first, the last in the last.
        let signs = given.signs([2, 2, 65], &[1, 0, 0, 0, 0, 0, 0, 1]);
        assert_eq!(given.kept(&pool(signs)), [1, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0]);
        let padded = MaxPool { k: 3, stride: 2, pad: 1, ..pool(levels) };
        assert_eq!(given.kept(&padded), [-3_i8 as u8, 2]);
    }
}
