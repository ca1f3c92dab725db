//! The instructions that a processor has for sixteen channels.

#![expect(clippy::inline_always, reason = "loops must take on their caller's target features")]

use core::fmt;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use core::mem::transmute;
use std::sync::LazyLock;

use crate::lanes::Lanes;

/// Instructions that convolutions are computed with. A value exists only for those that this machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backend(pub(crate) Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "aarch64")]
    Neon,
    Any,
}

impl Backend {
    /// All backends of this build that run on this machine, the fastest last.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self(Kind::Any)];
        #[cfg(target_arch = "aarch64")]
        all.push(Self(Kind::Neon));
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
            all.push(Self(Kind::Avx2));
            if is_x86_feature_detected!("avx512f") {
                all.push(Self(Kind::Avx512));
            }
        }
        all
    }

    /// The fastest backend of this build that runs on this machine.
    pub fn fastest() -> Self {
        static FASTEST: LazyLock<Backend> =
            LazyLock::new(|| Backend::all().pop().unwrap_or(Backend(Kind::Any)));
        *FASTEST
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "AVX-512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "AVX2",
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => "NEON",
            Kind::Any => "any",
        })
    }
}

/// How a processor multiplies and adds.
pub trait Processor {
    /// Rows of a matrix product whose sums are in registers at once, at most 12.
    const ROWS: usize;

    /// The sum of `sum` and `weight` times `value`.
    ///
    /// # Safety
    /// The processor must be one of these.
    unsafe fn multiply_add(sum: Lanes, weight: Lanes, value: f32) -> Lanes;
}

/// x86-64 with AVX-512: a sum is one of 32 registers, and twelve of them keep both units busy, which take four cycles.
#[cfg(target_arch = "x86_64")]
pub struct Avx512;

#[cfg(target_arch = "x86_64")]
impl Processor for Avx512 {
    const ROWS: usize = 12;

    #[inline(always)]
    unsafe fn multiply_add(sum: Lanes, weight: Lanes, value: f32) -> Lanes {
        use core::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps};
        // SAFETY: the processor has AVX-512; both types are 64 bytes, of which every pattern is a number.
        unsafe {
            let [sum, weight] = [sum, weight].map(|lanes| transmute::<Lanes, __m512>(lanes));
            transmute(_mm512_fmadd_ps(weight, _mm512_set1_ps(value), sum))
        }
    }
}

/// x86-64 with AVX2 and FMA: a sum is two of 16 registers.
#[cfg(target_arch = "x86_64")]
pub struct Avx2;

#[cfg(target_arch = "x86_64")]
impl Processor for Avx2 {
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn multiply_add(sum: Lanes, weight: Lanes, value: f32) -> Lanes {
        use core::arch::x86_64::{__m256, _mm256_fmadd_ps, _mm256_set1_ps};
        // SAFETY: the processor has AVX2 and FMA; both types are 64 bytes, of which every pattern is a number.
        unsafe {
            let [sum, weight] = [sum, weight].map(|lanes| transmute::<Lanes, [__m256; 2]>(lanes));
            let value = _mm256_set1_ps(value);
            transmute([0, 1].map(|half: usize| _mm256_fmadd_ps(weight[half], value, sum[half])))
        }
    }
}

/// aarch64, where NEON is always there: a sum is four of 32 registers.
#[cfg(target_arch = "aarch64")]
pub struct Neon;

#[cfg(target_arch = "aarch64")]
impl Processor for Neon {
    const ROWS: usize = 6;

    #[inline(always)]
    unsafe fn multiply_add(sum: Lanes, weight: Lanes, value: f32) -> Lanes {
        use core::arch::aarch64::{float32x4_t, vfmaq_n_f32};
        // SAFETY: NEON is part of aarch64; both types are 64 bytes, of which every pattern is a number.
        unsafe {
            let [sum, weight] =
                [sum, weight].map(|lanes| transmute::<Lanes, [float32x4_t; 4]>(lanes));
            let quarter = |at: usize| vfmaq_n_f32(sum[at], weight[at], value);
            transmute([0, 1, 2, 3].map(quarter))
        }
    }
}

/// Any other: multiplies, then adds, since without an instruction for both `mul_add` would be a call.
pub struct Any;

impl Processor for Any {
    const ROWS: usize = 2;

    #[inline(always)]
    unsafe fn multiply_add(sum: Lanes, weight: Lanes, value: f32) -> Lanes {
        sum + weight * value
    }
}
