//! How a row of a convolution falls into tiles: P neighbouring pixels by one group of output channels.
//!
//! All vector kernels put an output channel in each lane, so that nothing is ever added across
//! lanes, and read their weights in the same order. A *unit* is what one step takes of the input:
//! eight signs of a pixel in a byte, or two levels in 16 bits each, or four in eight. To every unit
//! belong 64 bytes of weights, those of one group:
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
//! counts or multiplies. 64 bytes are four vectors of 128 bits, two of 256, one of 512.

use super::Geometry;

/// Weights of a group of outputs for one unit of the input.
pub type Group = [u8; 64];

/// Taps side by side in map and weights: where they begin, relative to the map and to the group, and how many units they are.
#[derive(Clone, Copy)]
pub struct Run {
    pub x: usize,
    pub w: usize,
    pub len: usize,
}

/// The units of a map.
#[derive(Clone, Copy)]
pub struct Units {
    /// What a pixel has of them.
    pub used: usize,
    /// From one pixel to the next.
    pub apart: usize,
}

/// Calls `tile(first pixel, how many, runs of the first pixel, taps inside)` for all tiles of output
/// row `y`: P pixels where all of them lie inside the map, single ones else.
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
                // Nothing between the pixels: the row is one run.
                runs.extend(row.reduce(|a, b| Run { len: a.len + b.len, ..a }));
            } else {
                runs.extend(row);
            }
        }
        tile(ox, whole, runs, rows.len() * columns.len());
        ox += if whole { P } else { 1 };
    }
}

/// `step` for 0 to N: 1, 2, 4 or 8. Written out, since the compiler keeps such loops at opt-level 2, the page's, and with them a
/// tile's vectors in memory: 1-bit layers took half as long again.
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
