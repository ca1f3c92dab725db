//! `dequantise`: signs or levels to real numbers.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Gather, Operation};
use crate::tensor::{Data, Kind, Shape};

/// The levels of a quantised map as real numbers, without their scale; signs as +1 and -1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dequantise {
    /// The operation that gives the input, a map of signs, levels or bytes.
    pub x: usize,
}

impl Operation for Dequantise {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { x: of.number("x")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        match earlier.of(self.x)? {
            Shape { kind: Kind::Real, .. } => Err("its map is not quantised".into()),
            shape => Ok(Shape { kind: Kind::Real, ..shape }),
        }
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // There are no numbers to check.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Gather for Dequantise {
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]) {
        let shape = maps.shapes[self.x];
        match shape.kind {
            Kind::Sign => {
                let words = shape.w * shape.words();
                signs(row, &maps.signs(self.x)[y * words..][..words], shape.c);
            }
            Kind::Byte => widen(row, &maps.numbers::<u8>(self.x)[y * row.len()..]),
            _ => widen(row, &maps.numbers::<i8>(self.x)[y * row.len()..]),
        }
    }
}

fn widen<X: Copy + Into<f32>>(row: &mut [f32], levels: &[X]) {
    for (real, &level) in row.iter_mut().zip(levels) {
        *real = level.into();
    }
}

/// +1 and -1 for the signs of pixels of `c` channels, a byte of eight signs at a time.
fn signs(row: &mut [f32], words: &[u64], c: usize) {
    for (row, words) in row.chunks_exact_mut(c).zip(words.chunks_exact(c.div_ceil(64))) {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes());
        for (eight, byte) in row.chunks_mut(8).zip(bytes) {
            for (bit, real) in eight.iter_mut().enumerate() {
                *real = if byte & 1 << bit == 0 { -1.0 } else { 1.0 };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn levels_bytes_and_signs_become_their_numbers() {
        let mut given = Given::new();
        let levels = given.levels([2, 1, 2], &[-128, 127, 0, 1]);
        assert_eq!(given.gathered(&Dequantise { x: levels }), [-128.0, 127.0, 0.0, 1.0]);
        let bytes = given.bytes([1, 1, 2], &[128, 255]);
        assert_eq!(given.gathered(&Dequantise { x: bytes }), [128.0, 255.0]);
        // Two rows of one pixel with 65 channels, of which the first and the last are +1.
        let signs = given.signs([2, 1, 65], &[1, 1, 0, 0]);
        let real = given.gathered(&Dequantise { x: signs });
        let up: Vec<usize> = (0..130).filter(|&at| real[at] == 1.0).collect();
        assert_eq!(up, [0, 64]);
        assert!(real.iter().all(|&real| real == 1.0 || real == -1.0));
        let real = given.real([1, 1, 1], &[0.5]);
        assert_eq!(given.refusal(&Dequantise { x: real }), "its map is not quantised");
    }
}
