//! Signs by the word: the product of two signs is +1 where their bits agree, so that a dot
//! product of n signs is `n - 2 * popcount(x ^ w)`.

use super::Geometry;

/// Calls `pixel(output pixel, number of taps inside, runs)` for every output pixel. A run is a
/// row of taps that lies side by side in both map and weights: (offset in x, offset in w, length), in words.
#[expect(clippy::inline_always, reason = "the loops must take on the caller's target features")]
#[inline(always)]
pub fn for_each_pixel(g: &Geometry, mut pixel: impl FnMut(usize, usize, &[(usize, usize, usize)])) {
    let words = g.x.words();
    let mut runs = [(0, 0, 0); 64];
    for oy in 0..g.out.0 {
        let rows = g.taps(oy, g.x.h);
        for ox in 0..g.out.1 {
            let columns = g.taps(ox, g.x.w);
            let count = if columns.is_empty() { 0 } else { rows.len() };
            for (run, ky) in runs.iter_mut().zip(rows.clone()).take(count) {
                let first = g.under(oy, ky) * g.x.w + g.under(ox, columns.start);
                *run = (first * words, (ky * g.k + columns.start) * words, columns.len() * words);
            }
            pixel(oy * g.out.1 + ox, count * columns.len(), &runs[..count]);
        }
    }
}

#[expect(clippy::inline_always, reason = "as above")]
#[inline(always)]
fn convolve(g: &Geometry, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    let per_output = g.k * g.k * g.x.words();
    for_each_pixel(g, |pixel, taps, runs| {
        let signs = (taps * g.x.c) as i32;
        let out = &mut acc[pixel * g.outputs..][..g.outputs];
        for (sum, w) in out.iter_mut().zip(weights.chunks_exact(per_output)) {
            let mut differ = 0;
            for &(at_x, at_w, len) in runs {
                let pairs = x[at_x..][..len].iter().zip(&w[at_w..][..len]);
                differ += pairs.map(|(x, w)| (x ^ w).count_ones()).sum::<u32>();
            }
            *sum = signs - 2 * differ as i32;
        }
    });
}

pub fn conv_signs(g: &Geometry, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    convolve(g, x, weights, acc);
}

/// The same loops, with the machine's POPCNT instruction where it has one.
#[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
pub fn conv_signs_popcnt(g: &Geometry, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    #[cfg(target_arch = "x86_64")]
    {
        #[target_feature(enable = "popcnt")]
        fn popcnt(g: &Geometry, x: &[u64], weights: &[u64], acc: &mut [i32]) {
            convolve(g, x, weights, acc);
        }
        if std::arch::is_x86_feature_detected!("popcnt") {
            // SAFETY: the feature that `popcnt` is compiled for was just found on this machine.
            unsafe { popcnt(g, x, weights, acc) };
            return;
        }
    }
    convolve(g, x, weights, acc);
}
