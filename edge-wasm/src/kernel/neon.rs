//! 128-bit vectors, for gateways on 64-bit Arm, all of which have NEON.

use core::arch::aarch64::{
    int32x4_t, uint8x16_t, vaddq_s32, vaddq_u8, vaddv_u8, vaddw_high_u8, vaddw_u8, vand_u8,
    vcleq_u16, vcntq_u8, vdupq_n_s32, vdupq_n_u8, veorq_u8, vget_low_s16, vget_low_u8, vld1_u8,
    vld1q_s32, vld1q_u8, vld1q_u16, vmovn_u16, vmull_high_s16, vmull_s16, vpaddq_s32,
    vreinterpretq_s16_s32, vst1q_s32, vst1q_u16,
};

use super::depth::{self, Windows};
use super::dot::{self, Dot, Pair, Sums};
use super::lanes::{self, Lanes, Out};
use super::levels::Pairs;
use super::tile::{Group, Run};
use super::{Geometry, Kernels};

/// The kernels of this file.
pub static KERNELS: Kernels =
    Kernels { name: "NEON", signs: sign_row, pairs: pair_row, quads: None, depth: depth_row };

#[derive(Clone, Copy)]
struct Bytes(uint8x16_t);

impl Lanes for Bytes {
    #[inline]
    fn zero() -> Self {
        Self::splat(0)
    }

    #[inline]
    fn splat(byte: u8) -> Self {
        // SAFETY: NEON is there.
        Self(unsafe { vdupq_n_u8(byte) })
    }

    #[inline]
    fn load(group: &Group, index: usize) -> Self {
        let bytes: &[u8; 16] = group[index * 16..][..16].try_into().expect("sixteen of them");
        // SAFETY: the reference is to sixteen bytes; NEON is there.
        Self(unsafe { vld1q_u8(bytes.as_ptr()) })
    }

    #[inline]
    fn add_differing(self, x: Self, w: Self) -> Self {
        // SAFETY: NEON is there.
        Self(unsafe { vaddq_u8(self.0, vcntq_u8(veorq_u8(x.0, w.0))) })
    }

    #[inline]
    fn widen_into(self, sums: &mut [u16; lanes::OUTPUTS], index: usize) {
        let sums = sums[index * 16..][..16].as_chunks_mut::<8>().0;
        // SAFETY: each chunk is eight u16, as large as a vector; NEON is there.
        unsafe {
            let low = vaddw_u8(vld1q_u16(sums[0].as_ptr()), vget_low_u8(self.0));
            vst1q_u16(sums[0].as_mut_ptr(), low);
            let high = vaddw_high_u8(vld1q_u16(sums[1].as_ptr()), self.0);
            vst1q_u16(sums[1].as_mut_ptr(), high);
        }
    }

    #[inline]
    fn at_most(sums: &[u16; lanes::OUTPUTS], limits: &[u16; lanes::OUTPUTS]) -> u64 {
        const BITS: [u8; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
        let eights = sums.as_chunks::<8>().0.iter().zip(limits.as_chunks::<8>().0);
        eights.enumerate().fold(0, |bits, (at, (sums, limits))| {
            // SAFETY: each is eight numbers, as large as a vector or half of one; NEON is there.
            let eight = unsafe {
                let below = vcleq_u16(vld1q_u16(sums.as_ptr()), vld1q_u16(limits.as_ptr()));
                // Each lane keeps its own bit, so their sum is the byte.
                vaddv_u8(vand_u8(vmovn_u16(below), vld1_u8(BITS.as_ptr())))
            };
            bits | u64::from(eight) << (8 * at)
        })
    }
}

#[derive(Clone, Copy)]
struct Words(int32x4_t);

impl Sums for Words {
    #[inline]
    fn zero() -> Self {
        Self::splat([0; 2])
    }

    #[inline]
    fn load(group: &Group, index: usize) -> Self {
        let bytes: &[u8; 16] = group[index * 16..][..16].try_into().expect("sixteen of them");
        // SAFETY: the reference is to sixteen bytes, and the load needs no alignment; NEON is there.
        Self(unsafe { vld1q_s32(bytes.as_ptr().cast()) })
    }

    #[inline]
    fn store(self, sums: &mut [i32; dot::OUTPUTS], index: usize) {
        let sums: &mut [i32; 4] = (&mut sums[index * 4..][..4]).try_into().expect("four of them");
        // SAFETY: the reference is to four i32, as large as a vector; NEON is there.
        unsafe { vst1q_s32(sums.as_mut_ptr(), self.0) };
    }
}

impl Dot<Pair> for Words {
    #[inline]
    fn splat(pair: Pair) -> Self {
        // SAFETY: NEON is there.
        Self(unsafe { vdupq_n_s32(bytemuck::cast(pair)) })
    }

    #[inline]
    fn add_products(self, x: Self, w: Self) -> Self {
        // SAFETY: NEON is there.
        unsafe {
            let (x, w) = (vreinterpretq_s16_s32(x.0), vreinterpretq_s16_s32(w.0));
            let low = vmull_s16(vget_low_s16(x), vget_low_s16(w));
            Self(vaddq_s32(self.0, vpaddq_s32(low, vmull_high_s16(x, w))))
        }
    }
}

fn sign_row(g: &Geometry, y: usize, x: &[u64], w: &[Group], runs: &mut Vec<Run>, out: Out) {
    lanes::row::<Bytes, 4, 4>(g, y, x, w, runs, out);
}

fn pair_row(g: &Geometry, y: usize, x: &Pairs, w: &[Group], runs: &mut Vec<Run>, acc: &mut [i32]) {
    dot::row::<Pair, Words, 4, 4>(g, y, x.units(), w, runs, acc, |_, _| 0);
}

fn depth_row(windows: &Windows, map: &[Group], weights: &[Group], sums: &mut [depth::Sums]) {
    depth::row::<Words, 4, 4>(windows, map, weights, sums);
}
