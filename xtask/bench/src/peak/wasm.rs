//! Peaks with WebAssembly's 128-bit vectors.

use core::arch::wasm32::{
    i8x16_popcnt, i32x4_add, i32x4_dot_i16x8, i32x4_splat, u8x16_add, u64x2, v128, v128_xor,
};

use super::{Kernel, Registers};
use crate::Random;

pub type Vector = v128;

pub fn vector(random: &mut Random) -> Vector {
    u64x2(random.bits(), random.bits())
}

pub fn kernels() -> &'static [Kernel] {
    &[
        ("popcount", 128, popcount),
        ("dot of pairs", 8, pairs),
        #[cfg(target_feature = "relaxed-simd")]
        ("dot of bytes", 16, bytes),
    ]
}

fn popcount(r: &mut Registers, times: u32) {
    rounds!(
        r,
        times,
        i32x4_splat(0),
        |sum, x, w| u8x16_add(sum, i8x16_popcnt(v128_xor(x, w))),
        v128_xor
    );
}

fn pairs(r: &mut Registers, times: u32) {
    rounds!(r, times, i32x4_splat(0), |sum, x, w| i32x4_add(sum, i32x4_dot_i16x8(x, w)), v128_xor);
}

/// Operands above seven bits have an engine-defined result, at the same speed.
#[cfg(target_feature = "relaxed-simd")]
fn bytes(r: &mut Registers, times: u32) {
    use core::arch::wasm32::i32x4_relaxed_dot_i8x16_i7x16_add as dot;
    rounds!(r, times, i32x4_splat(0), |sum, x, w| dot(x, w, sum), v128_xor);
}
