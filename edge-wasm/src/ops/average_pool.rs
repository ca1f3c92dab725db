//! `average_pool`: the mean over windows.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps, is_zero, pool};
use super::operation::{Gather, Operation};
use crate::tensor::{Data, Kind, Shape};

/// The mean over windows of `k` x `k`, `stride` apart, or over the whole map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AveragePool {
    /// The operation that gives the input, a map of any kind.
    pub x: usize,
    /// Side of the window; 0 for one window that is the whole map, of any size.
    pub k: u32,
    /// The distance between windows.
    pub stride: u32,
    /// Padding on each side of the map.
    #[serde(skip_serializing_if = "is_zero")]
    pub pad: u32,
    /// More padding below the map and on its right.
    #[serde(skip_serializing_if = "is_zero")]
    pub beyond: u32,
    /// Whether padding counts as zeros; else the mean is of what the map has.
    #[serde(skip_serializing_if = "is_zero")]
    pub zeros: bool,
}

impl Operation for AveragePool {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self {
            x: of.number("x")?,
            k: of.number("k")?,
            stride: of.number("stride")?,
            pad: of.or_zero("pad")?,
            beyond: of.or_zero("beyond")?,
            zeros: of.flag("zeros")?,
        })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let x = Shape { kind: Kind::Real, ..earlier.of(self.x)? };
        match self.k {
            0 if self.pad + self.beyond == 0 => Ok(Shape { h: 1, w: 1, ..x }),
            k => pool::shape(x, k, self.stride, (self.pad, self.beyond)),
        }
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // There are no numbers to check.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Gather for AveragePool {
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]) {
        let shape = maps.shapes[self.x];
        let sides = match self.k as usize {
            0 => (shape.h, shape.w),
            k => (k, k),
        };
        let windows = pool::Windows { sides, stride: self.stride as usize, pad: self.pad as usize };
        match shape.kind {
            Kind::Real => windows.fold(row, y, maps.numbers(self.x), shape, 0.0, |a, b| a + b),
            Kind::Sign => windows.sums(row, y, shape, signs(maps.signs(self.x), shape)),
            Kind::Level => windows.sums(row, y, shape, levels(maps.numbers::<i8>(self.x), shape)),
            Kind::Byte => windows.sums(row, y, shape, levels(maps.numbers::<u8>(self.x), shape)),
        }
        for (ox, sums) in row.chunks_exact_mut(shape.c).enumerate() {
            let (rows, columns) = windows.under(shape, y, ox);
            let counted =
                if self.zeros { sides.0 * sides.1 } else { rows.len() * columns.len() } as f32;
            for sum in sums {
                *sum /= counted;
            }
        }
    }
}

/// Adds the signs of a pixel, as +1 and -1, to sums of channels from `c`.
fn signs(map: &[u64], shape: Shape) -> impl Fn(&mut [i16], usize, usize) {
    move |sums, pixel, c| {
        let words = &map[pixel * shape.words() + c / 64..];
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        for (sums, byte) in sums.chunks_mut(8).zip(bytes) {
            for (bit, sum) in sums.iter_mut().enumerate() {
                *sum += if byte & 1 << bit == 0 { -1 } else { 1 };
            }
        }
    }
}

/// Adds the levels of a pixel to sums of channels from `c`.
fn levels<X: Copy + Into<i16>>(map: &[X], shape: Shape) -> impl Fn(&mut [i16], usize, usize) {
    move |sums, pixel, c| {
        for (sum, &level) in sums.iter_mut().zip(&map[pixel * shape.c + c..]) {
            *sum += level.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn windows_are_averaged_by_channel() {
        let mut given = Given::new();
        let numbers: Vec<f32> = (0..18).map(|i| if i % 2 == 0 { i as f32 } else { -1.0 }).collect();
        let x = given.real([3, 3, 2], &numbers);
        let two = AveragePool { x, k: 2, stride: 1, pad: 0, beyond: 0, zeros: false };
        assert_eq!(given.gathered(&two), [4.0, -1.0, 6.0, -1.0, 10.0, -1.0, 12.0, -1.0]);
        assert_eq!(given.gathered(&AveragePool { k: 1, stride: 2, ..two.clone() }).len(), 8);
        let padded = AveragePool { k: 3, stride: 2, pad: 1, ..two };
        assert_eq!(given.gathered(&padded), [4.0, -1.0, 6.0, -1.0, 10.0, -1.0, 12.0, -1.0]);
        let zeros = given.gathered(&AveragePool { zeros: true, ..padded.clone() });
        assert_eq!(zeros[..2], [16.0 / 9.0, -4.0 / 9.0]);
        let large = AveragePool { k: 4, pad: 0, beyond: 0, ..padded };
        assert!(given.refusal(&large).contains("does not fit a map of 3x3"));
    }

    #[test]
    fn a_window_of_0_is_the_whole_map() {
        let mut given = Given::new();
        let numbers: Vec<f32> =
            (0..400).map(|i| if i % 2 == 0 { i as f32 } else { -1.0 }).collect();
        let x = given.real([2, 100, 2], &numbers);
        assert_eq!(
            given.gathered(&AveragePool { x, k: 0, stride: 1, pad: 0, beyond: 0, zeros: false }),
            [199.0, -1.0]
        );
    }
    #[test]
    fn levels_bytes_and_signs_are_averaged_as_numbers() {
        let mut given = Given::new();
        let numbers: Vec<i8> = (0..3 * 3 * 67).map(|i| (i * 37 % 256) as u8 as i8).collect();
        let real = |of: fn(i8) -> f32| numbers.iter().map(|&n| of(n)).collect::<Vec<f32>>();
        let bytes: &[u8] = bytemuck::cast_slice(&numbers);
        let up = |at: usize| numbers[at] >= 0;
        let words = (0..9).flat_map(|pixel| {
            [0..64, 64..67].map(|of: core::ops::Range<usize>| {
                let set = of.clone().filter(|c| up(pixel * 67 + c));
                set.fold(0_u64, |word, c| word | 1 << (c % 64))
            })
        });
        let words: Vec<u64> = words.collect();
        let shape = [3, 3, 67];
        let pairs = [
            (given.levels(shape, &numbers), given.real(shape, &real(f32::from))),
            (given.bytes(shape, bytes), given.real(shape, &real(|n| f32::from(n as u8)))),
            (
                given.signs(shape, &words),
                given.real(shape, &real(|n| if n >= 0 { 1.0 } else { -1.0 })),
            ),
        ];
        for (k, stride, pad) in [(2, 1, 0), (3, 2, 1), (3, 1, 0), (0, 1, 0)] {
            for (quantised, real) in pairs {
                let of = |x| AveragePool { x, k, stride, pad, beyond: 0, zeros: false };
                assert_eq!(given.gathered(&of(quantised)), given.gathered(&of(real)));
            }
        }
    }
}
