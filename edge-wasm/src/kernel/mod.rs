//! The two expensive convolutions, over signs and over levels. Each has several backends with equal results.
//!
//! Both read a map in H, W, C order and compute integers, one per output channel and pixel, one row of pixels at a
//! time. Backends therefore agree to the bit. Padding contributes nothing: taps outside the map are left out.
//! [`reference`] defines the result; [`words`] is plain Rust; the vector kernels [`lanes`] and [`dot`] are written once
//! for all vector widths, over the layout described in [`tile`]. If a batch-norm and a sign follow, they become
//! [`thresholds`] on the sums.

use bytemuck::Pod;

use crate::tensor::{Kind, Shape};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod depth;
mod dot;
mod lanes;
#[cfg_attr(
    not(any(target_arch = "x86_64", target_feature = "relaxed-simd")),
    allow(dead_code, reason = "quads are for sets that multiply bytes")
)]
mod levels;
#[cfg(target_arch = "aarch64")]
mod neon;
mod reference;
#[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
mod relaxed;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod simd128;
mod thresholds;
mod tile;
mod words;

pub use depth::DepthConv;
use depth::DepthRow;
use lanes::Out;
use levels::{Pairs, Quads};
pub use thresholds::Thresholds;
use tile::{Group, Run};

/// An implementation of the convolutions.
#[derive(Debug, Clone, Copy)]
pub enum Backend {
    /// Plain loops, one number at a time: the definition that the others are tested against.
    Reference,
    /// 64 signs per step, in plain Rust.
    Words,
    /// Vector instructions that this machine has.
    Vectors(Vectors),
}

impl Backend {
    /// All backends of this build that run on this machine, the fastest last.
    pub fn all() -> Vec<Self> {
        let plain = [Self::Reference, Self::Words];
        plain.into_iter().chain(Vectors::all().into_iter().map(Self::Vectors)).collect()
    }

    /// The fastest backend of this build that runs on this machine.
    pub fn fastest() -> Self {
        Vectors::all().pop().map_or(Self::Words, Self::Vectors)
    }
}

impl core::fmt::Display for Backend {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Reference => "reference",
            Self::Words => "words",
            Self::Vectors(Vectors(kernels)) => kernels.name,
        })
    }
}

/// An instruction set with vector kernels. A value exists only for one that this machine has.
#[derive(Clone, Copy)]
pub struct Vectors(&'static Kernels);

impl core::fmt::Debug for Vectors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// Computes a row of a convolution over X: `(geometry, row, map, weights, scratch for runs, sums)`. Call it only on a
/// machine with its instructions.
type Row<X> = unsafe fn(&Geometry, usize, &X, &[Group], &mut Vec<Run>, &mut [i32]);

/// Computes a row of a convolution over signs, to sums or to signs.
type SignRow = unsafe fn(&Geometry, usize, &[u64], &[Group], &mut Vec<Run>, Out);

/// The kernels of one instruction set.
struct Kernels {
    name: &'static str,
    signs: SignRow,
    pairs: Row<Pairs>,
    /// The kernel for quads, if the set multiplies bytes.
    quads: Option<Row<Quads>>,
    depth: DepthRow,
}

impl Vectors {
    /// The sets that this machine has, the fastest last.
    #[allow(unused_mut, clippy::vec_init_then_push, reason = "which are pushed is the target's")]
    fn all() -> Vec<Self> {
        let mut sets = vec![];
        #[cfg(target_arch = "x86_64")]
        {
            use std::arch::is_x86_feature_detected as has;
            if has!("avx2") {
                sets.push(Self(&avx2::KERNELS));
            }
            let wide = has!("avx512f") && has!("avx512bw") && has!("avx512bitalg");
            if wide && has!("avx512vnni") {
                sets.push(Self(&avx512::KERNELS));
            }
        }
        #[cfg(target_arch = "aarch64")]
        sets.push(Self(&neon::KERNELS));
        #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
        sets.push(Self(&simd128::KERNELS));
        #[cfg(all(target_arch = "wasm32", target_feature = "relaxed-simd"))]
        if relaxed::adds() {
            sets.push(Self(&relaxed::KERNELS));
        }
        sets
    }
}

/// The geometry of a convolution.
#[derive(Debug, Clone, Copy)]
pub struct Geometry {
    /// The shape of the input map.
    pub x: Shape,
    /// Height and width of the output.
    pub out: (usize, usize),
    /// The number of output channels.
    pub outputs: usize,
    /// Side of the kernel.
    pub k: usize,
    /// The distance of neighbouring output pixels, in input pixels.
    pub stride: usize,
    /// Padding on each side of the input.
    pub pad: usize,
}

impl Geometry {
    /// The length of a row of the result.
    pub fn row_len(&self) -> usize {
        self.out.1 * self.outputs
    }

    /// The kernel positions along one side that fall inside `length` at output position `o`.
    fn taps(&self, o: usize, length: usize) -> core::ops::Range<usize> {
        let start = o * self.stride;
        let first = self.pad.saturating_sub(start).min(self.k);
        let end = (length + self.pad).saturating_sub(start).min(self.k);
        first..end.max(first)
    }

    /// The input position under kernel position `tap` at output position `o`.
    fn under(&self, o: usize, tap: usize) -> usize {
        o * self.stride + tap - self.pad
    }
}

/// A convolution over signs, with its weights laid out for a backend.
pub struct SignConv {
    g: Geometry,
    weights: Signs,
    runs: Vec<Run>,
}

/// Weights of signs, and the kernel that reads them.
enum Signs {
    Reference(Vec<u64>),
    Words(Vec<u64>),
    Vectors(SignRow, Vec<Group>),
}

impl SignConv {
    /// Lays out `weights` (outputs, k, k, words) for `backend`. Bits beyond the channels must be 0.
    pub fn new(backend: Backend, g: Geometry, weights: &[u64]) -> Self {
        assert_eq!(weights.len(), g.outputs * g.k * g.k * g.x.words());
        let weights = match backend {
            Backend::Reference => Signs::Reference(weights.to_vec()),
            Backend::Vectors(Vectors(kernels)) if lanes::fits(&g) => {
                Signs::Vectors(kernels.signs, lanes::lay_out(&g, weights))
            }
            Backend::Words | Backend::Vectors(_) => Signs::Words(weights.to_vec()),
        };
        Self { g, weights, runs: Vec::with_capacity(g.k * g.k) }
    }

    /// Convolves `x` (H, W, words; bits beyond the channels 0) and writes row `y` of the sums (out W, outputs).
    pub fn row(&mut self, y: usize, x: &[u64], acc: &mut [i32]) {
        let g = &self.g;
        assert_eq!((x.len(), acc.len()), (g.x.h * g.x.w * g.x.words(), g.row_len()));
        match &self.weights {
            Signs::Reference(w) => reference::sign_row(g, y, x, w, acc),
            Signs::Words(w) => words::sign_row(g, y, x, w, acc),
            // SAFETY: a backend of vectors is one that `Vectors::all` found on this machine.
            Signs::Vectors(row, w) => unsafe { row(g, y, x, w, &mut self.runs, Out::Sums(acc)) },
        }
    }

    /// Writes row `y` as signs (out W, words; bits beyond the outputs 0). `acc` is scratch space for its sums.
    pub fn fused_row(
        &mut self,
        y: usize,
        x: &[u64],
        thresholds: &mut Thresholds,
        acc: &mut [i32],
        signs: &mut [u64],
    ) {
        let Signs::Vectors(row, w) = &self.weights else {
            self.row(y, x, acc);
            return thresholds.of_sums(acc, signs);
        };
        let g = &self.g;
        assert_eq!(x.len(), g.x.h * g.x.w * g.x.words());
        assert_eq!(signs.len(), g.out.1 * g.outputs.div_ceil(64));
        // SAFETY: as above.
        unsafe { row(g, y, x, w, &mut self.runs, Out::Signs(thresholds, signs)) }
    }
}

/// A convolution over levels, with its weights laid out for a backend.
pub struct LevelConv {
    g: Geometry,
    weights: Levels,
    runs: Vec<Run>,
}

/// Weights of levels, and the kernel that reads them.
enum Levels {
    Reference(Vec<i8>),
    Words(Vec<i8>),
    Pairs(Row<Pairs>, Vec<Group>, Pairs),
    Quads(Row<Quads>, Vec<Group>, Quads),
}

impl LevelConv {
    /// Lays out `weights` (k, k, inputs, outputs) for `backend`.
    pub fn new(backend: Backend, g: Geometry, weights: &[i8]) -> Self {
        assert_eq!(weights.len(), g.outputs * g.k * g.k * g.x.c);
        let weights = match backend {
            Backend::Reference => Levels::Reference(weights.to_vec()),
            Backend::Words => Levels::Words(weights.to_vec()),
            Backend::Vectors(Vectors(kernels)) => match kernels.quads {
                Some(row) if g.x.kind == Kind::Level && Quads::fit(weights) => {
                    Levels::Quads(row, Quads::weights(&g, weights), Quads::new(&g))
                }
                _ => Levels::Pairs(kernels.pairs, Pairs::weights(&g, weights), Pairs::new(&g)),
            },
        };
        Self { g, weights, runs: Vec::with_capacity(g.k * g.k) }
    }

    /// Convolves `x` (H, W, C) and writes row `y` of the sums (out W, outputs). Row 0 must be computed first.
    pub fn row<X: Pod + Into<i16> + Into<i32>>(&mut self, y: usize, x: &[X], acc: &mut [i32]) {
        let (g, runs) = (&self.g, &mut self.runs);
        assert_eq!((x.len(), acc.len()), (g.x.len(), g.row_len()));
        match &mut self.weights {
            Levels::Reference(w) => reference::level_row(g, y, x, w, acc),
            Levels::Words(w) => words::level_row(g, y, x, w, acc),
            Levels::Pairs(row, w, pairs) => {
                if y == 0 {
                    pairs.fill(x, g.x.c);
                }
                // SAFETY: a backend of vectors is one that `Vectors::all` found on this machine.
                unsafe { row(g, y, pairs, w, runs, acc) }
            }
            Levels::Quads(row, w, quads) => {
                if y == 0 {
                    quads.fill(bytemuck::cast_slice(x), g.x.c);
                }
                // SAFETY: as above.
                unsafe { row(g, y, quads, w, runs, acc) }
            }
        }
    }
}
