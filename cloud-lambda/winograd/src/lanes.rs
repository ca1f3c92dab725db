//! Sixteen channels side by side, and what a processor does with them.

#![expect(clippy::inline_always, reason = "loops must take on their caller's target features")]

use core::ops::{Add, Mul, Sub};

/// Number of channels in one [`Lanes`].
pub const LANES: usize = 16;

/// One value of [`LANES`] channels: one register with AVX-512, two with AVX2, four with NEON.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub struct Lanes(pub [f32; LANES]);

impl Lanes {
    pub const ZERO: Self = Self([0.0; LANES]);

    #[inline(always)]
    fn of(lane: impl FnMut(usize) -> f32) -> Self {
        Self(core::array::from_fn(lane))
    }

    /// The sum of `self` and `weight` times `value`.
    #[inline(always)]
    pub fn plus<P: Processor>(self, weight: Self, value: f32) -> Self {
        Self::of(|i| P::multiply_add(self.0[i], weight.0[i], value))
    }
}

impl Add for Lanes {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self::of(|i| self.0[i] + other.0[i])
    }
}

impl Sub for Lanes {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self::of(|i| self.0[i] - other.0[i])
    }
}

impl Mul<f32> for Lanes {
    type Output = Self;
    #[inline(always)]
    fn mul(self, factor: f32) -> Self {
        Self::of(|i| self.0[i] * factor)
    }
}

/// Blocks of [`LANES`] channels that hold this many.
pub fn blocks(channels: usize) -> usize {
    channels.div_ceil(LANES)
}

/// The channels of many blocks.
pub fn flat(lanes: &[Lanes]) -> &[f32] {
    // SAFETY: `Lanes` is an array of f32 without padding: its size, 64 bytes, is a multiple of its alignment.
    unsafe { core::slice::from_raw_parts(lanes.as_ptr().cast(), lanes.len() * LANES) }
}

/// How a processor multiplies and adds.
pub trait Processor {
    fn multiply_add(sum: f32, a: f32, b: f32) -> f32;
}

/// Multiplies and adds in one instruction.
pub struct Fused;

impl Processor for Fused {
    #[inline(always)]
    fn multiply_add(sum: f32, a: f32, b: f32) -> f32 {
        a.mul_add(b, sum)
    }
}

/// Multiplies, then adds: without an instruction for both, `mul_add` would be a call.
pub struct Apart;

impl Processor for Apart {
    #[inline(always)]
    fn multiply_add(sum: f32, a: f32, b: f32) -> f32 {
        sum + a * b
    }
}
