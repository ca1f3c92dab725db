//! `sign`: real numbers to signs.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields};
use super::operation::{Operation, Quantiser};
use crate::tensor::{Blob, Data, Kind, Shape};

/// +1 where `x` is at least the channel's threshold, else -1.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sign {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// f32, one per channel.
    pub threshold: Blob,
}

impl Operation for Sign {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { x: of.number("x")?, threshold: of.blob("threshold")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let shape = earlier.real(self.x)?;
        earlier.holds_channels(self.threshold, shape, "thresholds")?;
        Ok(Shape { kind: Kind::Sign, ..shape })
    }

    fn check(&self, data: &Data, _: &[Shape]) -> Result<(), String> {
        data.finite(self.threshold, "thresholds")
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Quantiser for Sign {
    fn bits(&self) -> u8 {
        1
    }

    fn quantise(&self, data: &Data, shape: Shape, y: usize, row: &[f32], map: &mut [u64]) {
        let words = shape.w * shape.words();
        signs(&mut map[y * words..][..words], row, data.tensor(self.threshold));
    }
}

/// The signs of real numbers: +1 where a number is at least its channel's threshold.
fn signs(words: &mut [u64], row: &[f32], thresholds: &[f32]) {
    let c = thresholds.len();
    for (words, row) in words.chunks_exact_mut(c.div_ceil(64)).zip(row.chunks_exact(c)) {
        let parts = row.chunks(64).zip(thresholds.chunks(64));
        for (word, (x, thresholds)) in words.iter_mut().zip(parts) {
            let mut up = [0; 64];
            for ((up, x), threshold) in up.iter_mut().zip(x).zip(thresholds) {
                *up = u8::from(x >= threshold);
            }
            *word = join(&up);
        }
    }
}

/// Packs 64 bytes of 0 or 1 into 64 bits: each product moves the lowest bits of eight bytes into one byte.
fn join(bytes: &[u8; 64]) -> u64 {
    let eights = bytes.as_chunks::<8>().0.iter().rev();
    eights.fold(0, |word, eight| {
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word << 8 | bits
    })
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn a_number_at_its_threshold_is_up_and_nothing_is_beyond_the_channels() {
        let mut given = Given::new();
        let numbers: Vec<f32> = (0..2 * 65).map(|i| i as f32).collect();
        let x = given.real([2, 1, 65], &numbers);
        let sign = Sign { x, threshold: given.blob(&[64.0_f32; 65]) };
        // In the first pixel only the last channel is +1, in the second all are.
        assert_eq!(given.quantised(&sign, x, 4), [0, 1, u64::MAX, 1]);
    }
}
