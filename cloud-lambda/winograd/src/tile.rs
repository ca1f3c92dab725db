//! The transforms of tiles and kernels, F(2x2, 3x3) and F(4x4, 3x3).

#![expect(clippy::inline_always, reason = "loops must take on their caller's target features")]

use crate::lanes::Lanes;

/// Transforms for outputs of `OUT` by `OUT` pixels from tiles of `IN` by `IN`.
pub trait Tile<const IN: usize, const OUT: usize> {
    /// A row of G: what each of a kernel's three weights contributes to each transformed weight.
    const KERNEL: [[f64; 3]; IN];

    /// The product of B^T and a column.
    fn spread(column: [Lanes; IN]) -> [Lanes; IN];

    /// The product of A^T and a column.
    fn gather(column: [Lanes; IN]) -> [Lanes; OUT];
}

/// F(2x2, 3x3), by the points 0, 1, -1 and infinity.
pub struct Two;

impl Tile<4, 2> for Two {
    const KERNEL: [[f64; 3]; 4] =
        [[1.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0.0, 0.0, 1.0]];

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
    const KERNEL: [[f64; 3]; 6] = [
        [1.0 / 4.0, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

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

/// The transformed 3x3 kernel, G g G^T, by position.
pub fn transformed<const IN: usize>(rows: &[[f64; 3]; IN], kernel: &[f32]) -> Vec<f32> {
    let weight = |y: usize, x: usize| f64::from(kernel[3 * y + x]);
    let at = |position: usize| {
        let (row, column) = (rows[position / IN], rows[position % IN]);
        let terms = (0..9).map(|i| row[i / 3] * column[i % 3] * weight(i / 3, i % 3));
        terms.sum::<f64>() as f32
    };
    (0..IN * IN).map(at).collect()
}
