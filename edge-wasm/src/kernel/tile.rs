//! Tiling of a convolution's row: each tile is P neighbouring pixels by one group of output channels.
//!
//! All vector kernels put one output channel in each lane, so that lanes are never added to each
//! other, and read their weights in the same order. A *unit* is the part of the input that one step
//! reads: eight signs of a pixel in a byte, two levels in 16 bits each, or four in 8 bits each. Each
//! unit has 64 bytes of weights per group:
//!
//! ```text
//! group of outputs ─┬─ tap (0, 0) ─┬─ unit 0   64 bytes: 64 outputs x 8 signs,
//!                   │              ├─ unit 1             or 16 outputs x 2 levels in i16,
//!                   │              └─ …                  or 16 outputs x 4 levels in i8
//!                   ├─ tap (0, 1) ── …
//!                   └─ …
//! ```
//!
//! A step loads the 64 bytes once for all P pixels, copies each pixel's unit to all lanes, and
//! counts or multiplies. 64 bytes are four vectors of 128 bits, two of 256, or one of 512.

use super::Geometry;

/// The weights of a group of outputs for one unit of the input.
pub type Group = [u8; 64];

/// Taps that are contiguous in map and weights: their start in each, relative to pixel and group, and their number of units.
#[derive(Clone, Copy)]
pub struct Run {
    pub x: usize,
    pub w: usize,
    pub len: usize,
}

/// The layout of a map's units.
#[derive(Clone, Copy)]
pub struct Units {
    /// Units per pixel that are used.
    pub used: usize,
    /// The distance from one pixel to the next, in units.
    pub apart: usize,
}

/// Calls `tile(first pixel, how many, runs of the first pixel, taps inside)` for all tiles of output row `y`: P pixels at
/// a time where their kernels lie inside the map, single pixels elsewhere.
#[expect(clippy::inline_always, reason = "the loops must take on the caller's target features")]
#[inline(always)]
pub fn for_each<const P: usize>(
    g: &Geometry,
    y: usize,
    units: Units,
    runs: &mut Vec<Run>,
    mut tile: impl FnMut(usize, bool, &[Run], usize),
) {
    let rows = g.taps(y, g.x.h);
    let mut ox = 0;
    while ox < g.out.1 {
        let columns = g.taps(ox, g.x.w);
        let whole =
            ox + P <= g.out.1 && columns.len() == g.k && g.taps(ox + P - 1, g.x.w).len() == g.k;
        runs.clear();
        for ky in rows.clone() {
            let row = columns.clone().map(|kx| Run {
                x: (g.under(y, ky) * g.x.w + g.under(ox, kx)) * units.apart,
                w: (ky * g.k + kx) * units.used,
                len: units.used,
            });
            if units.used == units.apart {
                // There is no gap between the pixels: the row is one run.
                runs.extend(row.reduce(|a, b| Run { len: a.len + b.len, ..a }));
            } else {
                runs.extend(row);
            }
        }
        tile(ox, whole, runs, rows.len() * columns.len());
        ox += if whole { P } else { 1 };
    }
}

/// Calls `step` for 0 to N, where N is 1, 2, 4 or 8. It is unrolled by hand, because at opt-level 2, the page's, the compiler
/// keeps such loops and with them a tile's vectors in memory: 1-bit layers took 1.5 times as long.
#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
pub fn unrolled<const N: usize>(mut step: impl FnMut(usize)) {
    const { assert!(matches!(N, 1 | 2 | 4 | 8)) };
    step(0);
    if N > 1 {
        step(1);
    }
    if N > 2 {
        (2..4).for_each(&mut step);
    }
    if N > 4 {
        (4..8).for_each(&mut step);
    }
}
