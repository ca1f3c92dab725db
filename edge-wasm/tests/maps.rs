//! Convolutions in groups and over bytes, on every backend, against plain loops. Native, Node and wasmtime run this file.

use fogline::manifest::sha256_hex;
use fogline::packed;
use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::Backend;
use fogline_edge::model::Model;
use fogline_edge::ops::{Conv, Dequantise, Filter, Quantise, Sign};
use fogline_edge::tensor::Kind;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod built;
use built::{Built, SIGNS};

/// The side of the pictures.
const SIZE: usize = 7;
/// SHA-256 over the sums of every case, the same on every machine.
const SUMS: &str = "ab9bfc1619654f22ef1da0edb8adefbca856e8739968567095e8793bead5f7ef";

/// A convolution over a quantised map.
#[derive(Debug, Clone, Copy)]
struct Case {
    kind: Kind,
    channels: usize,
    outputs: usize,
    groups: usize,
    bits: u8,
    k: usize,
    stride: usize,
    pad: usize,
}

impl Case {
    /// The stored weights: k x k x inputs of a group x outputs.
    fn weights(&self) -> Vec<i8> {
        let count = self.k * self.k * self.channels / self.groups * self.outputs;
        let all = (0..count).map(|i| (i * 59 + i / 7 * 31 + 11) as u8 as i8);
        match self.bits {
            1 => all.map(|level| if level < 0 { -1 } else { 1 }).collect(),
            bits => all.map(|level| level >> (8 - bits)).collect(),
        }
    }

    /// A model whose split is the quantised map or, if `convolved`, the bits of the sums from `shift` up.
    fn model(&self, convolved: Option<u32>) -> Model {
        let mut built = Built::new(SIZE as u32, self.channels as u32);
        let zeros = built.blob(&vec![0.0_f32; self.channels]);
        let x = 1;
        match self.kind {
            Kind::Sign => built.push(Sign { x, threshold: zeros }),
            kind => {
                let unsigned = kind == Kind::Byte;
                let (low, high) = if unsigned { (0, 255) } else { (-128, 127) };
                built.push(Quantise { x, scale: 61.0, low, high, shift: 0, unsigned });
            }
        }
        if let Some(shift) = convolved {
            let bytes = packed::pack(self.weights().into_iter(), self.bits).unwrap();
            let weights = built.blob(&bytes);
            let filter = Filter {
                k: self.k as u32,
                stride: self.stride as u32,
                pad: self.pad as u32,
                outputs: self.outputs as u32,
                bits: self.bits,
                weights,
                nested: 0,
                share: 0,
                groups: if self.groups > 1 { self.groups as u32 } else { 0 },
            };
            let (one, zero) = (vec![1.0_f32; self.outputs], vec![0.0_f32; self.outputs]);
            let (scale, bias) = (built.blob(&one), built.blob(&zero));
            built.push(Conv { x: SIGNS + 1, filter, scale, bias });
            let scale = (shift as f32).exp2();
            let (low, high) = (-128, 127);
            built.push(Quantise { x: SIGNS + 2, scale, low, high, shift: 0, unsigned: false });
        }
        Model::parse(&built.write().unwrap()).unwrap()
    }

    /// The levels of the split map, C x H x W.
    fn split(&self, convolved: Option<u32>, backend: Backend) -> Vec<f32> {
        let mut engine = Engine::new(self.model(convolved), backend);
        engine.start(&(0..SIZE * SIZE * 3).map(|i| (i * i * 7 + i / 5) as u8).collect::<Vec<u8>>());
        assert!(matches!(engine.go_on(), Stop::Exit { .. }));
        let Stop::Split(map) = engine.go_on() else { panic!("one exit, then the split") };
        let split = engine.model().split();
        let shape = [split.c, split.h, split.w].map(|side| side as u32);
        packed::unpack(&map, shape, engine.split_bits(), engine.split_is_signed()).unwrap()
    }

    /// The sums over `map`, C x H x W, one product after the other.
    fn sums(&self, map: &[f32]) -> Vec<i32> {
        let Self { channels, outputs, groups, k, stride, pad, .. } = *self;
        let side = (SIZE + 2 * pad - k) / stride + 1;
        let (weights, inputs) = (self.weights(), channels / groups);
        let sum = |at: usize| {
            let (output, y, x) = (at / side / side, at / side % side, at % side);
            let mut sum = 0;
            for tap in 0..k * k {
                let (iy, ix) = (y * stride + tap / k, x * stride + tap % k);
                if !(pad..SIZE + pad).contains(&iy) || !(pad..SIZE + pad).contains(&ix) {
                    continue;
                }
                for input in 0..inputs {
                    let channel = output / (outputs / groups) * inputs + input;
                    let level = map[(channel * SIZE + iy - pad) * SIZE + ix - pad] as i32;
                    sum += level * i32::from(weights[(tap * inputs + input) * outputs + output]);
                }
            }
            sum
        };
        (0..outputs * side * side).map(sum).collect()
    }
}

fn cases() -> Vec<Case> {
    let mut cases = vec![];
    for kind in [Kind::Sign, Kind::Level, Kind::Byte] {
        for bits in [1, 2, 4, 8] {
            // Depthwise, with channels that do and do not fill vectors; with several outputs each; and in groups.
            for (channels, outputs, groups) in
                [(2, 2, 2), (16, 16, 16), (67, 67, 67), (6, 12, 6), (12, 8, 4)]
            {
                for (k, stride, pad) in [(3, 1, 1), (3, 2, 0), (5, 2, 2), (1, 1, 0)] {
                    cases.push(Case { kind, channels, outputs, groups, bits, k, stride, pad });
                }
            }
        }
        // Over bytes, in one group.
        cases.push(Case {
            kind,
            channels: 35,
            outputs: 19,
            groups: 1,
            bits: 4,
            k: 3,
            stride: 1,
            pad: 1,
        });
        cases.push(Case {
            kind,
            channels: 35,
            outputs: 19,
            groups: 1,
            bits: 8,
            k: 3,
            stride: 2,
            pad: 1,
        });
    }
    // One group over signs has 1-bit weights in words, and over levels never 1-bit weights: tests/layers.rs has them.
    let known = |case: &Case| case.groups > 1 || (case.kind != Kind::Sign && case.bits > 1);
    cases.into_iter().filter(known).collect()
}

#[test]
fn groups_and_bytes_agree_everywhere() {
    let mut all = vec![];
    for case in cases() {
        let sums = case.sums(&case.split(None, Backend::Reference));
        all.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
        // Powers of two, by which f32 divides exactly; the second shows the lowest bits of small sums.
        let largest = sums.iter().map(|sum| sum.unsigned_abs()).max().unwrap();
        let shift = (32 - largest.leading_zeros()).saturating_sub(7);
        for shift in [shift, 0] {
            let level = |sum: &i32| {
                (*sum as f32 / (shift as f32).exp2()).round_ties_even().clamp(-128.0, 127.0)
            };
            let expected: Vec<f32> = sums.iter().map(level).collect();
            for backend in Backend::all() {
                assert_eq!(case.split(Some(shift), backend), expected, "{backend:?}, {case:?}");
            }
        }
    }
    assert_eq!(sha256_hex(&all), SUMS);
}

/// Levels of any kind become real numbers and the same levels again.
#[test]
fn levels_survive_as_real_numbers() {
    for kind in [Kind::Sign, Kind::Level, Kind::Byte] {
        let case =
            Case { kind, channels: 67, outputs: 1, groups: 1, bits: 2, k: 1, stride: 1, pad: 0 };
        let mut built = Built::new(SIZE as u32, 67);
        let zeros = built.blob(&[0.0_f32; 67]);
        let unsigned = kind == Kind::Byte;
        let (low, high) = if unsigned { (0, 255) } else { (-128, 127) };
        match kind {
            Kind::Sign => built.push(Sign { x: 1, threshold: zeros }),
            _ => built.push(Quantise { x: 1, scale: 61.0, low, high, shift: 0, unsigned }),
        }
        built.push(Dequantise { x: SIGNS + 1 });
        match kind {
            Kind::Sign => built.push(Sign { x: SIGNS + 2, threshold: zeros }),
            _ => built.push(Quantise { x: SIGNS + 2, scale: 1.0, low, high, shift: 0, unsigned }),
        }
        for backend in Backend::all() {
            let mut engine = Engine::new(Model::parse(&built.write().unwrap()).unwrap(), backend);
            engine.start(
                &(0..SIZE * SIZE * 3).map(|i| (i * i * 7 + i / 5) as u8).collect::<Vec<u8>>(),
            );
            engine.go_on();
            let Stop::Split(map) = engine.go_on() else { panic!("one exit, then the split") };
            let split = engine.model().split();
            let shape = [split.c, split.h, split.w].map(|side| side as u32);
            let levels = packed::unpack(&map, shape, engine.split_bits(), !unsigned).unwrap();
            assert_eq!(levels, case.split(None, backend), "{kind:?}, {backend:?}");
        }
    }
}
