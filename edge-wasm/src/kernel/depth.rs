//! Depthwise convolutions: one input channel for each output channel.
//!
//! A group is sixteen neighbouring channels of two rows, one below the other, so that a product of pairs adds up two of the
//! kernel's rows, and no lanes are added to each other:
//!
//! ```text
//! group of channels ─┬─ rows 0 and 1 ─┬─ column 0   64 bytes: 16 channels x 2 rows in i16
//!                    │                ├─ column 1
//!                    │                └─ …
//!                    ├─ rows 2 and 3 ── …
//!                    └─ …
//! ```
//!
//! A kernel may start in the upper or in the lower of two rows. Its weights are therefore laid out twice, the second time one
//! row lower, with zeros in what is left of the pairs. Columns are padded with zeros, too; rows outside the map are left out.

use core::array::from_fn;

use super::dot::{Dot, OUTPUTS, Pair};
use super::tile::{self, Group};
use super::{Backend, Geometry, Vectors, words};
use crate::tensor::Kind;

/// Bytes of neighbouring channels.
type Block = [i8; OUTPUTS];

/// The pixels that kernels may compute at once. A row has columns for so many more, which are not part of the result.
const PIXELS: usize = 4;

/// The sums of a pixel's group of channels.
pub type Sums = [i32; OUTPUTS];

/// The windows of a row of pixels.
pub struct Windows {
    pub pixels: usize,
    k: usize,
    stride: usize,
    /// Pairs of rows that the windows share with the map.
    pub pairs: usize,
    /// The groups from one pair of rows to the next.
    columns: usize,
}

impl Windows {
    /// The columns of map and weights in pair `pair` of a pixel's window.
    pub fn under<'a>(
        &self,
        pixel: usize,
        pair: usize,
        map: &'a [Group],
        weights: &'a [Group],
    ) -> (&'a [Group], &'a [Group]) {
        let x = &map[pair * self.columns + pixel * self.stride..][..self.k];
        (x, &weights[pair * self.k..][..self.k])
    }
}

/// Computes a row of one group of channels: `(windows, map, weights, sums)`, with map and weights from the first shared pair of
/// rows on. Call it only on a machine with its instructions.
pub type DepthRow = unsafe fn(&Windows, &[Group], &[Group], &mut [Sums]);

/// A map and weights in groups, both with channels padded by zeros.
pub struct DepthConv {
    g: Geometry,
    row: DepthRow,
    /// For kernels that start in the upper and in the lower row.
    weights: [Vec<Group>; 2],
    map: Vec<Group>,
    /// Signs by byte (pixels, groups of channels), if the map has signs.
    signs: Vec<Block>,
    /// A row of one group of channels.
    sums: Vec<Sums>,
}

impl DepthConv {
    /// Lays out `weights` (k, k, channels) for `backend`.
    pub fn new(backend: Backend, g: Geometry, weights: &[i8]) -> Self {
        let row = match backend {
            Backend::Reference | Backend::Words => words::depth_row,
            Backend::Vectors(Vectors(kernels)) => kernels.depth,
        };
        let groups = g.x.c.div_ceil(OUTPUTS);
        let weights = [0, 1].map(|above| {
            let mut laid_out = vec![[0; 64]; groups * kernel_pairs(&g) * g.k];
            let rows = Rows { h: g.k, w: g.k, c: g.x.c, above, aside: 0, columns: g.k };
            rows.lay_out(&mut laid_out, kernel_pairs(&g), weights, -1);
            laid_out
        });
        let map = vec![[0; 64]; groups * pairs(&g) * columns(&g)];
        let pixels = if g.x.kind == Kind::Sign { g.x.h * g.x.w } else { 0 };
        let signs = vec![[0; OUTPUTS]; pixels * groups];
        let sums = vec![[0; OUTPUTS]; g.out.1.next_multiple_of(PIXELS)];
        Self { g, row, weights, map, signs, sums }
    }

    /// Fills the map with levels (pixels, channels); bytes as the levels with the same bits.
    pub fn fill(&mut self, x: &[i8]) {
        let mask = if self.g.x.kind == Kind::Byte { 0xff } else { -1 };
        rows(&self.g, self.g.x.c).lay_out(&mut self.map, pairs(&self.g), x, mask);
    }

    /// Fills the map with signs (pixels, words).
    pub fn fill_signs(&mut self, signs: &[u64]) {
        let g = &self.g;
        let groups = g.x.c.div_ceil(OUTPUTS);
        let pixels = self.signs.chunks_exact_mut(groups).zip(signs.chunks_exact(g.x.words()));
        for (blocks, words) in pixels {
            for (group, block) in blocks.iter_mut().enumerate() {
                let bits = words[group / 4] >> (group % 4 * OUTPUTS);
                let [first, second, ..] = bits.to_le_bytes().map(u8::cast_signed);
                // Eight channels read one byte, each its own bit.
                *block = from_fn(|at| if at < 8 { first } else { second });
                for (at, byte) in block.iter_mut().enumerate() {
                    *byte = if *byte & 1 << (at % 8) == 0 { -1 } else { 1 };
                }
            }
        }
        let x = self.signs.as_flattened();
        rows(g, groups * OUTPUTS).lay_out(&mut self.map, pairs(g), x, -1);
    }

    /// Writes row `y` of the sums (out W, channels).
    pub fn row(&mut self, y: usize, acc: &mut [i32]) {
        let Self { g, row, weights, map, sums, .. } = self;
        let (columns, pairs, kernel_pairs) = (columns(g), pairs(g), kernel_pairs(g));
        // Count pairs from above the padding, so that no number is negative.
        let above = g.pad.div_ceil(2);
        let start = y * g.stride + 2 * above - g.pad;
        let first = start / 2;
        let (skip, from) = (above.saturating_sub(first), first.saturating_sub(above));
        let shared = (kernel_pairs - skip).min(pairs - from);
        let windows = Windows { pixels: g.out.1, k: g.k, stride: g.stride, pairs: shared, columns };
        let groups = map.chunks_exact(pairs * columns);
        let weights = weights[start % 2].chunks_exact(kernel_pairs * g.k);
        for (group, (map, weights)) in groups.zip(weights).enumerate() {
            // SAFETY: a backend of vectors is one that `Vectors::all` found on this machine.
            unsafe { row(&windows, &map[from * columns..], &weights[skip * g.k..], sums) }
            for (acc, sums) in acc.chunks_exact_mut(g.outputs).zip(&*sums) {
                let acc = &mut acc[group * OUTPUTS..];
                match acc.first_chunk_mut() {
                    Some(whole) => *whole = *sums,
                    None => copy_part(acc, sums),
                }
            }
        }
    }
}

/// Pairs of rows in the map.
fn pairs(g: &Geometry) -> usize {
    g.x.h.div_ceil(2)
}

/// Columns of the map with padding.
fn columns(g: &Geometry) -> usize {
    let under = (g.out.1.next_multiple_of(PIXELS) - 1) * g.stride + g.k;
    under.max(g.pad + g.x.w)
}

/// Pairs of kernel rows, wherever the kernel starts.
fn kernel_pairs(g: &Geometry) -> usize {
    g.k / 2 + 1
}

/// The rows of a map with so many channels.
fn rows(g: &Geometry, c: usize) -> Rows {
    Rows { h: g.x.h, w: g.x.w, c, above: 0, aside: g.pad, columns: columns(g) }
}

/// Rows of bytes (H, W, C) to lay out in groups.
struct Rows {
    h: usize,
    w: usize,
    c: usize,
    /// Rows and columns of zeros before the first.
    above: usize,
    aside: usize,
    /// Columns of the result.
    columns: usize,
}

impl Rows {
    /// Lays out `x` in `pairs` pairs of rows. `mask` has the bits of a widened byte that are kept: with 8 it is unsigned.
    fn lay_out(&self, groups: &mut [Group], pairs: usize, x: &[i8], mask: i16) {
        let widen = |byte: i8| i16::from(byte) & mask;
        for (at, row) in groups.chunks_exact_mut(self.columns).enumerate() {
            let (group, first) = (at / pairs, at % pairs * 2);
            let [upper, lower] = [first, first + 1].map(|y| {
                let y = y.checked_sub(self.above).filter(|&y| y < self.h);
                y.map_or(&x[..0], |y| &x[y * self.w * self.c..][..self.w * self.c])
            });
            for (column, pair) in row[self.aside..][..self.w].iter_mut().enumerate() {
                let [upper, lower] = [upper, lower].map(|row| block(row, self.c, column, group));
                *pair = bytemuck::cast(from_fn::<Pair, OUTPUTS, _>(|channel| {
                    [upper[channel], lower[channel]].map(widen)
                }));
            }
        }
    }
}

/// A group of a pixel's channels; missing ones are 0, and so are all of an empty row.
fn block(row: &[i8], channels: usize, pixel: usize, group: usize) -> Block {
    let x = row.get(pixel * channels..(pixel + 1) * channels).unwrap_or_default();
    let x = x.get(group * OUTPUTS..).unwrap_or_default();
    x.first_chunk().copied().unwrap_or_else(|| {
        let mut block = [0; OUTPUTS];
        copy_part(&mut block, x);
        block
    })
}

/// Copies as much of `from` as `to` holds. Where it is not inlined, whole groups are copied in registers: a common copy for
/// both would have a variable length, and in V8 the layer took 1.4 times as long.
#[inline(never)]
fn copy_part<T: Copy>(to: &mut [T], from: &[T]) {
    to.iter_mut().zip(from).for_each(|(to, &from)| *to = from);
}

/// The kernel of a [`DepthRow`]. J vectors hold a group, and P pixels share its weights.
#[expect(clippy::inline_always, reason = "the loops must take on the caller's target features")]
#[inline(always)]
pub fn row<V: Dot<Pair>, const P: usize, const J: usize>(
    windows: &Windows,
    map: &[Group],
    weights: &[Group],
    sums: &mut [Sums],
) {
    const { assert!(PIXELS.is_multiple_of(P)) };
    let &Windows { pixels, k, stride, pairs, columns } = windows;
    let tiles = sums.as_chunks_mut::<P>().0.iter_mut().take(pixels.div_ceil(P));
    for (tile, sums) in tiles.enumerate() {
        let mut lanes = [[V::zero(); J]; P];
        for pair in 0..pairs {
            let w = &weights[pair * k..][..k];
            let from = pair * columns + tile * P * stride;
            let x: [&[Group]; P] = from_fn(|pixel| &map[from + pixel * stride..][..k]);
            for (kx, w) in w.iter().enumerate() {
                let w: [V; J] = from_fn(|j| V::load(w, j));
                for (lanes, x) in lanes.iter_mut().zip(x) {
                    tile::unrolled::<J>(|j| {
                        lanes[j] = lanes[j].add_products(V::load(&x[kx], j), w[j]);
                    });
                }
            }
        }
        tile::unrolled::<P>(|p| tile::unrolled::<J>(|j| lanes[p][j].store(&mut sums[p], j)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::Shape;

    /// The sum of one channel's products, one after the other; `x` and `weights` have one channel for each output.
    fn sum(
        g: &Geometry,
        (y, ox, channel): (usize, usize, usize),
        x: &[i16],
        weights: &[i8],
    ) -> i32 {
        let taps = g.taps(y, g.x.h).flat_map(|ky| g.taps(ox, g.x.w).map(move |kx| (ky, kx)));
        let products = taps.map(|(ky, kx)| {
            let pixel = g.under(y, ky) * g.x.w + g.under(ox, kx);
            let weight = weights[(ky * g.k + kx) * g.x.c + channel];
            i32::from(x[pixel * g.x.c + channel]) * i32::from(weight)
        });
        products.sum()
    }

    #[test]
    fn kernels_of_any_size_stride_and_padding_over_any_map_are_right() {
        let (h, w, c) = (5, 6, 19);
        let sizes =
            (1..=5).flat_map(|k| (0..k).flat_map(move |pad| [1, 2, 3].map(|by| (k, pad, by))));
        let bytes: Vec<i8> = (0..h * w * c).map(|i| (i * 73 + i / 11) as u8 as i8).collect();
        let signs: Vec<u64> =
            (0..h * w).map(|i| (i as u64 * 0x1234_5678_9abc) >> 7 & 0x7_ffff).collect();
        let all =
            sizes.flat_map(|size| [Kind::Sign, Kind::Level, Kind::Byte].map(|kind| (size, kind)));
        for ((k, pad, stride), kind) in all {
            let side = |length: usize| (length + 2 * pad - k) / stride + 1;
            let x = Shape { kind, h, w, c };
            let g = Geometry { x, out: (side(h), side(w)), outputs: c, k, stride, pad };
            let levels: Vec<i16> = (0..h * w * c)
                .map(|i| match kind {
                    Kind::Sign => {
                        if signs[i / c] >> (i % c) & 1 == 1 {
                            1
                        } else {
                            -1
                        }
                    }
                    Kind::Byte => bytes[i].cast_unsigned().into(),
                    _ => bytes[i].into(),
                })
                .collect();
            let weights: Vec<i8> = (0..k * k * c).map(|i| (i * 91 + 128) as u8 as i8).collect();
            for backend in Backend::all() {
                let mut conv = DepthConv::new(backend, g, &weights);
                match kind {
                    Kind::Sign => conv.fill_signs(&signs),
                    _ => conv.fill(&bytes),
                }
                let mut acc = vec![0; g.row_len()];
                for y in 0..g.out.0 {
                    conv.row(y, &mut acc);
                    for (at, &got) in acc.iter().enumerate() {
                        let at = (y, at / c, at % c);
                        assert_eq!(
                            got,
                            sum(&g, at, &levels, &weights),
                            "{backend}, {at:?} of {g:?}"
                        );
                    }
                }
            }
        }
    }
}
