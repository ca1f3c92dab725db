//! What a convolution is, one number at a time.

use super::Geometry;

/// Sums `term(input offset in pixels, tap index)` over the taps inside the map, for every output pixel and channel.
fn convolve(g: &Geometry, acc: &mut [i32], term: impl Fn(usize, usize, usize) -> i32) {
    for oy in 0..g.out.0 {
        for ox in 0..g.out.1 {
            for output in 0..g.outputs {
                let mut sum = 0;
                for ky in g.taps(oy, g.x.h) {
                    for kx in g.taps(ox, g.x.w) {
                        let pixel = g.under(oy, ky) * g.x.w + g.under(ox, kx);
                        sum += term(pixel, ky * g.k + kx, output);
                    }
                }
                acc[(oy * g.out.1 + ox) * g.outputs + output] = sum;
            }
        }
    }
}

pub fn conv_signs(g: &Geometry, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    let words = g.x.words();
    let sign = |bits: &[u64], c: usize| if bits[c / 64] >> (c % 64) & 1 == 1 { 1 } else { -1 };
    convolve(g, acc, |pixel, tap, output| {
        let x = &x[pixel * words..][..words];
        let w = &weights[(output * g.k * g.k + tap) * words..][..words];
        (0..g.x.c).map(|c| sign(x, c) * sign(w, c)).sum()
    });
}

pub fn conv_levels(g: &Geometry, x: &[i8], weights: &[i8], acc: &mut [i32]) {
    convolve(g, acc, |pixel, tap, output| {
        (0..g.x.c)
            .map(|c| {
                let weight = weights[(tap * g.x.c + c) * g.outputs + output];
                i32::from(x[pixel * g.x.c + c]) * i32::from(weight)
            })
            .sum()
    });
}
