//! Levels by the vector, two at a time: lanes add the products of a unit of two levels with each output's two weights.

use core::array::from_fn;

use super::Geometry;
use super::tile::{self, Group, Run, Units};

/// Outputs in a group.
pub const OUTPUTS: usize = 16;

/// Two levels, side by side in one channel pair.
pub type Pair = [i16; 2];

/// A vector of i32 lanes.
pub trait Pairs: Copy {
    /// All zero.
    fn zero() -> Self;
    /// `pair` in every lane.
    fn splat(pair: Pair) -> Self;
    /// The vector at `index` of those that hold a group.
    fn load(group: &Group, index: usize) -> Self;
    /// Adds to each lane both products of `x` and `w`.
    #[must_use]
    fn add_products(self, x: Self, w: Self) -> Self;
    /// The lanes of this vector, of outputs from `index` x their number.
    fn store(self, sums: &mut [i32; OUTPUTS], index: usize);
}

/// Levels (pixels, channels) in pairs; a last odd one has a zero beside it.
pub fn widen(levels: &[i8], channels: usize, pairs: &mut [Pair]) {
    let per_pixel = channels.div_ceil(2);
    for (pairs, levels) in pairs.chunks_exact_mut(per_pixel).zip(levels.chunks_exact(channels)) {
        let (whole, odd) = levels.as_chunks::<2>();
        for (pair, levels) in pairs.iter_mut().zip(whole) {
            *pair = levels.map(i16::from);
        }
        if let [level] = odd {
            pairs[per_pixel - 1] = [i16::from(*level), 0];
        }
    }
}

/// The weights (k, k, inputs, outputs) in groups; what fills up groups and pairs is zero.
pub fn lay_out(g: &Geometry, weights: &[i8]) -> Vec<Group> {
    let (pairs, taps) = (g.x.c.div_ceil(2), g.k * g.k);
    let mut groups = vec![[0; 64]; g.outputs.div_ceil(OUTPUTS) * taps * pairs];
    for tap in 0..taps {
        for input in 0..g.x.c {
            for output in 0..g.outputs {
                let weight = i16::from(weights[(tap * g.x.c + input) * g.outputs + output]);
                let group = &mut groups[(output / OUTPUTS * taps + tap) * pairs + input / 2];
                let at = output % OUTPUTS * 4 + input % 2 * 2;
                group[at..at + 2].copy_from_slice(&weight.to_le_bytes());
            }
        }
    }
    groups
}

/// Row `y` of a convolution of levels with levels; J vectors hold a group, P pixels share its weights.
#[expect(clippy::inline_always, reason = "the loops must take on the caller's target features")]
#[inline(always)]
pub fn row<V: Pairs, const P: usize, const J: usize>(
    g: &Geometry,
    y: usize,
    x: &[Pair],
    weights: &[Group],
    runs: &mut Vec<Run>,
    acc: &mut [i32],
) {
    let per_pixel = g.x.c.div_ceil(2);
    let units = Units { used: per_pixel, apart: per_pixel };
    let step = g.stride * per_pixel;
    let per_group = g.k * g.k * per_pixel;
    tile::for_each::<P>(g, y, units, runs, |ox, whole, runs, _| {
        for (group, weights) in weights.chunks_exact(per_group).enumerate() {
            let (first, left) = (group * OUTPUTS, (g.outputs - group * OUTPUTS).min(OUTPUTS));
            let mut store = |pixel: usize, sums: &[i32; OUTPUTS]| {
                let out = &mut acc[(ox + pixel) * g.outputs + first..][..left];
                out.copy_from_slice(&sums[..left]);
            };
            if whole {
                let sums = multiply::<V, P, J>(x, step, runs, weights);
                sums.iter().enumerate().for_each(|(pixel, sums)| store(pixel, sums));
            } else {
                store(0, &multiply::<V, 1, J>(x, step, runs, weights)[0]);
            }
        }
    });
}

/// Sums of products, for P pixels that lie `step` pairs apart and a group of outputs.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn multiply<V: Pairs, const P: usize, const J: usize>(
    x: &[Pair],
    step: usize,
    runs: &[Run],
    weights: &[Group],
) -> [[i32; OUTPUTS]; P] {
    let mut lanes = [[V::zero(); J]; P];
    for run in runs {
        let w = &weights[run.w..][..run.len];
        let x: [&[Pair]; P] = from_fn(|pixel| &x[run.x + pixel * step..][..run.len]);
        for (i, w) in w.iter().enumerate() {
            let w: [V; J] = from_fn(|j| V::load(w, j));
            for (lanes, x) in lanes.iter_mut().zip(x) {
                let x = V::splat(x[i]);
                for (lane, w) in lanes.iter_mut().zip(w) {
                    *lane = lane.add_products(x, w);
                }
            }
        }
    }
    let mut sums = [[0; OUTPUTS]; P];
    for (sums, lanes) in sums.iter_mut().zip(lanes) {
        for (j, lane) in lanes.into_iter().enumerate() {
            lane.store(sums, j);
        }
    }
    sums
}
