//! The two convolutions that cost time, over signs and over levels, each in several backends with equal results.
//!
//! Both take a map in H, W, C order and give whole numbers, one an output channel and pixel, a row of
//! pixels at a time, so that every backend agrees to the bit. Zeros around the input count nothing: a
//! tap that falls outside the map is left out. [`reference`] says what a convolution is; [`words`] is
//! plain Rust; the vector kernels, [`lanes`] and [`dot`], are written once for every width of vector,
//! over the layout that [`tile`] draws. Where a batch-norm and a sign follow, they are [`thresholds`] on the sums.

use crate::tensor::Shape;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
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

use lanes::Out;
use levels::{Pairs, Quads};
pub use thresholds::Thresholds;
use tile::{Group, Run};

/// Which implementation runs.
#[derive(Debug, Clone, Copy)]
pub enum Backend {
    /// Loops that say what a convolution is, one number at a time: what the others are tested against.
    Reference,
    /// 64 signs a step, in plain Rust.
    Words,
    /// An instruction set that was found on this machine.
    Vectors(Vectors),
}

impl Backend {
    /// All that this build and this machine have, the fastest last.
    pub fn all() -> Vec<Self> {
        let plain = [Self::Reference, Self::Words];
        plain.into_iter().chain(Vectors::all().into_iter().map(Self::Vectors)).collect()
    }

    /// The fastest of them.
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

/// An instruction set with vector kernels; none can be named that is not there.
#[derive(Clone, Copy)]
pub struct Vectors(&'static Kernels);

impl core::fmt::Debug for Vectors {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0.name)
    }
}

/// A row of a convolution over X, `(geometry, row, map, weights, room for runs, sums)`; to be called
/// only where its instructions are.
type Row<X> = unsafe fn(&Geometry, usize, &X, &[Group], &mut Vec<Run>, &mut [i32]);

/// The same over signs, to sums or to signs.
type SignRow = unsafe fn(&Geometry, usize, &[u64], &[Group], &mut Vec<Run>, Out);

/// The kernels of an instruction set.
struct Kernels {
    name: &'static str,
    signs: SignRow,
    pairs: Row<Pairs>,
    /// Where it multiplies bytes.
    quads: Option<Row<Quads>>,
}

impl Vectors {
    /// Those of this machine, the fastest last.
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
    /// Numbers in a row of the result.
    pub fn row_len(&self) -> usize {
        self.out.1 * self.outputs
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

/// A convolution over signs, its weights in the order in which the backend reads them.
pub struct SignConv {
    g: Geometry,
    weights: Signs,
    runs: Vec<Run>,
}

/// The weights of signs, and what reads them.
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

    /// Convolves `x` (H, W, words; bits beyond the channels 0) into row `y` of the sums (out W, outputs).
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

    /// The same row as signs (out W, words), bits beyond the outputs 0; `acc` is room for its sums.
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

/// A convolution over levels, its weights in the order in which the backend reads them.
pub struct LevelConv {
    g: Geometry,
    weights: Levels,
    runs: Vec<Run>,
}

/// The weights of levels, and what reads them.
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
                Some(row) if Quads::fit(weights) => {
                    Levels::Quads(row, Quads::weights(&g, weights), Quads::new(&g))
                }
                _ => Levels::Pairs(kernels.pairs, Pairs::weights(&g, weights), Pairs::new(&g)),
            },
        };
        Self { g, weights, runs: Vec::with_capacity(g.k * g.k) }
    }

    /// Convolves `x` (H, W, C) into row `y` of the sums (out W, outputs); row 0 comes first.
    pub fn row(&mut self, y: usize, x: &[i8], acc: &mut [i32]) {
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
                    quads.fill(x, g.x.c);
                }
                // SAFETY: as above.
                unsafe { row(g, y, quads, w, runs, acc) }
            }
        }
    }
}
