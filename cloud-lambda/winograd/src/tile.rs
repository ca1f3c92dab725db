//! The transforms of tiles and kernels, F(2x2, 3x3) and F(4x4, 3x3).

#![expect(clippy::inline_always, reason = "loops must take on their caller's target features")]

use crate::lanes::Lanes;

/// Transforms for outputs of `OUT` by `OUT` pixels from tiles of `IN` by `IN`.
pub trait Tile<const IN: usize, const OUT: usize> {
    /// The product of G and a column of a kernel.
    fn kernel(column: [Lanes; 3]) -> [Lanes; IN];

    /// The product of B^T and a column.
    fn spread(column: [Lanes; IN]) -> [Lanes; IN];

    /// The product of A^T and a column.
    fn gather(column: [Lanes; IN]) -> [Lanes; OUT];
}

/// F(2x2, 3x3), by the points 0, 1, -1 and infinity.
pub struct Two;

impl Tile<4, 2> for Two {
    #[inline(always)]
    fn kernel([a, b, c]: [Lanes; 3]) -> [Lanes; 4] {
        let (outer, middle) = ((a + c) * 0.5, b * 0.5);
        [a, outer + middle, outer - middle, c]
    }

    #[inline(always)]
    fn spread([a, b, c, d]: [Lanes; 4]) -> [Lanes; 4] {
        [a - c, b + c, c - b, b - d]
    }

    #[inline(always)]
    fn gather([a, b, c, d]: [Lanes; 4]) -> [Lanes; 2] {
        [a + b + c, b - c - d]
    }
}

/// F(4x4, 3x3), by the points 0, 1, -1, 2, -2 and infinity.
pub struct Four;

impl Tile<6, 4> for Four {
    #[inline(always)]
    fn kernel([a, b, c]: [Lanes; 3]) -> [Lanes; 6] {
        let (outer, middle) = ((a + c) * (-1.0 / 6.0), b * (1.0 / 6.0));
        let (far, near) = (a * (1.0 / 24.0) + c * (1.0 / 6.0), b * (1.0 / 12.0));
        [a * 0.25, outer - middle, outer + middle, far + near, far - near, c]
    }

    #[inline(always)]
    fn spread([a, b, c, d, e, f]: [Lanes; 6]) -> [Lanes; 6] {
        let (even, odd) = (e - c * 4.0, d - b * 4.0);
        let (half, twice) = (e - c, (d - b) * 2.0);
        [
            a * 4.0 - c * 5.0 + e,
            even + odd,
            even - odd,
            half + twice,
            half - twice,
            b * 4.0 - d * 5.0 + f,
        ]
    }

    #[inline(always)]
    fn gather([a, b, c, d, e, f]: [Lanes; 6]) -> [Lanes; 4] {
        let (even, odd) = (b + c, b - c);
        let (more, less) = (d + e, d - e);
        [a + even + more, odd + less * 2.0, even + more * 4.0, odd + less * 8.0 + f]
    }
}

/// Transforms a square in both directions by `along`, which transforms a column.
#[inline(always)]
pub fn both<const FROM: usize, const TO: usize>(
    square: &[[Lanes; FROM]; FROM],
    along: impl Fn([Lanes; FROM]) -> [Lanes; TO],
) -> [[Lanes; TO]; TO] {
    let mut half = [[Lanes::ZERO; FROM]; TO];
    for x in 0..FROM {
        let column = along(core::array::from_fn(|y| square[y][x]));
        for y in 0..TO {
            half[y][x] = column[y];
        }
    }
    core::array::from_fn(|y| along(half[y]))
}
