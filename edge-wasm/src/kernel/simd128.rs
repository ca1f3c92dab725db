//! Signs by the 128-bit vector, for WebAssembly with simd128.

use core::arch::wasm32::{
    i8x16_popcnt, i16x8_extadd_pairwise_u8x16, i32x4_add, i32x4_extadd_pairwise_u16x8,
    i32x4_extract_lane, i32x4_splat, u8x16_add, u8x16_splat, u64x2, v128, v128_xor,
};

use super::{Geometry, words};

/// A byte lane holds 255, and each step adds up to 8.
const STEPS: usize = 31;

fn differing(x: &[u64], w: &[u64], mut sums: v128) -> v128 {
    let (pairs_x, last_x) = x.as_chunks::<2>();
    let (pairs_w, last_w) = w.as_chunks::<2>();
    for (x, w) in pairs_x.chunks(STEPS).zip(pairs_w.chunks(STEPS)) {
        let mut bytes = u8x16_splat(0);
        for (x, w) in x.iter().zip(w) {
            let xor = v128_xor(u64x2(x[0], x[1]), u64x2(w[0], w[1]));
            bytes = u8x16_add(bytes, i8x16_popcnt(xor));
        }
        sums = i32x4_add(sums, widen(bytes));
    }
    if let ([x], [w]) = (last_x, last_w) {
        sums = i32x4_add(sums, widen(i8x16_popcnt(u64x2(x ^ w, 0))));
    }
    sums
}

fn widen(bytes: v128) -> v128 {
    i32x4_extadd_pairwise_u16x8(i16x8_extadd_pairwise_u8x16(bytes))
}

pub fn conv_signs(g: &Geometry, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    let per_output = g.k * g.k * g.x.words();
    words::for_each_pixel(g, |pixel, taps, runs| {
        let signs = (taps * g.x.c) as i32;
        let out = &mut acc[pixel * g.outputs..][..g.outputs];
        for (sum, w) in out.iter_mut().zip(weights.chunks_exact(per_output)) {
            let mut sums = i32x4_splat(0);
            for &(at_x, at_w, len) in runs {
                sums = differing(&x[at_x..][..len], &w[at_w..][..len], sums);
            }
            let differ = i32x4_extract_lane::<0>(sums)
                + i32x4_extract_lane::<1>(sums)
                + i32x4_extract_lane::<2>(sums)
                + i32x4_extract_lane::<3>(sums);
            *sum = signs - 2 * differ;
        }
    });
}
