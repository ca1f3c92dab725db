//! Native peaks with 512-bit vectors, if the processor has them; otherwise there are no native peaks.

use core::arch::x86_64::{
    __m512i, _mm512_add_epi8, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_popcnt_epi8,
    _mm512_setzero_si512, _mm512_xor_si512,
};
use std::arch::is_x86_feature_detected as has;

use super::{Kernel, Registers};
use crate::Random;

pub type Vector = __m512i;

pub fn vector(random: &mut Random) -> Vector {
    let words: [u64; 8] = core::array::from_fn(|_| random.bits());
    // SAFETY: both types have 64 bytes, and every bit pattern is valid in both.
    unsafe { core::mem::transmute(words) }
}

pub fn kernels() -> &'static [Kernel] {
    let wide = has!("avx512f") && has!("avx512bw") && has!("avx512bitalg");
    if wide && has!("avx512vnni") {
        &[
            // SAFETY: the processor was checked for these instructions.
            ("popcount", 512, |r, times| unsafe { popcount(r, times) }),
            // SAFETY: as above.
            ("dot of pairs", 32, |r, times| unsafe { pairs(r, times) }),
            // SAFETY: as above.
            ("dot of bytes", 64, |r, times| unsafe { bytes(r, times) }),
        ]
    } else {
        &[]
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bitalg")]
fn popcount(r: &mut Registers, times: u32) {
    rounds!(
        r,
        times,
        _mm512_setzero_si512(),
        |sum, x, w| _mm512_add_epi8(sum, _mm512_popcnt_epi8(_mm512_xor_si512(x, w))),
        _mm512_xor_si512
    );
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn pairs(r: &mut Registers, times: u32) {
    rounds!(
        r,
        times,
        _mm512_setzero_si512(),
        |sum, x, w| _mm512_dpwssd_epi32(sum, x, w),
        _mm512_xor_si512
    );
}

#[target_feature(enable = "avx512f,avx512vnni")]
fn bytes(r: &mut Registers, times: u32) {
    rounds!(
        r,
        times,
        _mm512_setzero_si512(),
        |sum, x, w| _mm512_dpbusd_epi32(sum, w, x),
        _mm512_xor_si512
    );
}
