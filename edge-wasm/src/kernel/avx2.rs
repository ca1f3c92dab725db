//! 256-bit vectors, for gateways on x86-64 with AVX2. Two shuffles count the bits of each byte (Muła, Kurz, Lemire 2018,
//! arXiv 1611.07612).
//!
//! The methods are only ever inlined into the functions at the end, whose callers have checked that the machine has
//! AVX2. Every SAFETY note that says "see above" refers to this.
#![expect(
    clippy::inline_always,
    reason = "a method that is not inlined runs without AVX2's registers"
)]

use core::arch::x86_64::{
    __m256i, _mm256_add_epi8, _mm256_add_epi16, _mm256_add_epi32, _mm256_and_si256,
    _mm256_castsi256_si128, _mm256_cmpeq_epi16, _mm256_cvtepu8_epi16, _mm256_extracti128_si256,
    _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_min_epu16,
    _mm256_movemask_epi8, _mm256_packs_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi8,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_storeu_si256, _mm256_xor_si256,
};

use super::depth::{self, Windows};
use super::dot::{self, Dot, Pair, Quad, Sums};
use super::lanes::{self, Lanes, Out};
use super::levels::{Pairs, Quads};
use super::tile::{Group, Run};
use super::{Geometry, Kernels};

/// The kernels of this file.
pub static KERNELS: Kernels = Kernels {
    name: "AVX2",
    signs: sign_row,
    pairs: pair_row,
    quads: Some(quad_row),
    depth: depth_row,
};

#[derive(Clone, Copy)]
struct Avx2(__m256i);

#[inline(always)]
fn load(group: &Group, index: usize) -> Avx2 {
    let bytes: &[u8; 32] = group[index * 32..][..32].try_into().expect("32 of them");
    // SAFETY: the reference is to 32 bytes, and this load needs no alignment; AVX2: see above.
    Avx2(unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) })
}

impl Lanes for Avx2 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_setzero_si256() })
    }

    #[inline(always)]
    fn splat(byte: u8) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_set1_epi8(byte as i8) })
    }

    #[inline(always)]
    fn load(group: &Group, index: usize) -> Self {
        load(group, index)
    }

    #[inline(always)]
    fn add_differing(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let bits = _mm256_setr_epi8(
                0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, //
                0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,
            );
            let nibble = _mm256_set1_epi8(15);
            let xor = _mm256_xor_si256(x.0, w.0);
            let low = _mm256_shuffle_epi8(bits, _mm256_and_si256(xor, nibble));
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(xor), nibble);
            let count = _mm256_add_epi8(low, _mm256_shuffle_epi8(bits, high));
            Self(_mm256_add_epi8(self.0, count))
        }
    }

    #[inline(always)]
    fn widen_into(self, sums: &mut [u16; lanes::OUTPUTS], index: usize) {
        // SAFETY: see above.
        let halves = unsafe {
            [
                _mm256_cvtepu8_epi16(_mm256_castsi256_si128(self.0)),
                _mm256_cvtepu8_epi16(_mm256_extracti128_si256::<1>(self.0)),
            ]
        };
        let sums = sums[index * 32..][..32].as_chunks_mut::<16>().0;
        for (sums, half) in sums.iter_mut().zip(halves) {
            let at = sums.as_mut_ptr().cast();
            // SAFETY: `at` is sixteen u16, as large as a vector, and needs no alignment; AVX2: see above.
            unsafe { _mm256_storeu_si256(at, _mm256_add_epi16(_mm256_loadu_si256(at), half)) };
        }
    }

    #[inline(always)]
    fn at_most(sums: &[u16; lanes::OUTPUTS], limits: &[u16; lanes::OUTPUTS]) -> u64 {
        let halves = sums.as_chunks::<32>().0.iter().zip(limits.as_chunks::<32>().0);
        halves.enumerate().fold(0, |bits, (at, (sums, limits))| {
            let [low, high] = [0, 16].map(|from| {
                let (sums, limits) = (sums[from..].as_ptr().cast(), limits[from..].as_ptr().cast());
                // SAFETY: sixteen u16, as large as a vector, lie from 0 and from 16 of 32, and
                // loads need no alignment; AVX2: see above.
                unsafe {
                    let sums = _mm256_loadu_si256(sums);
                    // AVX2 cannot compare unsigned numbers: a sum is at most its limit if it is the smaller of the two.
                    _mm256_cmpeq_epi16(_mm256_min_epu16(sums, _mm256_loadu_si256(limits)), sums)
                }
            });
            // SAFETY: see above.
            let half = unsafe {
                // Narrowing works within each half of a vector, so the quarters are reordered afterwards.
                let bytes =
                    _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
                _mm256_movemask_epi8(bytes) as u32
            };
            bits | u64::from(half) << (32 * at)
        })
    }
}

impl Sums for Avx2 {
    #[inline(always)]
    fn zero() -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_setzero_si256() })
    }

    #[inline(always)]
    fn load(group: &Group, index: usize) -> Self {
        load(group, index)
    }

    #[inline(always)]
    fn store(self, sums: &mut [i32; dot::OUTPUTS], index: usize) {
        let sums: &mut [i32; 8] = (&mut sums[index * 8..][..8]).try_into().expect("eight of them");
        // SAFETY: the reference is to eight i32, as large as a vector, and needs no alignment; AVX2: see above.
        unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), self.0) };
    }
}

impl Dot<Pair> for Avx2 {
    #[inline(always)]
    fn splat(pair: Pair) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_set1_epi32(bytemuck::cast(pair)) })
    }

    #[inline(always)]
    fn add_products(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_add_epi32(self.0, _mm256_madd_epi16(x.0, w.0)) })
    }
}

impl Dot<Quad> for Avx2 {
    #[inline(always)]
    fn splat(quad: Quad) -> Self {
        // SAFETY: see above.
        Self(unsafe { _mm256_set1_epi32(bytemuck::cast(quad)) })
    }

    #[inline(always)]
    fn add_products(self, x: Self, w: Self) -> Self {
        // SAFETY: see above.
        unsafe {
            let sixteens = _mm256_maddubs_epi16(w.0, x.0);
            let sums = _mm256_madd_epi16(sixteens, _mm256_set1_epi16(1));
            Self(_mm256_add_epi32(self.0, sums))
        }
    }
}

#[target_feature(enable = "avx2")]
fn sign_row(g: &Geometry, y: usize, x: &[u64], w: &[Group], runs: &mut Vec<Run>, out: Out) {
    lanes::row::<Avx2, 4, 2>(g, y, x, w, runs, out);
}

#[target_feature(enable = "avx2")]
fn pair_row(g: &Geometry, y: usize, x: &Pairs, w: &[Group], runs: &mut Vec<Run>, acc: &mut [i32]) {
    dot::row::<Pair, Avx2, 4, 2>(g, y, x.units(), w, runs, acc, |_, _| 0);
}

#[target_feature(enable = "avx2")]
fn quad_row(g: &Geometry, y: usize, x: &Quads, w: &[Group], runs: &mut Vec<Run>, acc: &mut [i32]) {
    dot::row::<Quad, Avx2, 4, 2>(g, y, x.units(), w, runs, acc, |runs, pixel| {
        x.offset(runs, pixel)
    });
}

#[target_feature(enable = "avx2")]
fn depth_row(windows: &Windows, map: &[Group], weights: &[Group], sums: &mut [depth::Sums]) {
    depth::row::<Avx2, 4, 2>(windows, map, weights, sums);
}
