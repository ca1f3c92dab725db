//! Where a convolution's sums become signs again, at a whole-number threshold a channel.
//!
//! What says what that means is [`Thresholds::of_sums`]. The vector kernels never come to sums: they count
//! in how many signs two windows differ, and `signs - 2 * differ >= threshold` is the same as
//! `differ <= (signs - threshold) / 2`, rounded down. So each output has a [`Limit`] in the 16 bits of the counts, 64
//! comparisons make the word that the map holds, and a row of sums is neither written nor read.

use super::Geometry;

/// Outputs in a group: their signs are a word of the map.
pub const OUTPUTS: usize = 64;

/// Thresholds of a convolution's outputs: +1 where `(sum >= threshold) != flip`.
pub struct Thresholds {
    /// A threshold and its flip, an output.
    outputs: Vec<(i32, bool)>,
    inputs: usize,
    whole: usize,
    /// For how many taps inside the map the two sets of limits are: of the last pixel at a border, since its
    /// neighbours have as many, and of those whose whole kernel lies in the map.
    taps: [usize; 2],
    /// One set behind the other, a limit a group.
    limits: Vec<Limit>,
}

/// A group of outputs: which bit is set follows from `(differ <= most) != flip`.
#[derive(Clone)]
pub struct Limit {
    /// How many signs may differ.
    pub most: [u16; OUTPUTS],
    /// Bits of outputs whose comparison is turned round.
    pub flip: u64,
}

impl Thresholds {
    /// One threshold and flip (1, else none) an output channel of `g`.
    pub fn new(g: &Geometry, thresholds: &[i32], flips: &[u8]) -> Self {
        assert_eq!((thresholds.len(), flips.len()), (g.outputs, g.outputs));
        let flips = flips.iter().map(|&flip| flip == 1);
        let outputs = thresholds.iter().copied().zip(flips).collect();
        // What fills up the last group is always so, turned round: never set.
        let limit = Limit { most: [u16::MAX; OUTPUTS], flip: u64::MAX };
        let limits = vec![limit; 2 * g.outputs.div_ceil(OUTPUTS)];
        Self { outputs, inputs: g.x.c, whole: g.k * g.k, taps: [usize::MAX; 2], limits }
    }

    /// Signs (pixels, words) of sums (pixels, outputs), bits beyond the outputs 0.
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

    /// Makes set `set` the limits for `taps` taps.
    #[cold]
    fn fill(&mut self, set: usize, taps: usize) {
        self.taps[set] = taps;
        let first = set * (self.limits.len() / 2);
        let signs = (taps * self.inputs) as i32;
        for (output, &(threshold, flip)) in self.outputs.iter().enumerate() {
            let most = signs.saturating_sub(threshold) >> 1;
            // No count is below zero: what never holds is what always holds, turned round.
            let never = most < 0;
            let (limit, at) = (&mut self.limits[first + output / OUTPUTS], output % OUTPUTS);
            limit.most[at] = if never { u16::MAX } else { most.min(u16::MAX.into()) as u16 };
            limit.flip = limit.flip & !(1 << at) | u64::from(flip != never) << at;
        }
    }
}
