//! Levels by the vector: lanes add the products of a unit of levels with each output's weights.
//!
//! A unit is a [`Pair`] of levels in 16 bits, or, where weights have at most four bits, a [`Quad`] in eight.

use core::array::from_fn;

use super::Geometry;
use super::tile::{self, Group, Run, Units};

/// Outputs in a group.
pub const OUTPUTS: usize = 16;

/// Two levels, of neighbouring channels.
pub type Pair = [i16; 2];

/// Four levels, of neighbouring channels.
pub type Quad = [i8; 4];

/// A vector of i32 lanes.
pub trait Sums: Copy {
    /// All zero.
    fn zero() -> Self;
    /// The vector at `index` of those that hold a group.
    fn load(group: &Group, index: usize) -> Self;
    /// Writes each lane to the sum of its output; `index` as in [`Self::load`].
    fn store(self, sums: &mut [i32; OUTPUTS], index: usize);
}

/// One that multiplies units.
pub trait Dot<Unit>: Sums {
    /// `unit` in every lane.
    fn splat(unit: Unit) -> Self;
    /// Adds to each lane the products of `x` and `w`.
    #[must_use]
    fn add_products(self, x: Self, w: Self) -> Self;
}

/// Row `y` of a convolution of levels with levels; J vectors hold a group, P pixels share its weights.
/// `less` says for the runs of a tile's first pixel what to take off the sums of each of its pixels.
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
                    // What was added too much may have taken a lane round once: this takes it back.
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

/// Sums of products, for P pixels that lie `step` units apart and a group of outputs.
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
