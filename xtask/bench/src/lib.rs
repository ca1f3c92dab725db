//! The cases that `cargo xtask bench edge` times for Fogline: single layers, the whole edge, its coder, and the engine's peak.
//!
//! Inputs are generated at run time from a seed, so that no compiler can precompute results.

#[cfg(not(all(target_arch = "wasm32", target_os = "unknown")))]
pub mod clock;
pub mod coding;
#[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
pub mod float;
#[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
pub mod peak;
pub mod pool;

use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::{Backend, DepthConv, Geometry, LevelConv, SignConv, Thresholds};
use fogline_edge::model::Model;
use fogline_edge::ops::Filter;
use fogline_edge::session::Session;
use fogline_edge::tensor::{Blob, Kind, Shape};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen::prelude::wasm_bindgen;

/// A pseudo-random generator (Marsaglia's xorshift, 2003).
pub struct Random(u64);

impl Random {
    /// A generator with this seed; any value is allowed.
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed) << 1 | 1)
    }

    /// The next 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A random number between -1 and 1.
    pub fn real(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1 << 23) as f32 - 1.0
    }

    /// Random signs of `pixels` with so many channels each, 64 to a word.
    fn signs(&mut self, pixels: usize, channels: usize) -> Vec<u64> {
        let words = channels.div_ceil(64);
        let last = u64::MAX >> (words * 64 - channels);
        let masks =
            (0..pixels * words).map(|i| if i % words == words - 1 { last } else { u64::MAX });
        masks.map(|mask| self.bits() & mask).collect()
    }

    /// Random levels of this many bits.
    fn levels(&mut self, count: usize, bits: u8) -> Vec<i8> {
        (0..count).map(|_| (self.bits() >> 32) as i8 >> (8 - bits)).collect()
    }
}

fn geometry(bits: u8, side: usize, inputs: usize, outputs: u32, k: u32) -> Geometry {
    let kind = if bits == 1 { Kind::Sign } else { Kind::Level };
    let weights = Blob { at: 0, len: 0 };
    let filter =
        Filter { k, stride: 1, pad: k / 2, outputs, bits, weights, nested: 0, share: 0, groups: 0 };
    filter.geometry(Shape { kind, h: side, w: side, c: inputs })
}

/// What a layer outputs.
#[derive(Clone, Copy, PartialEq)]
pub enum End {
    /// Integer sums before any threshold.
    Sums,
    /// The packed map of the next layer: batch-norm and sign become thresholds, and bits are written.
    Signs,
}

/// The layers to time: bits, side, inputs, outputs, kernel, output. Those of 28x28 and 14x14 have 115.6 M MACs each.
pub const LAYERS: [(u8, usize, usize, u32, u32, End); 10] = [
    (1, 28, 128, 128, 3, End::Signs),
    (1, 14, 256, 256, 3, End::Signs),
    (1, 28, 128, 128, 3, End::Sums),
    (1, 14, 256, 256, 3, End::Sums),
    (4, 28, 128, 128, 3, End::Sums),
    (4, 14, 256, 256, 3, End::Sums),
    (8, 28, 128, 128, 3, End::Sums),
    (1, 16, 128, 128, 3, End::Sums),
    (1, 8, 128, 128, 3, End::Sums),
    (8, 16, 64, 128, 1, End::Sums),
];

/// The depthwise layers of 3x3 to time after those: bits, side, channels.
pub const DEPTHWISE: [(u8, usize, usize); 6] =
    [(1, 28, 256), (4, 28, 256), (8, 28, 256), (1, 14, 512), (4, 14, 512), (8, 14, 512)];

/// A convolution of 1, 4 or 8 bits over a square map, as the engine runs it.
#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
pub struct Layer {
    bits: u8,
    end: End,
    g: Geometry,
    work: Work,
    sums: Vec<i32>,
}

/// The convolution and its input, by bit width.
enum Work {
    /// The second map receives the result.
    Layer(SignConv, Vec<u64>, Thresholds, Vec<u64>),
    Signs(SignConv, Vec<u64>),
    Levels(LevelConv, Vec<i8>),
    DepthOfSigns(DepthConv, Vec<u64>),
    DepthOfLevels(DepthConv, Vec<i8>),
}

#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
impl Layer {
    /// Layer `index` of [`LAYERS`] and then [`DEPTHWISE`] with random input and weights; `None` past the end.
    pub fn of(index: usize, seed: u32) -> Option<Self> {
        let Some(&(bits, side, inputs, outputs, k, end)) = LAYERS.get(index) else {
            let &(bits, side, channels) = DEPTHWISE.get(index - LAYERS.len())?;
            return Some(Self::depthwise(bits, side, channels, seed));
        };
        let g = geometry(bits, side, inputs, outputs, k);
        let mut random = Random::new(seed);
        let (pixels, taps) = (side * side, g.outputs * g.k * g.k);
        let work = if bits == 1 {
            let weights = random.signs(taps, inputs);
            let x = random.signs(pixels, inputs);
            let conv = SignConv::new(Backend::fastest(), g, &weights);
            if end == End::Sums {
                Work::Signs(conv, x)
            } else {
                // Thresholds near the mean of random sums, so that both signs are about equally frequent.
                let thresholds: Vec<i32> =
                    (0..g.outputs).map(|_| (random.real() * 40.0) as i32).collect();
                let flips: Vec<u8> = (0..g.outputs).map(|_| random.bits() as u8 & 1).collect();
                let map = vec![0; pixels * g.outputs.div_ceil(64)];
                Work::Layer(conv, x, Thresholds::new(&g, &thresholds, &flips), map)
            }
        } else {
            let weights = random.levels(taps * inputs, bits);
            let conv = LevelConv::new(Backend::fastest(), g, &weights);
            Work::Levels(conv, random.levels(pixels * inputs, bits))
        };
        Some(Self { bits, end, g, work, sums: vec![0; g.row_len()] })
    }

    /// Convolves the whole map `times` times.
    pub fn run(&mut self, times: u32) {
        let Self { g, work, sums, .. } = self;
        let words = g.out.1 * g.outputs.div_ceil(64);
        for _ in 0..times {
            match work {
                Work::DepthOfSigns(conv, x) => conv.fill_signs(x),
                Work::DepthOfLevels(conv, x) => conv.fill(x),
                _ => {}
            }
            for y in 0..g.out.0 {
                match work {
                    Work::Layer(conv, x, thresholds, map) => {
                        conv.fused_row(y, x, thresholds, sums, &mut map[y * words..][..words]);
                    }
                    Work::Signs(conv, x) => conv.row(y, x, sums),
                    Work::Levels(conv, x) => conv.row(y, x, sums),
                    Work::DepthOfSigns(conv, _) | Work::DepthOfLevels(conv, _) => conv.row(y, sums),
                }
                core::hint::black_box(&mut *sums);
            }
            core::hint::black_box(&mut *work);
        }
    }

    /// Name of the layer, such as `1-bit 3x3 128-128 28x28` or `1-bit depthwise 3x3 256 28x28`; 1-bit layers of the first kind
    /// that output sums say so.
    pub fn name(&self) -> String {
        let (g, bits) = (&self.g, self.bits);
        if self.is_depthwise() {
            return format!("{bits}-bit depthwise 3x3 {} {side}x{side}", g.x.c, side = g.x.w);
        }
        let end = if bits == 1 && self.end == End::Sums { ", sums" } else { "" };
        format!(
            "{bits}-bit {k}x{k} {}-{} {side}x{side}{end}",
            g.x.c,
            g.outputs,
            k = g.k,
            side = g.x.w
        )
    }

    /// Multiplications and additions of one run.
    pub fn macs(&self) -> f64 {
        let inputs = if self.is_depthwise() { 1 } else { self.g.x.c };
        (self.g.out.0 * self.g.row_len() * self.g.k * self.g.k * inputs) as f64
    }
}

impl Layer {
    /// A depthwise layer of 3x3 that outputs sums.
    fn depthwise(bits: u8, side: usize, channels: usize, seed: u32) -> Self {
        let g = geometry(bits, side, channels, channels as u32, 3);
        let mut random = Random::new(seed);
        let work = if bits == 1 {
            let weights: Vec<i8> =
                (0..9 * channels).map(|_| random.bits() as i8 & 1).map(|bit| 2 * bit - 1).collect();
            Work::DepthOfSigns(
                DepthConv::new(Backend::fastest(), g, &weights),
                random.signs(side * side, channels),
            )
        } else {
            let weights = random.levels(9 * channels, bits);
            let conv = DepthConv::new(Backend::fastest(), g, &weights);
            Work::DepthOfLevels(conv, random.levels(side * side * channels, bits))
        };
        Self { bits, end: End::Sums, g, work, sums: vec![0; g.row_len()] }
    }

    fn is_depthwise(&self) -> bool {
        matches!(self.work, Work::DepthOfSigns(..) | Work::DepthOfLevels(..))
    }
}

/// A packed model with a picture, to run up to any exit or the split point.
#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
pub struct Edge {
    engine: Engine,
    picture: Vec<u8>,
}

#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
impl Edge {
    /// Loads the bytes of an `edge.fog`, with a random picture.
    ///
    /// # Panics
    /// If the bytes are invalid.
    #[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen(constructor))]
    pub fn new(fog: &[u8], seed: u32) -> Self {
        let model = Model::parse(fog).expect("a packed model");
        let mut random = Random::new(seed);
        let picture = (0..model.size().pow(2) * 3).map(|_| random.bits() as u8).collect();
        Self { engine: Engine::new(model, Backend::fastest()), picture }
    }

    /// Number of the model's exits.
    pub fn exits(&self) -> usize {
        self.engine.model().program.exits.len()
    }

    /// Runs `times` times up to exit `stop`, counted from 0; the number of exits means the split point.
    pub fn run(&mut self, times: u32, stop: usize) {
        for _ in 0..times {
            self.engine.start(&self.picture);
            for _ in 0..=stop {
                let at: Stop = self.engine.go_on();
                core::hint::black_box(at);
            }
        }
    }
}

/// Real pictures, each of which runs until an exit is sure.
#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
pub struct Pictures {
    session: Session,
    rgb: Vec<u8>,
}

#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
impl Pictures {
    /// Loads a pair's `manifest.json` and `edge.fog`, with the RGB bytes of pictures of its input size.
    ///
    /// # Panics
    /// If the pair is invalid.
    #[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen(constructor))]
    pub fn new(manifest: &[u8], fog: &[u8], rgb: Vec<u8>) -> Self {
        let session = Session::load(manifest, fog, Backend::fastest()).expect("a packed pair");
        Self { session, rgb }
    }

    fn bytes(&self) -> usize {
        3 * (self.session.manifest().input.size as usize).pow(2)
    }

    /// Name of the case, which contains the number of pictures.
    pub fn name(&self) -> String {
        format!("{} real pictures", self.rgb.len() / self.bytes())
    }

    /// Runs all pictures `times` times.
    pub fn run(&mut self, times: u32) {
        let bytes = self.bytes();
        for _ in 0..times {
            for rgb in self.rgb.chunks_exact(bytes) {
                core::hint::black_box(self.session.run_edge(rgb));
            }
        }
    }
}
