//! Where a convolution's sums become signs again, at a whole-number threshold a channel.
//!
//! What says what that means is [`Thresholds::of_sums`]. The vector kernels never come to sums: they count
//! in how many signs two windows differ, and `signs - 2 * differ >= threshold` is the same as
//! `differ <= (signs - threshold) / 2`, rounded down. So each output has a [`Limit`] in the 16 bits of the counts, 64
//! comparisons make the word that the map holds, and a row of sums is neither written nor read.

use super::Geometry;
use super::lanes::OUTPUTS;
use crate::row;

/// Thresholds of a convolution's outputs: +1 where `(sum >= threshold) != flip`.
pub struct Thresholds {
    least: Vec<i32>,
    flips: Vec<u8>,
    inputs: usize,
    /// Of pixels whose whole kernel lies in the map.
    whole: Limits,
    /// Of the last pixel at a border: its neighbours have as many taps.
    border: Limits,
}

/// Limits for pixels with as many taps inside the map.
struct Limits {
    taps: usize,
    groups: Vec<Limit>,
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
        // What fills up the last group is always so, turned round: never set.
        let limit = Limit { most: [u16::MAX; OUTPUTS], flip: u64::MAX };
        let limits = || Limits { taps: 0, groups: vec![limit.clone(); words(g.outputs)] };
        let (least, flips) = (thresholds.to_vec(), flips.to_vec());
        let mut new = Self { least, flips, inputs: g.x.c, whole: limits(), border: limits() };
        new.fill(g.k * g.k);
        core::mem::swap(&mut new.whole, &mut new.border);
        new
    }

    /// Signs (pixels, words) of sums (pixels, outputs), bits beyond the outputs 0.
    pub fn of_sums(&self, sums: &[i32], signs: &mut [u64]) {
        let outputs = self.least.len();
        let pixels = signs.chunks_exact_mut(words(outputs)).zip(sums.chunks_exact(outputs));
        for (words, sums) in pixels {
            let parts = sums.chunks(64).zip(self.least.chunks(64)).zip(self.flips.chunks(64));
            for (word, ((sums, thresholds), flips)) in words.iter_mut().zip(parts) {
                let mut up = [0; 64];
                let each = up.iter_mut().zip(sums).zip(thresholds).zip(flips);
                for (((up, sum), threshold), flip) in each {
                    *up = u8::from(sum >= threshold) ^ u8::from(*flip == 1);
                }
                *word = row::join(&up);
            }
        }
    }

    /// The limits of group `group` at a pixel with `taps` taps inside the map.
    #[inline]
    pub fn at(&mut self, taps: usize, group: usize) -> &Limit {
        if taps == self.whole.taps {
            return &self.whole.groups[group];
        }
        if taps != self.border.taps {
            self.fill(taps);
        }
        &self.border.groups[group]
    }

    /// Makes `border` the limits for `taps` taps.
    #[cold]
    fn fill(&mut self, taps: usize) {
        self.border.taps = taps;
        let signs = (taps * self.inputs) as i32;
        for (output, (&threshold, &flip)) in self.least.iter().zip(&self.flips).enumerate() {
            let most = signs.saturating_sub(threshold) >> 1;
            // No count is below zero: what never holds is what always holds, turned round.
            let never = most < 0;
            let limit = &mut self.border.groups[output / OUTPUTS];
            let at = output % OUTPUTS;
            limit.most[at] = if never { u16::MAX } else { u16::try_from(most).unwrap_or(u16::MAX) };
            let turned = u64::from((flip == 1) != never);
            limit.flip = limit.flip & !(1 << at) | turned << at;
        }
    }
}

/// Words that hold a pixel's signs.
fn words(outputs: usize) -> usize {
    outputs.div_ceil(64)
}
