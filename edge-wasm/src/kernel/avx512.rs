//! 512-bit vectors, for gateways on x86-64 with AVX-512. BITALG counts the bits of each byte, VNNI multiplies and adds.
//!
//! The methods are only ever inlined into the functions at the end, whose callers have checked that the machine has
//! AVX-512. Every SAFETY note that says "see above" refers to this.
#![expect(
    clippy::inline_always,
    reason = "a method that is not inlined runs without AVX-512's registers"
)]

use core::arch::x86_64::{
    __m512i, _mm512_add_epi8, _mm512_add_epi16, _mm512_castsi512_si256, _mm512_cmple_epu16_mask,
    _mm512_cvtepu8_epi16, _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_extracti64x4_epi64,
    _mm512_loadu_si512, _mm512_popcnt_epi8, _mm512_set1_epi8, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_storeu_si512, _mm512_xor_si512,
};

use super::depth::{self, Windows};
use super::dot::{self, Dot, Pair, Quad, Sums};
use super::lanes::{self, Lanes, Out};
use super::levels::{Pairs, Quads};
use super::tile::{Group, Run};
use super::{Geometry, Kernels};

/// The kernels of this file.
pub static KERNELS: Kernels = Kernels {
    name: "AVX-512",
    signs: sign_row,
    pairs: pair_row,
    quads: Some(quad_row),
    depth: depth_row,
};

#[derive(Clone, Copy)]
struct Avx512(__m512i);

#[inline(always)]
fn load(group: &Group, index: usize) -> Avx512 {
    debug_assert_eq!(index, 0, "a group is one vector");
    // SAFETY: the reference is to 64 bytes, and this load needs no alignment; AVX-512: see above.
    Avx512(unsafe { _mm512_loadu_si512(group.as_ptr().cast()) })
}

impl Lanes for Avx512 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_setzero_si512() })
    }

    #[inline(always)]
    fn splat(byte: u8) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_epi8(byte as i8) })
    }

    #[inline(always)]
    fn load(group: &Group, index: usize) -> Self {
        load(group, index)
    }

    #[inline(always)]
    fn add_differing(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let count = _mm512_popcnt_epi8(_mm512_xor_si512(x.0, w.0));
            Self(_mm512_add_epi8(self.0, count))
        }
    }

    #[inline(always)]
    fn widen_into(self, sums: &mut [u16; lanes::OUTPUTS], index: usize) {
        // SAFETY: see above.
        let halves = unsafe {
            [
                _mm512_cvtepu8_epi16(_mm512_castsi512_si256(self.0)),
                _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64::<1>(self.0)),
            ]
        };
        let sums = sums[index * 64..][..64].as_chunks_mut::<32>().0;
        for (sums, half) in sums.iter_mut().zip(halves) {
            let at = sums.as_mut_ptr().cast();
            // SAFETY: `at` is 32 u16, as large as a vector, and needs no alignment; AVX-512: see above.
            unsafe { _mm512_storeu_si512(at, _mm512_add_epi16(_mm512_loadu_si512(at), half)) };
        }
    }

    #[inline(always)]
    fn at_most(sums: &[u16; lanes::OUTPUTS], limits: &[u16; lanes::OUTPUTS]) -> u64 {
        let halves = sums.as_chunks::<32>().0.iter().zip(limits.as_chunks::<32>().0);
        halves.enumerate().fold(0, |bits, (at, (sums, limits))| {
            // SAFETY: both are 32 u16, as large as a vector, and loads need no alignment; AVX-512: see above.
            let half = unsafe {
                _mm512_cmple_epu16_mask(
                    _mm512_loadu_si512(sums.as_ptr().cast()),
                    _mm512_loadu_si512(limits.as_ptr().cast()),
                )
            };
            bits | u64::from(half) << (32 * at)
        })
    }
}

impl Sums for Avx512 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_setzero_si512() })
    }

    #[inline(always)]
    fn load(group: &Group, index: usize) -> Self {
        load(group, index)
    }

    #[inline(always)]
    fn store(self, sums: &mut [i32; dot::OUTPUTS], index: usize) {
        debug_assert_eq!(index, 0, "a group is one vector");
        // SAFETY: the reference is to sixteen i32, as large as a vector, and needs no alignment; AVX-512: see above.
        unsafe { _mm512_storeu_si512(sums.as_mut_ptr().cast(), self.0) };
    }
}

impl Dot<Pair> for Avx512 {
    #[inline(always)]
    fn splat(pair: Pair) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_epi32(bytemuck::cast(pair)) })
    }

    #[inline(always)]
    fn add_products(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_dpwssd_epi32(self.0, x.0, w.0) })
    }
}

impl Dot<Quad> for Avx512 {
    #[inline(always)]
    fn splat(quad: Quad) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_set1_epi32(bytemuck::cast(quad)) })
    }

    #[inline(always)]
    fn add_products(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm512_dpbusd_epi32(self.0, w.0, x.0) })
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512bitalg,avx512vnni")]
fn sign_row(g: &Geometry, y: usize, x: &[u64], w: &[Group], runs: &mut Vec<Run>, out: Out) {
    lanes::row::<Avx512, 8, 1>(g, y, x, w, runs, out);
}

#[target_feature(enable = "avx512f,avx512bw,avx512bitalg,avx512vnni")]
fn pair_row(g: &Geometry, y: usize, x: &Pairs, w: &[Group], runs: &mut Vec<Run>, acc: &mut [i32]) {
    dot::row::<Pair, Avx512, 8, 1>(g, y, x.units(), w, runs, acc, |_, _| 0);
}

#[target_feature(enable = "avx512f,avx512bw,avx512bitalg,avx512vnni")]
fn quad_row(g: &Geometry, y: usize, x: &Quads, w: &[Group], runs: &mut Vec<Run>, acc: &mut [i32]) {
    dot::row::<Quad, Avx512, 8, 1>(g, y, x.units(), w, runs, acc, |runs, pixel| {
        x.offset(runs, pixel)
    });
}

#[target_feature(enable = "avx512f,avx512bw,avx512bitalg,avx512vnni")]
fn depth_row(windows: &Windows, map: &[Group], weights: &[Group], sums: &mut [depth::Sums]) {
    depth::row::<Avx512, 4, 1>(windows, map, weights, sums);
}
