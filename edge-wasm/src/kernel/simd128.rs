//! 128-bit vectors, for WebAssembly with simd128.

use core::arch::wasm32::{
    i8x16_bitmask, i8x16_narrow_i16x8, i8x16_popcnt, i32x4_add, i32x4_dot_i16x8, i32x4_splat,
    u8x16_add, u8x16_splat, u16x8_add, u16x8_extend_high_u8x16, u16x8_extend_low_u8x16, u16x8_le,
    v128, v128_load, v128_store, v128_xor,
};

use super::depth::{self, Windows};
use super::dot::{self, Dot, Pair, Sums};
use super::lanes::{self, Lanes, Out};
use super::levels::Pairs;
use super::tile::{Group, Run};
use super::{Geometry, Kernels};

/// The kernels of this file.
pub static KERNELS: Kernels =
    Kernels { name: "simd128", signs: sign_row, pairs: pair_row, quads: None, depth: depth_row };

fn load(group: &Group, index: usize) -> v128 {
    let bytes: &[u8; 16] = group[index * 16..][..16].try_into().expect("sixteen of them");
    // SAFETY: the reference is to sixteen bytes, and loads need no alignment.
    unsafe { v128_load(bytes.as_ptr().cast()) }
}

fn load_eight(numbers: &[u16]) -> v128 {
    let eight: &[u16; 8] = numbers[..8].try_into().expect("eight of them");
    // SAFETY: the reference is to sixteen bytes, and loads need no alignment.
    unsafe { v128_load(eight.as_ptr().cast()) }
}

impl Lanes for v128 {
    fn zero() -> Self {
        u8x16_splat(0)
    }

    fn splat(byte: u8) -> Self {
        u8x16_splat(byte)
    }

    fn load(group: &Group, index: usize) -> Self {
        load(group, index)
    }

    fn add_differing(self, x: Self, w: Self) -> Self {
        u8x16_add(self, i8x16_popcnt(v128_xor(x, w)))
    }

    #[expect(clippy::cast_ptr_alignment, reason = "loads and stores of vectors need none")]
    fn widen_into(self, sums: &mut [u16; lanes::OUTPUTS], index: usize) {
        let halves = [u16x8_extend_low_u8x16(self), u16x8_extend_high_u8x16(self)];
        let sums = sums[index * 16..][..16].as_chunks_mut::<8>().0;
        for (sums, half) in sums.iter_mut().zip(halves) {
            let at = sums.as_mut_ptr().cast::<v128>();
            // SAFETY: `at` is eight u16, as large as a vector; loads and stores need no alignment.
            unsafe { v128_store(at, u16x8_add(v128_load(at), half)) };
        }
    }

    fn at_most(sums: &[u16; lanes::OUTPUTS], limits: &[u16; lanes::OUTPUTS]) -> u64 {
        let sixteens = sums.as_chunks::<16>().0.iter().zip(limits.as_chunks::<16>().0);
        sixteens.enumerate().fold(0, |bits, (at, (sums, limits))| {
            let [low, high] =
                [0, 8].map(|from| u16x8_le(load_eight(&sums[from..]), load_eight(&limits[from..])));
            // Lanes of all ones stay all ones when they are narrowed as signed numbers.
            let sixteen = i8x16_bitmask(i8x16_narrow_i16x8(low, high));
            bits | u64::from(sixteen) << (16 * at)
        })
    }
}

impl Sums for v128 {
    fn zero() -> Self {
        i32x4_splat(0)
    }

    fn load(group: &Group, index: usize) -> Self {
        load(group, index)
    }

    fn store(self, sums: &mut [i32; dot::OUTPUTS], index: usize) {
        let sums: &mut [i32; 4] = (&mut sums[index * 4..][..4]).try_into().expect("four of them");
        // SAFETY: the reference is to four i32, as large as a vector; stores need no alignment.
        unsafe { v128_store(sums.as_mut_ptr().cast(), self) };
    }
}

impl Dot<Pair> for v128 {
    fn splat(pair: Pair) -> Self {
        i32x4_splat(bytemuck::cast(pair))
    }

    fn add_products(self, x: Self, w: Self) -> Self {
        i32x4_add(self, i32x4_dot_i16x8(x, w))
    }
}

pub fn sign_row(g: &Geometry, y: usize, x: &[u64], w: &[Group], runs: &mut Vec<Run>, out: Out) {
    lanes::row::<v128, 2, 4>(g, y, x, w, runs, out);
}

pub fn pair_row(
    g: &Geometry,
    y: usize,
    x: &Pairs,
    w: &[Group],
    runs: &mut Vec<Run>,
    acc: &mut [i32],
) {
    dot::row::<Pair, v128, 2, 4>(g, y, x.units(), w, runs, acc, |_, _| 0);
}

pub fn depth_row(windows: &Windows, map: &[Group], weights: &[Group], sums: &mut [depth::Sums]) {
    depth::row::<v128, 2, 4>(windows, map, weights, sums);
}
