//! A dot product of bytes in vectors of 128 bits, for WebAssembly with relaxed SIMD.
//!
//! The instruction may do as it likes with an operand above 127, and where the sum of two products
//! passes 16 bits. Weights from 0 to 15 meet neither, so that results are exact here too.

use core::arch::wasm32::{
    i32x4_extract_lane, i32x4_relaxed_dot_i8x16_i7x16_add, i32x4_splat, v128,
};
use core::hint::black_box;

use super::dot::{self, Dot, Quad};
use super::levels::Quads;
use super::tile::{Group, Run};
use super::{Geometry, Kernels, simd128};

/// The kernels of this file, and those that plain simd128 has.
pub static KERNELS: Kernels = Kernels {
    name: "relaxed-simd",
    signs: simd128::sign_row,
    pairs: simd128::pair_row,
    quads: Some(quad_row),
};

impl Dot<Quad> for v128 {
    fn splat(quad: Quad) -> Self {
        i32x4_splat(bytemuck::cast(quad))
    }

    fn add_products(self, x: Self, w: Self) -> Self {
        i32x4_relaxed_dot_i8x16_i7x16_add(x, w, self)
    }
}

/// Whether this engine keeps the sum that it adds to. V8 11.3 (Node 20, behind an option) does not in code of its first
/// compiler, and an engine's name or what it validates do not tell: these kernels are only for one that computes.
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
