//! Sixteen channels side by side.

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

    /// The larger of both in each channel.
    #[inline(always)]
    pub fn max(self, other: Self) -> Self {
        Self::of(|i| self.0[i].max(other.0[i]))
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
