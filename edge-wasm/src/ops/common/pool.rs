//! Windows without padding over a map of real numbers.

use crate::tensor::{Shape, windows};

/// The shape of the result of windows of `k` x `k`, `stride` apart.
pub fn shape(x: Shape, k: u32, stride: u32) -> Result<Shape, String> {
    let (h, w) = windows(x, k, stride, 0)?;
    Ok(Shape { h, w, ..x })
}

/// Folds the numbers in each window of `h` x `w` of output row `y`, starting from `first`.
pub fn row(
    row: &mut [f32],
    y: usize,
    x: &[f32],
    shape: Shape,
    ((h, w), stride): ((usize, usize), u32),
    first: f32,
    join: impl Fn(f32, f32) -> f32,
) {
    let stride = stride as usize;
    row.fill(first);
    for (ox, out) in row.chunks_exact_mut(shape.c).enumerate() {
        for iy in y * stride..y * stride + h {
            let window = &x[(iy * shape.w + ox * stride) * shape.c..][..w * shape.c];
            for pixel in window.chunks_exact(shape.c) {
                for (out, &x) in out.iter_mut().zip(pixel) {
                    *out = join(*out, x);
                }
            }
        }
    }
}
