//! Depthwise convolutions: one input channel for each output channel.
//!
//! Channels lie side by side, so that a vector holds as many channels and no lanes are added to each other. The map is widened
//! to 16 bits and weights are stored in 16 bits; products are added in 16 bits if no sum can leave them, else in 32.

use super::Geometry;

/// The channels that a step multiplies and adds up, in registers over all taps.
const BLOCK: usize = 16;

/// A map and weights in 16 bits, both with channels padded by zeros to whole blocks.
pub struct DepthConv {
    g: Geometry,
    per_pixel: usize,
    /// Taps x channels.
    weights: Vec<[i16; BLOCK]>,
    /// Pixels x channels.
    map: Vec<[i16; BLOCK]>,
    /// Whether every sum fits 16 bits.
    narrow: bool,
}

impl DepthConv {
    /// Lays out `weights` (k, k, channels) for levels of at most `largest` in size.
    pub fn new(g: Geometry, weights: &[i8], largest: i32) -> Self {
        let per_pixel = g.x.c.div_ceil(BLOCK);
        let sum = |channel: usize| -> i32 {
            weights.iter().skip(channel).step_by(g.x.c).map(|&w| i32::from(w).abs() * largest).sum()
        };
        let narrow = (0..g.x.c).all(|channel| sum(channel) <= i32::from(i16::MAX));
        let mut blocks = vec![[0; BLOCK]; g.k * g.k * per_pixel];
        for (blocks, weights) in blocks.chunks_exact_mut(per_pixel).zip(weights.chunks_exact(g.x.c))
        {
            widen(blocks, weights);
        }
        let map = vec![[0; BLOCK]; g.x.h * g.x.w * per_pixel];
        Self { g, per_pixel, weights: blocks, map, narrow }
    }

    /// Fills the map with levels (pixels, channels).
    pub fn fill<X: Copy + Into<i16>>(&mut self, levels: &[X]) {
        let pixels = self.map.chunks_exact_mut(self.per_pixel).zip(levels.chunks_exact(self.g.x.c));
        pixels.for_each(|(blocks, levels)| widen(blocks, levels));
    }

    /// Fills the map with signs (pixels, words).
    pub fn fill_signs(&mut self, signs: &[u64]) {
        let words = self.g.x.words();
        let pixels = self.map.chunks_exact_mut(self.per_pixel).zip(signs.chunks_exact(words));
        for (blocks, words) in pixels {
            let bytes = words.iter().flat_map(|word| word.to_le_bytes());
            let halves = blocks.iter_mut().flat_map(|block| block.as_chunks_mut::<8>().0);
            for (levels, byte) in halves.zip(bytes) {
                for (bit, level) in levels.iter_mut().enumerate() {
                    *level = if byte & 1 << bit == 0 { -1 } else { 1 };
                }
            }
        }
    }

    /// Writes row `y` of the sums (out W, channels).
    pub fn row(&self, y: usize, acc: &mut [i32]) {
        if self.narrow {
            self.add_up(y, acc, |sum: i16, x, w| sum.wrapping_add(x.wrapping_mul(w)));
        } else {
            self.add_up(y, acc, |sum: i32, x, w| sum + i32::from(x) * i32::from(w));
        }
    }

    fn add_up<S: Copy + Default + Into<i32>>(
        &self,
        y: usize,
        acc: &mut [i32],
        add: impl Fn(S, i16, i16) -> S,
    ) {
        let (g, per_pixel) = (&self.g, self.per_pixel);
        let rows = g.taps(y, g.x.h);
        for (ox, acc) in acc.chunks_exact_mut(g.outputs).enumerate() {
            let columns = g.taps(ox, g.x.w);
            for (block, acc) in acc.chunks_mut(BLOCK).enumerate() {
                let mut sums = [S::default(); BLOCK];
                for ky in rows.clone() {
                    for kx in columns.clone() {
                        let pixel = g.under(y, ky) * g.x.w + g.under(ox, kx);
                        let x = &self.map[pixel * per_pixel + block];
                        let w = &self.weights[(ky * g.k + kx) * per_pixel + block];
                        for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                            *sum = add(*sum, x, w);
                        }
                    }
                }
                for (acc, sum) in acc.iter_mut().zip(sums) {
                    *acc = sum.into();
                }
            }
        }
    }
}

/// Copies levels to whole blocks.
fn widen<X: Copy + Into<i16>>(blocks: &mut [[i16; BLOCK]], levels: &[X]) {
    for (block, levels) in blocks.iter_mut().zip(levels.chunks(BLOCK)) {
        for (to, &from) in block.iter_mut().zip(levels) {
            *to = from.into();
        }
    }
}
