//! What a step does to a row of real numbers, besides convolving: each operation in the order in
//! which it adds and multiplies everywhere, so that every build gives the same bits.
//!
//! Written so that compilers turn the loops into vectors: no branch, no call that a target lacks.

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
            let below = *x * slope;
            *x = if *x > 0.0 { *x } else { below };
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

/// Added to a number below 2^22, this leaves the nearest whole one, ties to even, in the sum's lowest bits.
const WHOLE: f32 = 12_582_912.0;

/// The nearest level, ties to even.
pub fn quantise(levels: &mut [i8], row: &[f32], scale: f32, low: i8, high: i8) {
    let (low, high) = (f32::from(low), f32::from(high));
    for (level, x) in levels.iter_mut().zip(row) {
        let x = x / scale;
        let x = if x > low { x } else { low };
        let x = if x < high { x } else { high };
        *level = (x + WHOLE).to_bits() as i8;
    }
}

/// Signs of real numbers: +1 where a number is at least its channel's threshold.
pub fn signs(words: &mut [u64], row: &[f32], thresholds: &[f32]) {
    let c = thresholds.len();
    for (words, row) in words.chunks_exact_mut(c.div_ceil(64)).zip(row.chunks_exact(c)) {
        let parts = row.chunks(64).zip(thresholds.chunks(64));
        for (word, (x, thresholds)) in words.iter_mut().zip(parts) {
            let mut up = [0; 64];
            for ((up, x), threshold) in up.iter_mut().zip(x).zip(thresholds) {
                *up = u8::from(x >= threshold);
            }
            *word = join(&up);
        }
    }
}

/// 64 bytes of 0 or 1 to as many bits: each product moves the eight lowest bits into one byte.
fn join(bytes: &[u8; 64]) -> u64 {
    let eights = bytes.as_chunks::<8>().0.iter().rev();
    eights.fold(0, |word, eight| {
        let bits = u64::from_le_bytes(*eight).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        word << 8 | bits
    })
}
