//! Measures the peak of an engine or processor: the kernels' instructions on registers and L1 cache only, in a tile of 4 x 2
//! vectors.

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Random;

/// Runs the rounds of a peak measurement on `$ceiling.x` and `$ceiling.w`; `$step` adds a vector of products to a sum. It is a
/// macro because closures and generic functions do not inherit the target features of the surrounding function.
macro_rules! rounds {
    ($ceiling:ident, $times:ident, $zero:expr, |$sum:ident, $x:ident, $w:ident| $step:expr, $xor:ident) => {
        // A copy, so that the compiler need not assume that it aliases x.
        let [mut first, mut second] = $ceiling.w;
        for _ in 0..$times * $crate::peak::ROUNDS {
            let mut sums = [[$zero; 2]; 4];
            for four in $ceiling.x.as_chunks::<4>().0 {
                for (sums, $x) in sums.iter_mut().zip(four) {
                    let [one, two] = sums;
                    let ($sum, $x, $w) = (*one, *$x, first);
                    *one = $step;
                    let ($sum, $w) = (*two, second);
                    *two = $step;
                }
            }
            // Make the next round depend on this one, so that nothing can be optimised away or reordered.
            for [one, two] in sums {
                (first, second) = ($xor(first, one), $xor(second, two));
            }
        }
        $ceiling.w = [first, second];
        core::hint::black_box(&mut $ceiling.w);
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
mod wasm;

#[cfg(target_arch = "x86_64")]
use avx512 as set;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
use wasm as set;

const ROUNDS: u32 = 1000;
/// Vectors that a round reads: 8 KiB fit into the L1 cache and are enough to make the overhead between rounds negligible.
const READ: usize = 8192 / size_of::<set::Vector>();

/// The input of a round.
struct Registers {
    x: [set::Vector; READ],
    w: [set::Vector; 2],
}

/// A kernel's name, the products in one step, and its rounds.
type Kernel = (&'static str, usize, fn(&mut Registers, u32));

/// The peak measurement of one kind of kernel.
#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
pub struct Peak {
    kernel: Kernel,
    registers: Registers,
}

#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
impl Peak {
    /// Peak measurement `index` of this build and machine, on random bits; `None` past the end.
    pub fn of(index: usize, seed: u32) -> Option<Self> {
        let kernel = *set::kernels().get(index)?;
        let mut random = Random::new(seed);
        let mut vector = || set::vector(&mut random);
        let (x, w) = (core::array::from_fn(|_| vector()), core::array::from_fn(|_| vector()));
        Some(Self { kernel, registers: Registers { x, w } })
    }

    /// Name of the instruction: `popcount` for 1-bit kernels, `dot of bytes` for 4-bit ones, `dot of pairs` for 8-bit ones.
    pub fn name(&self) -> String {
        self.kernel.0.into()
    }

    /// Runs a thousand rounds, `times` times.
    pub fn run(&mut self, times: u32) {
        (self.kernel.2)(&mut self.registers, times);
    }

    /// Products in a thousand rounds.
    pub fn macs(&self) -> f64 {
        f64::from(ROUNDS) * (READ * 2 * self.kernel.1) as f64
    }
}
