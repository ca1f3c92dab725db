//! Plain Rust, fast on any machine: signs word by word, levels by rows of outputs, depthwise by groups of channels.
//!
//! The product of two signs is +1 where their bits agree. A dot product of n signs is therefore
//! `n - 2 * popcount(x ^ w)`.

use super::Geometry;
use super::depth::{Sums, Windows};
use super::tile::Group;

pub fn sign_row(g: &Geometry, y: usize, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    let words = g.x.words();
    let rows = g.taps(y, g.x.h);
    for (ox, acc) in acc.chunks_exact_mut(g.outputs).enumerate() {
        let columns = g.taps(ox, g.x.w);
        let signs = (rows.len() * columns.len() * g.x.c) as i32;
        for (sum, w) in acc.iter_mut().zip(weights.chunks_exact(g.k * g.k * words)) {
            let mut differ = 0;
            for ky in rows.clone().filter(|_| !columns.is_empty()) {
                // A row of taps is contiguous in map and weights.
                let first = g.under(y, ky) * g.x.w + g.under(ox, columns.start);
                let x = &x[first * words..][..columns.len() * words];
                let w = &w[(ky * g.k + columns.start) * words..][..x.len()];
                differ += x.iter().zip(w).map(|(x, w)| (x ^ w).count_ones()).sum::<u32>();
            }
            *sum = signs - 2 * differ as i32;
        }
    }
}

pub fn level_row<X: Copy + Into<i32>>(
    g: &Geometry,
    y: usize,
    x: &[X],
    weights: &[i8],
    acc: &mut [i32],
) {
    for (ox, sums) in acc.chunks_exact_mut(g.outputs).enumerate() {
        sums.fill(0);
        for ky in g.taps(y, g.x.h) {
            for kx in g.taps(ox, g.x.w) {
                let pixel = g.under(y, ky) * g.x.w + g.under(ox, kx);
                let x = &x[pixel * g.x.c..][..g.x.c];
                let taps = &weights[(ky * g.k + kx) * g.x.c * g.outputs..][..g.x.c * g.outputs];
                for (&x, w) in x.iter().zip(taps.chunks_exact(g.outputs)) {
                    for (sum, &w) in sums.iter_mut().zip(w) {
                        *sum += x.into() * i32::from(w);
                    }
                }
            }
        }
    }
}

pub fn depth_row(windows: &Windows, map: &[Group], weights: &[Group], sums: &mut [Sums]) {
    for (pixel, sums) in sums.iter_mut().enumerate().take(windows.pixels) {
        sums.fill(0);
        for pair in 0..windows.pairs {
            let (x, w) = windows.under(pixel, pair, map, weights);
            for (x, w) in x.iter().zip(w) {
                let pairs = x.as_chunks::<4>().0.iter().zip(w.as_chunks::<4>().0);
                for (sum, (x, w)) in sums.iter_mut().zip(pairs) {
                    let [x, w] =
                        [x, w].map(|&[a, b, c, d]| [[a, b], [c, d]].map(i16::from_ne_bytes));
                    *sum += i32::from(x[0]) * i32::from(w[0]) + i32::from(x[1]) * i32::from(w[1]);
                }
            }
        }
    }
}
