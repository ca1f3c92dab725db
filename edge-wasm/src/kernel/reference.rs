//! The definition of a convolution, one number at a time.

use super::Geometry;

/// Sums `term(input pixel, tap, output)` over the taps inside the map, for every pixel and channel of output row `y`.
fn row(g: &Geometry, y: usize, acc: &mut [i32], term: impl Fn(usize, usize, usize) -> i32) {
    for (x, acc) in acc.chunks_exact_mut(g.outputs).enumerate() {
        for (output, sum) in acc.iter_mut().enumerate() {
            *sum = 0;
            for ky in g.taps(y, g.x.h) {
                for kx in g.taps(x, g.x.w) {
                    let pixel = g.under(y, ky) * g.x.w + g.under(x, kx);
                    *sum += term(pixel, ky * g.k + kx, output);
                }
            }
        }
    }
}

pub fn sign_row(g: &Geometry, y: usize, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    let words = g.x.words();
    let sign = |bits: &[u64], c: usize| if bits[c / 64] >> (c % 64) & 1 == 1 { 1 } else { -1 };
    row(g, y, acc, |pixel, tap, output| {
        let x = &x[pixel * words..][..words];
        let w = &weights[(output * g.k * g.k + tap) * words..][..words];
        (0..g.x.c).map(|c| sign(x, c) * sign(w, c)).sum()
    });
}

pub fn level_row<X: Copy + Into<i32>>(
    g: &Geometry,
    y: usize,
    x: &[X],
    weights: &[i8],
    acc: &mut [i32],
) {
    row(g, y, acc, |pixel, tap, output| {
        (0..g.x.c)
            .map(|c| {
                let weight = weights[(tap * g.x.c + c) * g.outputs + output];
                x[pixel * g.x.c + c].into() * i32::from(weight)
            })
            .sum()
    });
}
