//! The two convolutions that cost time, each in several backends with equal results.
//!
//! Both take a map in H, W, C order and give whole numbers, one an output channel and pixel,
//! so that every backend agrees to the bit. Zeros around the input count nothing: a tap that
//! falls outside the map is left out.

use crate::op::{Conv, Shape};

mod levels;
mod reference;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
mod words;

/// Which implementation runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Backend {
    /// Loops that say what a convolution is, one number at a time: what the others are tested against.
    Reference,
    /// 64 signs a step, in plain Rust.
    Words,
    /// The fastest that this build has: SIMD in WebAssembly, POPCNT on x86, else [`Self::Words`].
    #[default]
    Fastest,
}

/// A convolution's geometry.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// The input map.
    pub x: Shape,
    /// Height and width of the output.
    pub out: (usize, usize),
    /// Output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub k: usize,
    /// Distance of output pixels in input pixels.
    pub stride: usize,
    /// Zeros around the input.
    pub pad: usize,
}

impl Geometry {
    /// The geometry of `conv` over `x`.
    pub fn new(x: Shape, conv: &Conv) -> Self {
        let (k, stride, pad) = (conv.k as usize, conv.stride as usize, conv.pad as usize);
        let side = |length: usize| (length + 2 * pad - k) / stride + 1;
        Self { x, out: (side(x.h), side(x.w)), outputs: conv.outputs as usize, k, stride, pad }
    }

    /// Numbers in the result.
    pub fn len(&self) -> usize {
        self.out.0 * self.out.1 * self.outputs
    }

    /// Never: a checked model's convolutions give something.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The taps of output position `o` along one side that fall inside `length`: a range of kernel positions.
    fn taps(&self, o: usize, length: usize) -> core::ops::Range<usize> {
        let start = o * self.stride;
        let first = self.pad.saturating_sub(start).min(self.k);
        let end = (length + self.pad).saturating_sub(start).min(self.k);
        first..end.max(first)
    }

    /// The input position under kernel position `tap` of output position `o`.
    fn under(&self, o: usize, tap: usize) -> usize {
        o * self.stride + tap - self.pad
    }
}

/// Convolves signs with signs. `x`: H, W, words; `weights`: outputs, k, k, words; `acc`: out H, out W, outputs.
///
/// Bits beyond the channels must be 0 in both.
pub fn conv_signs(backend: Backend, g: &Geometry, x: &[u64], weights: &[u64], acc: &mut [i32]) {
    assert_eq!(x.len(), g.x.h * g.x.w * g.x.words());
    assert_eq!(weights.len(), g.outputs * g.k * g.k * g.x.words());
    assert_eq!(acc.len(), g.len());
    match backend {
        Backend::Reference => reference::conv_signs(g, x, weights, acc),
        Backend::Words => words::conv_signs(g, x, weights, acc),
        Backend::Fastest => {
            #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
            simd128::conv_signs(g, x, weights, acc);
            #[cfg(not(all(target_arch = "wasm32", target_feature = "simd128")))]
            words::conv_signs_popcnt(g, x, weights, acc);
        }
    }
}

/// Convolves levels with levels. `x`: H, W, C; `weights`: k, k, C, outputs; `acc`: out H, out W, outputs.
pub fn conv_levels(backend: Backend, g: &Geometry, x: &[i8], weights: &[i8], acc: &mut [i32]) {
    assert_eq!(x.len(), g.x.len());
    assert_eq!(weights.len(), g.outputs * g.k * g.k * g.x.c);
    assert_eq!(acc.len(), g.len());
    match backend {
        Backend::Reference => reference::conv_levels(g, x, weights, acc),
        Backend::Words | Backend::Fastest => levels::conv_levels(g, x, weights, acc),
    }
}
