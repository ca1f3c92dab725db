//! The integer thresholds, one per channel, at which a convolution's sums become signs again.
//!
//! [`Thresholds::of_sums`] defines the result. The vector kernels never compute sums. They count the signs in which two
//! windows differ, and `signs - 2 * differ >= threshold` is the same as `differ <= (signs - threshold) / 2`, rounded
//! down. Each output therefore has a [`Limit`] in the 16 bits of the counts. 64 comparisons make the word that the map
//! stores, and a row of sums is neither written nor read.

use super::Geometry;

/// Outputs in a group, whose signs are one word of the map.
pub const OUTPUTS: usize = 64;

/// The thresholds of a convolution's outputs: +1 where `(sum >= threshold) != flip`.
pub struct Thresholds {
    /// The threshold and the flip of each output.
    outputs: Vec<(i32, bool)>,
    inputs: usize,
    whole: usize,
    /// The numbers of taps inside the map that the two sets of limits are for: the last border pixel's, since its
    /// neighbours have as many, and that of pixels with the whole kernel inside the map.
    taps: [usize; 2],
    /// The two sets, one after the other, with one limit per group.
    limits: Vec<Limit>,
}

/// The limits of a group of outputs: a bit is set where `(differ <= most) != flip`.
#[derive(Clone)]
pub struct Limit {
    /// The largest number of differing signs, per output.
    pub most: [u16; OUTPUTS],
    /// The bits of outputs whose comparison is inverted.
    pub flip: u64,
}

impl Thresholds {
    /// One threshold and one flip (1 or 0) per output channel of `g`.
    pub fn new(g: &Geometry, thresholds: &[i32], flips: &[u8]) -> Self {
        assert_eq!((thresholds.len(), flips.len()), (g.outputs, g.outputs));
        let flips = flips.iter().map(|&flip| flip == 1);
        let outputs = thresholds.iter().copied().zip(flips).collect();
        // Padding of the last group: always true, inverted, so never set.
        let limit = Limit { most: [u16::MAX; OUTPUTS], flip: u64::MAX };
        let limits = vec![limit; 2 * g.outputs.div_ceil(OUTPUTS)];
        Self { outputs, inputs: g.x.c, whole: g.k * g.k, taps: [usize::MAX; 2], limits }
    }

    /// Writes the signs (pixels, words) of sums (pixels, outputs). Bits beyond the outputs are 0.
    pub fn of_sums(&self, sums: &[i32], signs: &mut [u64]) {
        let (outputs, words) = (self.outputs.len(), self.outputs.len().div_ceil(64));
        let pixels = signs.chunks_exact_mut(words).zip(sums.chunks_exact(outputs));
        for (words, sums) in pixels {
            words.fill(0);
            for (output, (&sum, &(threshold, flip))) in sums.iter().zip(&self.outputs).enumerate() {
                words[output / 64] |= u64::from((sum >= threshold) != flip) << (output % 64);
            }
        }
    }

    /// The limits of group `group` at a pixel with `taps` taps inside the map.
    #[inline]
    pub fn at(&mut self, taps: usize, group: usize) -> &Limit {
        let set = usize::from(taps == self.whole);
        if taps != self.taps[set] {
            self.fill(set, taps);
        }
        &self.limits[set * (self.limits.len() / 2) + group]
    }

    /// Computes set `set` for `taps` taps.
    #[cold]
    fn fill(&mut self, set: usize, taps: usize) {
        self.taps[set] = taps;
        let first = set * (self.limits.len() / 2);
        let signs = (taps * self.inputs) as i32;
        for (output, &(threshold, flip)) in self.outputs.iter().enumerate() {
            let most = signs.saturating_sub(threshold) >> 1;
            // No count is below zero: a comparison that never holds is one that always holds, inverted.
            let never = most < 0;
            let (limit, at) = (&mut self.limits[first + output / OUTPUTS], output % OUTPUTS);
            limit.most[at] = if never { u16::MAX } else { most.min(u16::MAX.into()) as u16 };
            limit.flip = limit.flip & !(1 << at) | u64::from(flip != never) << at;
        }
    }
}
