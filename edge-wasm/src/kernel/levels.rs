//! The layout of levels and their weights for the vector kernels of [`dot`](super::dot).
//!
//! Weights of two and four bits are widened to bytes when a model is loaded, not in registers at each step. Splitting
//! nibbles costs a mask, a shift and another load of the input for every dot product. With relaxed SIMD in V8, such a
//! kernel reached at most 19 products per cycle, and one that reads bytes 30; either way one vector of weights serves all
//! pixels of a tile. The cost is memory, not download size: `edge.fog` stores nibbles, while laid-out weights take one
//! byte each, twice the file's (147 KB for 3x3, 128 to 128 channels), or two bytes each where pairs are read.

use super::Geometry;
use super::dot::{OUTPUTS, Pair, Quad};
use super::tile::{Group, Run};

/// A map of levels, two neighbouring channels at a time.
pub struct Pairs(Vec<Pair>);

impl Pairs {
    /// Allocates the map of a convolution.
    pub fn new(g: &Geometry) -> Self {
        Self(vec![[0; 2]; g.x.h * g.x.w * g.x.c.div_ceil(2)])
    }

    /// Fills the map with levels (pixels, channels). An odd last level is paired with zero.
    pub fn fill<X: Copy + Into<i16>>(&mut self, levels: &[X], channels: usize) {
        let per_pixel = channels.div_ceil(2);
        let pixels = self.0.chunks_exact_mut(per_pixel).zip(levels.chunks_exact(channels));
        for (pairs, levels) in pixels {
            let (whole, odd) = levels.as_chunks::<2>();
            for (pair, levels) in pairs.iter_mut().zip(whole) {
                *pair = levels.map(Into::into);
            }
            if let [level] = odd {
                pairs[per_pixel - 1] = [(*level).into(), 0];
            }
        }
    }

    /// The pairs, pixel by pixel.
    pub fn units(&self) -> &[Pair] {
        &self.0
    }

    /// Lays out the weights (k, k, inputs, outputs) in groups, padded with zeros.
    pub fn weights(g: &Geometry, weights: &[i8]) -> Vec<Group> {
        lay_out::<2>(g, |group, output, input, at| {
            let place = output * 4 + input * 2;
            group[place..place + 2].copy_from_slice(&i16::from(weights[at]).to_le_bytes());
        })
    }
}

/// A map of quads, and the sum of each pixel's levels.
///
/// The instructions for quads multiply signed by unsigned bytes. Weights are therefore stored as `weight + 8`, and eight
/// times the sum of the levels under the kernel is subtracted, which is the same for all outputs of a pixel. Both terms
/// may overflow 32 bits even if their difference does not: they wrap alike, so the difference is right.
pub struct Quads {
    units: Vec<Quad>,
    sums: Vec<i32>,
    per_pixel: usize,
    stride: usize,
}

/// The offset that makes the weights of quads unsigned.
const OFFSET: i8 = 8;

impl Quads {
    /// Whether all weights have at most four bits.
    pub fn fit(weights: &[i8]) -> bool {
        weights.iter().all(|weight| (-OFFSET..OFFSET).contains(weight))
    }

    /// Allocates the map of a convolution.
    pub fn new(g: &Geometry) -> Self {
        let (pixels, per_pixel) = (g.x.h * g.x.w, g.x.c.div_ceil(4));
        let units = vec![[0; 4]; pixels * per_pixel];
        Self { units, sums: vec![0; pixels], per_pixel, stride: g.stride }
    }

    /// Fills the map with levels (pixels, channels). A pixel's last quad is padded with zeros.
    pub fn fill(&mut self, levels: &[i8], channels: usize) {
        let bytes: &mut [i8] = bytemuck::cast_slice_mut(&mut self.units);
        let pixels = bytes.chunks_exact_mut(self.per_pixel * 4).zip(levels.chunks_exact(channels));
        for ((pixel, levels), sum) in pixels.zip(&mut self.sums) {
            pixel[..channels].copy_from_slice(levels);
            *sum = levels.iter().map(|&level| i32::from(level)).sum();
        }
    }

    /// The quads, pixel by pixel.
    pub fn units(&self) -> &[Quad] {
        &self.units
    }

    /// What the weights' offset adds to the sums of pixel `pixel` of a tile.
    pub fn offset(&self, runs: &[Run], pixel: usize) -> i32 {
        let under = runs.iter().map(|run| {
            let first = run.x / self.per_pixel + pixel * self.stride;
            self.sums[first..][..run.len / self.per_pixel].iter().sum::<i32>()
        });
        i32::from(OFFSET).wrapping_mul(under.sum())
    }

    /// Lays out the weights (k, k, inputs, outputs) in groups.
    pub fn weights(g: &Geometry, weights: &[i8]) -> Vec<Group> {
        lay_out::<4>(g, |group, output, input, at| {
            group[output * 4 + input] = (weights[at] + OFFSET) as u8;
        })
    }
}

/// Lays out groups of units of N levels, filled by `put(group, output in it, level in the unit, index of the weight)`.
fn lay_out<const N: usize>(
    g: &Geometry,
    put: impl Fn(&mut Group, usize, usize, usize),
) -> Vec<Group> {
    let (units, taps) = (g.x.c.div_ceil(N), g.k * g.k);
    let mut groups = vec![[0; 64]; g.outputs.div_ceil(OUTPUTS) * taps * units];
    for tap in 0..taps {
        for input in 0..g.x.c {
            for output in 0..g.outputs {
                let group = &mut groups[(output / OUTPUTS * taps + tap) * units + input / N];
                put(group, output % OUTPUTS, input % N, (tap * g.x.c + input) * g.outputs + output);
            }
        }
    }
    groups
}
