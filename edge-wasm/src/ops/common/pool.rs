//! Windows over a map.

use core::ops::Range;

use crate::tensor::{Shape, windows};

/// The channels whose levels are added up at once, in whole words of signs.
const LANES: usize = 256;
/// As many bytes fit a sum of 16 bits.
const MOST_PIXELS: usize = 128;

/// The windows of a pool: their sides, the distance between them, and the padding around the map.
#[derive(Clone, Copy)]
pub struct Windows {
    /// Height and width of a window.
    pub sides: (usize, usize),
    /// The distance between windows.
    pub stride: usize,
    /// Padding on each side of the map, below the windows' sides.
    pub pad: usize,
}

/// The shape of the result of windows of `k` x `k`, `stride` apart, with padding `pad` around the map and `beyond` more below
/// it and on its right.
pub fn shape(x: Shape, k: u32, stride: u32, (pad, beyond): (u32, u32)) -> Result<Shape, String> {
    // Every window must have something of the map.
    if u64::from(pad) + u64::from(beyond) >= u64::from(k) {
        return Err(format!("its padding of {pad} and {beyond} is not below its window of {k}"));
    }
    let (h, w) = windows(x, k, stride, (pad, beyond))?;
    Ok(Shape { h, w, ..x })
}

impl Windows {
    /// The rows of a map of shape `x` under window row `y`, and the columns under window column `ox`.
    pub fn under(&self, x: Shape, y: usize, ox: usize) -> (Range<usize>, Range<usize>) {
        let inside = |at: usize, window: usize, length: usize| {
            let start = at * self.stride;
            start.saturating_sub(self.pad)..(start + window - self.pad).min(length)
        };
        (inside(y, self.sides.0, x.h), inside(ox, self.sides.1, x.w))
    }

    /// Folds the numbers under each window of output row `y`, starting from `first`.
    pub fn fold<T: Copy>(
        &self,
        row: &mut [T],
        y: usize,
        x: &[T],
        shape: Shape,
        first: T,
        join: impl Fn(T, T) -> T,
    ) {
        row.fill(first);
        for (ox, out) in row.chunks_exact_mut(shape.c).enumerate() {
            let (rows, columns) = self.under(shape, y, ox);
            for iy in rows {
                let start = (iy * shape.w + columns.start) * shape.c;
                for pixel in x[start..][..columns.len() * shape.c].chunks_exact(shape.c) {
                    for (out, &x) in out.iter_mut().zip(pixel) {
                        *out = join(*out, x);
                    }
                }
            }
        }
    }

    /// Sums the levels under each window of output row `y`. `add` adds those of a pixel, given its index, at as many channels from
    /// one of them as there are sums.
    pub fn sums(
        &self,
        row: &mut [f32],
        y: usize,
        shape: Shape,
        add: impl Fn(&mut [i16], usize, usize),
    ) {
        for (ox, out) in row.chunks_exact_mut(shape.c).enumerate() {
            let (rows, columns) = self.under(shape, y, ox);
            for (at, out) in out.chunks_mut(LANES).enumerate() {
                let mut sums = [0; LANES];
                let sums = &mut sums[..out.len()];
                out.fill(0.0);
                let mut pixels = 0;
                for iy in rows.clone() {
                    for ix in columns.clone() {
                        if pixels == MOST_PIXELS {
                            flush(out, sums);
                            pixels = 0;
                        }
                        add(sums, iy * shape.w + ix, at * LANES);
                        pixels += 1;
                    }
                }
                flush(out, sums);
            }
        }
    }
}

/// Adds sums to real numbers, and starts them again from 0.
fn flush(out: &mut [f32], sums: &mut [i16]) {
    for (out, sum) in out.iter_mut().zip(sums) {
        *out += f32::from(core::mem::take(sum));
    }
}
