//! Vector kernels over levels: each lane adds up the products of the input's levels with one output's weights.
//!
//! A unit of the input is a [`Pair`] of levels in 16 bits each or, if weights have at most four bits, a [`Quad`] in 8
//! bits each.

use core::array::from_fn;

use super::Geometry;
use super::tile::{self, Group, Run, Units};

/// The number of output channels in a group.
pub const OUTPUTS: usize = 16;

/// Two levels of neighbouring channels.
pub type Pair = [i16; 2];

/// Four levels of neighbouring channels.
pub type Quad = [i8; 4];

/// A vector of i32 lanes.
pub trait Sums: Copy {
    /// A vector with 0 in every lane.
    fn zero() -> Self;
    /// Loads vector `index` of a group's weights.
    fn load(group: &Group, index: usize) -> Self;
    /// Stores each lane as the sum of its output; `index` as in [`Self::load`].
    fn store(self, sums: &mut [i32; OUTPUTS], index: usize);
}

/// A vector that can multiply units.
pub trait Dot<Unit>: Sums {
    /// A vector with `unit` in every lane.
    fn splat(unit: Unit) -> Self;
    /// Adds the products of `x` and `w` to each lane.
    #[must_use]
    fn add_products(self, x: Self, w: Self) -> Self;
}

/// Computes row `y` of a convolution of levels with levels. J vectors hold a group, and P pixels share its weights.
/// `less(runs, pixel)` is subtracted from each sum of a tile's pixel, given the runs of the tile's first pixel.
#[expect(clippy::inline_always, reason = "the loops must take on the caller's target features")]
#[inline(always)]
pub fn row<Unit: Copy, V: Dot<Unit>, const P: usize, const J: usize>(
    g: &Geometry,
    y: usize,
    x: &[Unit],
    weights: &[Group],
    runs: &mut Vec<Run>,
    acc: &mut [i32],
    less: impl Fn(&[Run], usize) -> i32,
) {
    let per_pixel = x.len() / (g.x.h * g.x.w);
    let units = Units { used: per_pixel, apart: per_pixel };
    let step = g.stride * per_pixel;
    let per_group = g.k * g.k * per_pixel;
    tile::for_each::<P>(g, y, units, runs, |ox, whole, runs, _| {
        let pixels = if whole { P } else { 1 };
        let less: [i32; P] = from_fn(|pixel| if pixel < pixels { less(runs, pixel) } else { 0 });
        for (group, weights) in weights.chunks_exact(per_group).enumerate() {
            let (first, left) = (group * OUTPUTS, (g.outputs - group * OUTPUTS).min(OUTPUTS));
            let mut store = |pixel: usize, sums: &[i32; OUTPUTS]| {
                let out = &mut acc[(ox + pixel) * g.outputs + first..][..left];
                for (out, sum) in out.iter_mut().zip(sums) {
                    // The excess may have wrapped a lane; subtracting it wraps back.
                    *out = sum.wrapping_sub(less[pixel]);
                }
            };
            if whole {
                let sums = multiply::<Unit, V, P, J>(x, step, runs, weights);
                sums.iter().enumerate().for_each(|(pixel, sums)| store(pixel, sums));
            } else {
                store(0, &multiply::<Unit, V, 1, J>(x, step, runs, weights)[0]);
            }
        }
    });
}

/// The sums of products for a group of outputs and P pixels that lie `step` units apart.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn multiply<Unit: Copy, V: Dot<Unit>, const P: usize, const J: usize>(
    x: &[Unit],
    step: usize,
    runs: &[Run],
    weights: &[Group],
) -> [[i32; OUTPUTS]; P] {
    let mut lanes = [[V::zero(); J]; P];
    for run in runs {
        let w = &weights[run.w..][..run.len];
        let x: [&[Unit]; P] = from_fn(|pixel| &x[run.x + pixel * step..][..run.len]);
        for (i, w) in w.iter().enumerate() {
            let w: [V; J] = from_fn(|j| V::load(w, j));
            for (lanes, x) in lanes.iter_mut().zip(x) {
                let x = V::splat(x[i]);
                tile::unrolled::<J>(|j| lanes[j] = lanes[j].add_products(x, w[j]));
            }
        }
    }
    let mut sums = [[0; OUTPUTS]; P];
    tile::unrolled::<P>(|p| tile::unrolled::<J>(|j| lanes[p][j].store(&mut sums[p], j)));
    sums
}
