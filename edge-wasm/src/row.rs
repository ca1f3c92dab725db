//! What a step does to a row of real numbers, besides convolving: each operation in the order in
//! which it adds and multiplies everywhere, so that every build gives the same bits.

use crate::op::Shape;

/// `sum * scale + bias`, a scale and bias a channel.
pub fn from_sums(row: &mut [f32], sums: &[i32], scale: &[f32], bias: &[f32]) {
    let pixels = row.chunks_exact_mut(scale.len()).zip(sums.chunks_exact(scale.len()));
    for (row, sums) in pixels {
        for (((out, &sum), scale), bias) in row.iter_mut().zip(sums).zip(scale).zip(bias) {
            *out = sum as f32 * scale + bias;
        }
    }
}

/// `x * scale + bias`, a scale and bias a channel.
pub fn affine(row: &mut [f32], scale: &[f32], bias: &[f32]) {
    for pixel in row.chunks_exact_mut(scale.len()) {
        for ((x, scale), bias) in pixel.iter_mut().zip(scale).zip(bias) {
            *x = *x * scale + bias;
        }
    }
}

/// Adds another row.
pub fn add(row: &mut [f32], other: &[f32]) {
    for (x, other) in row.iter_mut().zip(other) {
        *x += other;
    }
}

/// `x` where positive, else `x * slope`, a slope a channel.
pub fn prelu(row: &mut [f32], slope: &[f32]) {
    for pixel in row.chunks_exact_mut(slope.len()) {
        for (x, slope) in pixel.iter_mut().zip(slope) {
            *x = if *x > 0.0 { *x } else { *x * slope };
        }
    }
}

/// Joins what lies in each window of output row `y`, beginning with `first`.
pub fn pool(
    row: &mut [f32],
    y: usize,
    x: &[f32],
    shape: Shape,
    (k, stride): (u32, u32),
    first: f32,
    join: impl Fn(f32, f32) -> f32,
) {
    let (k, stride) = (k as usize, stride as usize);
    row.fill(first);
    for (ox, out) in row.chunks_exact_mut(shape.c).enumerate() {
        for iy in y * stride..y * stride + k {
            let window = &x[(iy * shape.w + ox * stride) * shape.c..][..k * shape.c];
            for pixel in window.chunks_exact(shape.c) {
                for (out, &x) in out.iter_mut().zip(pixel) {
                    *out = join(*out, x);
                }
            }
        }
    }
}

/// The channels of `a`, then those of `b`, pixel by pixel.
pub fn concat(row: &mut [f32], a: &[f32], b: &[f32], (ca, cb): (usize, usize)) {
    let pixels = a.chunks_exact(ca).zip(b.chunks_exact(cb));
    for (row, (a, b)) in row.chunks_exact_mut(ca + cb).zip(pixels) {
        row[..ca].copy_from_slice(a);
        row[ca..].copy_from_slice(b);
    }
}

/// `row[o] = sum over i of x[i] * weights[i, o]`, in the order of i.
pub fn multiply<W: Copy + Into<f32>>(row: &mut [f32], x: &[f32], weights: &[W]) {
    row.fill(0.0);
    for (&x, w) in x.iter().zip(weights.chunks_exact(row.len())) {
        for (sum, &w) in row.iter_mut().zip(w) {
            *sum += x * w.into();
        }
    }
}

/// The nearest level, ties to even.
pub fn quantise(levels: &mut [i8], row: &[f32], scale: f32, low: i8, high: i8) {
    let (low, high) = (f32::from(low), f32::from(high));
    for (level, x) in levels.iter_mut().zip(row) {
        *level = (x / scale).round_ties_even().clamp(low, high) as i8;
    }
}

/// A bit a channel, 1 where `positive(channel, number)`; a pixel's bits fill whole words.
pub fn pack_signs<T>(
    words: &mut [u64],
    row: &[T],
    channels: usize,
    positive: impl Fn(usize, &T) -> bool,
) {
    let pixels = words.chunks_exact_mut(channels.div_ceil(64)).zip(row.chunks_exact(channels));
    for (words, pixel) in pixels {
        for (word, (start, x)) in words.iter_mut().zip(pixel.chunks(64).enumerate()) {
            *word = x
                .iter()
                .enumerate()
                .fold(0, |word, (bit, x)| word | u64::from(positive(start * 64 + bit, x)) << bit);
        }
    }
}
