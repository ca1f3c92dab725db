//! Vector kernels over signs: each lane counts the bits in which eight signs of the input differ from one output's.

use core::array::from_fn;

use super::Geometry;
pub use super::thresholds::OUTPUTS;
use super::thresholds::Thresholds;
use super::tile::{self, Group, Run, Units};

/// The steps that fit a byte lane: it holds up to 255, and each step adds up to 8.
const STEPS: usize = 31;

/// A vector of byte lanes.
pub trait Lanes: Copy {
    /// A vector with 0 in every lane.
    fn zero() -> Self;
    /// A vector with `byte` in every lane.
    fn splat(byte: u8) -> Self;
    /// Loads vector `index` of a group's weights.
    fn load(group: &Group, index: usize) -> Self;
    /// Adds to each lane the number of bits in which `x` and `w` differ.
    #[must_use]
    fn add_differing(self, x: Self, w: Self) -> Self;
    /// Adds each lane to the sum of its output; `index` as in [`Self::load`].
    fn widen_into(self, sums: &mut [u16; OUTPUTS], index: usize);
    /// One bit per output, the first one lowest: 1 if the sum is at most its limit.
    fn at_most(sums: &[u16; OUTPUTS], limits: &[u16; OUTPUTS]) -> u64;
}

/// Whether the sums of this convolution fit into 16 bits.
pub fn fits(g: &Geometry) -> bool {
    u16::try_from(g.k * g.k * g.x.c).is_ok()
}

/// Lays out the weights (outputs, k, k, words) in groups. Missing outputs of the last group get zeros.
pub fn lay_out(g: &Geometry, weights: &[u64]) -> Vec<Group> {
    let (words, bytes, taps) = (g.x.words(), g.x.c.div_ceil(8), g.k * g.k);
    let weights: &[u8] = bytemuck::cast_slice(weights);
    let mut groups = vec![[0; 64]; g.outputs.div_ceil(OUTPUTS) * taps * bytes];
    for output in 0..g.outputs {
        for tap in 0..taps {
            for byte in 0..bytes {
                let at = (output / OUTPUTS * taps + tap) * bytes + byte;
                groups[at][output % OUTPUTS] = weights[(output * taps + tap) * words * 8 + byte];
            }
        }
    }
    groups
}

/// Where a row of counts goes. One kernel serves both, because each copy would be inlined in full.
pub enum Out<'a> {
    /// Sums (pixels, outputs).
    Sums(&'a mut [i32]),
    /// Signs (pixels, words) of the sums by their thresholds; each group of outputs is one word.
    Signs(&'a mut Thresholds, &'a mut [u64]),
}

/// Computes row `y` of a convolution of signs with signs. J vectors hold a group, and P pixels share its weights.
#[expect(clippy::inline_always, reason = "the loops must take on the caller's target features")]
#[inline(always)]
pub fn row<V: Lanes, const P: usize, const J: usize>(
    g: &Geometry,
    y: usize,
    x: &[u64],
    weights: &[Group],
    runs: &mut Vec<Run>,
    mut out: Out,
) {
    let x: &[u8] = bytemuck::cast_slice(x);
    let units = Units { used: g.x.c.div_ceil(8), apart: g.x.words() * 8 };
    let step = g.stride * units.apart;
    let per_group = g.k * g.k * units.used;
    let words = g.outputs.div_ceil(OUTPUTS);
    tile::for_each::<P>(g, y, units, runs, |ox, whole, runs, taps| {
        let signs = (taps * g.x.c) as i32;
        for (group, weights) in weights.chunks_exact(per_group).enumerate() {
            let (first, left) = (group * OUTPUTS, (g.outputs - group * OUTPUTS).min(OUTPUTS));
            let mut store = |pixel: usize, differ: &[u16; OUTPUTS]| match &mut out {
                Out::Sums(acc) => {
                    let sums = &mut acc[(ox + pixel) * g.outputs + first..][..left];
                    for (sum, &differ) in sums.iter_mut().zip(differ) {
                        *sum = signs - 2 * i32::from(differ);
                    }
                }
                Out::Signs(thresholds, map) => {
                    let limit = thresholds.at(taps, group);
                    let word = V::at_most(differ, &limit.most) ^ limit.flip;
                    map[(ox + pixel) * words + group] = word;
                }
            };
            if whole {
                let counts = count::<V, P, J>(x, step, runs, weights);
                counts.iter().enumerate().for_each(|(pixel, differ)| store(pixel, differ));
            } else {
                store(0, &count::<V, 1, J>(x, step, runs, weights)[0]);
            }
        }
    });
}

/// The numbers of differing signs for a group of outputs and P pixels that lie `step` bytes apart.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn count<V: Lanes, const P: usize, const J: usize>(
    x: &[u8],
    step: usize,
    runs: &[Run],
    weights: &[Group],
) -> [[u16; OUTPUTS]; P] {
    let mut sums = [[0; OUTPUTS]; P];
    for run in runs {
        for (chunk, w) in weights[run.w..][..run.len].chunks(STEPS).enumerate() {
            let from = run.x + chunk * STEPS;
            let x: [&[u8]; P] = from_fn(|pixel| &x[from + pixel * step..][..w.len()]);
            let mut differ = [[V::zero(); J]; P];
            for (i, w) in w.iter().enumerate() {
                let w: [V; J] = from_fn(|j| V::load(w, j));
                for (differ, x) in differ.iter_mut().zip(x) {
                    let x = V::splat(x[i]);
                    tile::unrolled::<J>(|j| differ[j] = differ[j].add_differing(x, w[j]));
                }
            }
            tile::unrolled::<P>(|p| {
                tile::unrolled::<J>(|j| differ[p][j].widen_into(&mut sums[p], j));
            });
        }
    }
    sums
}
