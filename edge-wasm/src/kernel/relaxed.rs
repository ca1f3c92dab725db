//! A dot product of bytes in 128-bit vectors, for WebAssembly with relaxed SIMD.
//!
//! The result of the instruction is unspecified for operands above 127, and if the sum of two products
//! overflows 16 bits. Weights from 0 to 15 cause neither, so results are exact.

use core::arch::wasm32::{
    i32x4_extract_lane, i32x4_relaxed_dot_i8x16_i7x16_add, i32x4_splat, v128,
};
use core::hint::black_box;

use super::dot::{self, Dot, Quad};
use super::levels::Quads;
use super::tile::{Group, Run};
use super::{Geometry, Kernels, simd128};

/// The kernels of this file, and those of plain simd128.
pub static KERNELS: Kernels = Kernels {
    name: "relaxed-simd",
    signs: simd128::sign_row,
    pairs: simd128::pair_row,
    quads: Some(quad_row),
    depth: simd128::depth_row,
};

impl Dot<Quad> for v128 {
    fn splat(quad: Quad) -> Self {
        i32x4_splat(bytemuck::cast(quad))
    }

    fn add_products(self, x: Self, w: Self) -> Self {
        i32x4_relaxed_dot_i8x16_i7x16_add(x, w, self)
    }
}

/// Whether this engine's instruction adds to its third operand. The baseline compiler of V8 11.3 (Node 20, behind a flag)
/// does not, and neither the engine's name nor validation reveals it. These kernels are used only if a test sum is right.
pub fn adds() -> bool {
    let ones = black_box(i32x4_splat(0x0101_0101));
    let mut sum = i32x4_splat(0);
    for _ in 0..black_box(3) {
        sum = i32x4_relaxed_dot_i8x16_i7x16_add(ones, ones, sum);
    }
    i32x4_extract_lane::<0>(sum) == 3 * 4
}

fn quad_row(g: &Geometry, y: usize, x: &Quads, w: &[Group], runs: &mut Vec<Run>, acc: &mut [i32]) {
    dot::row::<Quad, v128, 2, 4>(g, y, x.units(), w, runs, acc, |runs, pixel| {
        x.offset(runs, pixel)
    });
}
