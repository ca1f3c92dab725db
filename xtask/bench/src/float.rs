//! A plain f32 convolution with WebAssembly SIMD, the baseline for low-bit kernels in the same engine.

use core::arch::wasm32::{f32x4_add, f32x4_mul, f32x4_splat, v128};

#[cfg(target_os = "unknown")]
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Random;

/// Tile size of [`Float`].
const PIXELS: usize = 2;
const VECTORS: usize = 4;

/// A 3x3 f32 convolution over a padded map. Output channels are in lanes; a tile is two pixels by sixteen outputs.
#[cfg_attr(target_os = "unknown", wasm_bindgen)]
pub struct Float {
    side: usize,
    channels: usize,
    x: Vec<f32>,
    /// groups of sixteen outputs, taps, inputs.
    weights: Vec<[v128; VECTORS]>,
    out: Vec<v128>,
}

#[cfg_attr(target_os = "unknown", wasm_bindgen)]
impl Float {
    /// A convolution with random input and weights. `side` must be a multiple of 2, `channels` of 16.
    #[cfg_attr(target_os = "unknown", wasm_bindgen(constructor))]
    pub fn new(side: usize, channels: usize, seed: u32) -> Self {
        let mut random = Random::new(seed);
        let x = (0..(side + 2) * (side + 2) * channels).map(|_| random.real()).collect();
        let mut vector = || f32x4_splat(random.real());
        let weights =
            (0..channels / 16 * 9 * channels).map(|_| core::array::from_fn(|_| vector())).collect();
        Self { side, channels, x, weights, out: vec![f32x4_splat(0.0); side * side * channels / 4] }
    }

    /// Convolves the whole map `times` times.
    pub fn run(&mut self, times: u32) {
        for _ in 0..times {
            for y in 0..self.side {
                for x in (0..self.side).step_by(PIXELS) {
                    for group in 0..self.channels / 16 {
                        self.tile(y, x, group);
                    }
                }
            }
            core::hint::black_box(&mut self.out);
        }
    }

    /// MACs of one run.
    pub fn macs(&self) -> f64 {
        (self.side * self.side * self.channels * self.channels * 9) as f64
    }

    fn tile(&mut self, y: usize, x: usize, group: usize) {
        let c = self.channels;
        let mut sums = [[f32x4_splat(0.0); VECTORS]; PIXELS];
        for ky in 0..3 {
            // The three taps of a row are contiguous in map and weights.
            let w = &self.weights[(group * 9 + ky * 3) * c..][..3 * c];
            let first = ((y + ky) * (self.side + 2) + x) * c;
            let rows: [&[f32]; PIXELS] =
                core::array::from_fn(|pixel| &self.x[first + pixel * c..][..3 * c]);
            for ((w, &first), &second) in w.iter().zip(rows[0]).zip(rows[1]) {
                for (sums, x) in sums.iter_mut().zip([first, second]) {
                    let x = f32x4_splat(x);
                    for (sum, w) in sums.iter_mut().zip(w) {
                        *sum = f32x4_add(*sum, f32x4_mul(x, *w));
                    }
                }
            }
        }
        for (pixel, sums) in sums.into_iter().enumerate() {
            let at = ((y * self.side + x + pixel) * c + group * 16) / 4;
            self.out[at..at + VECTORS].copy_from_slice(&sums);
        }
    }
}
