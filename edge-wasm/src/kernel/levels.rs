//! Levels: all output channels of a pixel side by side, which compilers turn into SIMD.

use super::Geometry;

pub fn conv_levels(g: &Geometry, x: &[i8], weights: &[i8], acc: &mut [i32]) {
    for oy in 0..g.out.0 {
        for ox in 0..g.out.1 {
            let sums = &mut acc[(oy * g.out.1 + ox) * g.outputs..][..g.outputs];
            sums.fill(0);
            for ky in g.taps(oy, g.x.h) {
                for kx in g.taps(ox, g.x.w) {
                    let pixel = g.under(oy, ky) * g.x.w + g.under(ox, kx);
                    let x = &x[pixel * g.x.c..][..g.x.c];
                    let taps = &weights[(ky * g.k + kx) * g.x.c * g.outputs..][..g.x.c * g.outputs];
                    for (&x, w) in x.iter().zip(taps.chunks_exact(g.outputs)) {
                        for (sum, &w) in sums.iter_mut().zip(w) {
                            *sum += i32::from(x) * i32::from(w);
                        }
                    }
                }
            }
        }
    }
}
