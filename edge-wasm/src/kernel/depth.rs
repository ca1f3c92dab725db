//! Depthwise convolutions: one input channel for each output channel.
//!
//! Channels lie side by side, so that a vector holds as many channels and no lanes are added to each other. Levels and weights
//! are read as bytes and widened in registers. Products are added in 16 bits if no sum can leave them, else in 32.

use super::Geometry;
use crate::tensor::Kind;

/// The channels that a step multiplies and adds up, in registers over all taps.
const BLOCK: usize = 16;

/// Bytes of neighbouring channels.
type Block = [i8; BLOCK];

/// A map and weights by byte, both with channels padded by zeros to whole blocks.
pub struct DepthConv {
    g: Geometry,
    per_pixel: usize,
    /// Taps x channels.
    weights: Vec<Block>,
    /// Pixels x channels. An unsigned byte is stored as the signed one with the same bits.
    map: Vec<Block>,
    /// Whether every sum fits 16 bits.
    narrow: bool,
    /// Where the taps of one pixel start, in map and weights.
    taps: Vec<(usize, usize)>,
}

impl DepthConv {
    /// Lays out `weights` (k, k, channels).
    pub fn new(g: Geometry, weights: &[i8]) -> Self {
        let per_pixel = g.x.c.div_ceil(BLOCK);
        let largest = i32::from(g.x.kind.largest());
        let sum = |channel: usize| -> i32 {
            weights.iter().skip(channel).step_by(g.x.c).map(|&w| i32::from(w).abs() * largest).sum()
        };
        let narrow = (0..g.x.c).all(|channel| sum(channel) <= i32::from(i16::MAX));
        let laid_out = blocks(weights, g.x.c);
        let map = vec![[0; BLOCK]; g.x.h * g.x.w * per_pixel];
        let taps = Vec::with_capacity(g.k * g.k);
        Self { g, per_pixel, weights: laid_out, map, narrow, taps }
    }

    /// Fills the map with levels (pixels, channels); bytes as the levels with the same bits.
    pub fn fill(&mut self, levels: &[i8]) {
        fill(&mut self.map, levels, self.g.x.c);
    }

    /// Fills the map with signs (pixels, words).
    pub fn fill_signs(&mut self, signs: &[u64]) {
        let pixels = self.map.chunks_exact_mut(self.per_pixel);
        for (blocks, words) in pixels.zip(signs.chunks_exact(self.g.x.words())) {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            let eights = blocks.iter_mut().flat_map(|block| block.as_chunks_mut::<8>().0);
            for (eight, byte) in eights.zip(bytes) {
                *eight = spread(byte).to_le_bytes().map(u8::cast_signed);
            }
        }
    }

    /// Writes row `y` of the sums (out W, channels).
    pub fn row(&mut self, y: usize, acc: &mut [i32]) {
        let signed = |x: i8| i16::from(x);
        let unsigned = |x: i8| i16::from(x.cast_unsigned());
        let narrow = |sum: i16, x: i16, w: i16| sum.wrapping_add(x.wrapping_mul(w));
        let wide = |sum: i32, x: i16, w: i16| sum + i32::from(x) * i32::from(w);
        match (self.narrow, self.g.x.kind == Kind::Byte) {
            (true, false) => self.add_up(y, acc, |sum, x, w| narrow(sum, signed(x), w)),
            (false, false) => self.add_up(y, acc, |sum, x, w| wide(sum, signed(x), w)),
            (true, true) => self.add_up(y, acc, |sum, x, w| narrow(sum, unsigned(x), w)),
            (false, true) => self.add_up(y, acc, |sum, x, w| wide(sum, unsigned(x), w)),
        }
    }

    fn add_up<S: Copy + Default + Into<i32>>(
        &mut self,
        y: usize,
        acc: &mut [i32],
        add: impl Fn(S, i8, i16) -> S,
    ) {
        let (g, per_pixel) = (&self.g, self.per_pixel);
        for (ox, acc) in acc.chunks_exact_mut(g.outputs).enumerate() {
            self.taps.clear();
            for ky in g.taps(y, g.x.h) {
                let row = g.under(y, ky) * g.x.w;
                self.taps.extend(
                    g.taps(ox, g.x.w).map(|kx| {
                        ((row + g.under(ox, kx)) * per_pixel, (ky * g.k + kx) * per_pixel)
                    }),
                );
            }
            for (block, acc) in acc.chunks_mut(BLOCK).enumerate() {
                let mut sums = [S::default(); BLOCK];
                for &(x, w) in &self.taps {
                    let (x, w) = (&self.map[x + block], &self.weights[w + block]);
                    for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                        *sum = add(*sum, x, w.into());
                    }
                }
                for (acc, sum) in acc.iter_mut().zip(sums) {
                    *acc = sum.into();
                }
            }
        }
    }
}

/// Levels (pixels or taps, channels) in whole blocks.
fn blocks(levels: &[i8], channels: usize) -> Vec<Block> {
    let mut blocks = vec![[0; BLOCK]; levels.len() / channels * channels.div_ceil(BLOCK)];
    fill(&mut blocks, levels, channels);
    blocks
}

fn fill(blocks: &mut [Block], levels: &[i8], channels: usize) {
    let pixels = blocks.chunks_exact_mut(channels.div_ceil(BLOCK));
    for (blocks, levels) in pixels.zip(levels.chunks_exact(channels)) {
        blocks.as_flattened_mut()[..channels].copy_from_slice(levels);
    }
}

/// Eight bytes of 1 and -1 for eight bits, the lowest first.
fn spread(bits: u8) -> u64 {
    const LOW: u64 = 0x0101_0101_0101_0101;
    // Each byte keeps the bit of its own number, and is 1 if that is set.
    let one_each = (u64::from(bits) * LOW) & 0x8040_2010_0804_0201;
    let below = (one_each & (0x7f * LOW)) + 0x7f * LOW;
    let set = ((below | one_each) >> 7) & LOW;
    !(set * 0xfe)
}

#[cfg(test)]
mod tests {
    use super::spread;

    #[test]
    fn every_bit_becomes_a_byte_of_1_or_minus_1() {
        for bits in 0..=u8::MAX {
            for (bit, byte) in spread(bits).to_le_bytes().into_iter().enumerate() {
                let expected = if bits >> bit & 1 == 1 { 1 } else { -1 };
                assert_eq!(byte.cast_signed(), expected, "bit {bit} of {bits:08b}");
            }
        }
    }
}
