//! One suite of layer cases on every backend and engine. Native, Node and wasmtime run this file.
//!
//! Within a build, each backend must equal the reference. Across builds, the digest of all results
//! must equal the one below.

use fogline::manifest::sha256_hex;
use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::{Backend, Geometry, LevelConv, SignConv, Thresholds};
use fogline_edge::model::Model;
use fogline_edge::ops::{Affine, AveragePool, Clip, Filter, Quantise};
use fogline_edge::tensor::{Blob, Kind, Shape};

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod built;
use built::Built;

/// SHA-256 over the sums of every case, the same on every machine.
const SIGNS: &str = "2489d1b49c0cd14d8fe823ab09cd7057ea1bf12df521665bc2b4301141e1918b";
const NARROW: &str = "5012a3f52542a2f9b0f3d8aefa88eadc5013e9a95df41d2c22a8f6c686867a3e";
const LEVELS: &str = "8848f999213a9acd130af19ab68bf266fdc07bbc4cdc2844cfa2d3b07a06f549";

/// (height, width, channels, kernel, stride, padding, outputs)
type Case = (usize, usize, usize, u32, u32, u32, u32);
const CASES: [Case; 19] = [
    (1, 1, 1, 1, 1, 0, 1),
    (3, 3, 1, 3, 1, 1, 1),
    (4, 4, 64, 3, 1, 1, 8),
    (4, 4, 65, 3, 1, 1, 8),
    (5, 3, 63, 3, 1, 0, 3),
    (8, 8, 128, 3, 1, 1, 16),
    (8, 8, 128, 3, 2, 1, 16),
    (7, 9, 130, 3, 2, 1, 5),
    (6, 6, 256, 1, 1, 0, 7),
    (6, 6, 192, 5, 1, 2, 3),
    (9, 9, 3, 3, 1, 1, 64),
    (9, 9, 3, 7, 3, 3, 9),
    (2, 2, 4096, 1, 1, 0, 2),
    (2, 2, 512, 2, 1, 1, 2),
    (16, 1, 40, 1, 4, 0, 4),
    (3, 3, 700, 3, 1, 1, 1),
    (6, 7, 96, 3, 1, 1, 130),
    (5, 9, 66, 3, 2, 1, 64),
    (4, 11, 6, 3, 1, 1, 33),
];

fn geometry(kind: Kind, (h, w, c, k, stride, pad, outputs): Case) -> Geometry {
    let filter = Filter {
        k,
        stride,
        pad,
        outputs,
        bits: 8,
        weights: Blob { at: 0, len: 0 },
        nested: 0,
        share: 0,
        groups: 0,
    };
    filter.geometry(Shape { kind, h, w, c })
}

/// Pseudo-random numbers that are the same everywhere (Marsaglia's xorshift, 2003).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Words of signs for `pixels` pixels, with 0 beyond the channels.
    fn signs(&mut self, pixels: usize, channels: usize) -> Vec<u64> {
        let words = channels.div_ceil(64);
        let used = |i: usize| (channels - i % words * 64).min(64);
        (0..pixels * words).map(|i| self.next() & (u64::MAX >> (64 - used(i)))).collect()
    }

    /// Levels, including the extremes.
    fn levels(&mut self, count: usize) -> Vec<i8> {
        (0..count).map(|_| (self.next() >> 32) as i8).collect()
    }
}

/// The sums of a convolution, which must be equal on all backends.
fn agreed<R: FnMut(usize, &mut [i32])>(g: &Geometry, row_of: impl Fn(Backend) -> R) -> Vec<i32> {
    let sums = |backend| {
        // Filled, so that a missing sum shows.
        let mut sums = vec![i32::MIN; g.out.0 * g.row_len()];
        let mut row = row_of(backend);
        sums.chunks_exact_mut(g.row_len()).enumerate().for_each(|(y, sums)| row(y, sums));
        sums
    };
    let expected = sums(Backend::Reference);
    for backend in Backend::all() {
        assert_eq!(sums(backend), expected, "{backend:?} differs from the reference in {g:?}");
    }
    expected
}

fn signs(g: &Geometry, random: &mut Random) -> Vec<i32> {
    let x = &random.signs(g.x.h * g.x.w, g.x.c);
    let weights = random.signs(g.outputs * g.k * g.k, g.x.c);
    agreed(g, |backend| {
        let mut conv = SignConv::new(backend, *g, &weights);
        move |y, sums: &mut [i32]| conv.row(y, x, sums)
    })
}

/// Weights of eight bits, or of four if `narrow`.
fn levels(g: &Geometry, random: &mut Random, narrow: bool) -> Vec<i32> {
    let x = &random.levels(g.x.len());
    let mut weights = random.levels(g.outputs * g.k * g.k * g.x.c);
    if narrow {
        for weight in &mut weights {
            *weight >>= 4;
        }
    }
    agreed(g, |backend| {
        let mut conv = LevelConv::new(backend, *g, &weights);
        move |y, sums: &mut [i32]| conv.row(y, x, sums)
    })
}

/// The digest of the sums of all cases.
fn digest(kind: Kind, sums: impl Fn(&Geometry, &mut Random) -> Vec<i32>) -> String {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut bytes = vec![];
    for case in CASES {
        let sums = sums(&geometry(kind, case), &mut random);
        bytes.extend(sums.iter().flat_map(|sum| sum.to_le_bytes()));
    }
    sha256_hex(&bytes)
}

/// An engine whose relaxed dot product is wrong gets other kernels, so this tests nothing there.
#[cfg(target_feature = "relaxed-simd")]
#[test]
fn the_relaxed_build_runs_the_relaxed_kernels() {
    assert_eq!(Backend::fastest().to_string(), "relaxed-simd");
}

#[test]
fn sign_convolutions_agree_everywhere() {
    assert_eq!(digest(Kind::Sign, signs), SIGNS);
}

#[test]
fn level_convolutions_agree_everywhere() {
    assert_eq!(digest(Kind::Level, |g, random| levels(g, random, false)), LEVELS);
}

#[test]
fn convolutions_with_weights_of_four_bits_agree_everywhere() {
    assert_eq!(digest(Kind::Level, |g, random| levels(g, random, true)), NARROW);
}

/// (height, width, channels, kernel, stride, padding, outputs) of a kernel that fits the map at eight adjacent places, enough
/// for the widest tile of any backend.
fn eight_places(channels: usize, k: u32) -> Case {
    (k as usize, k as usize + 7, channels, k, 1, 0, 3)
}

/// With every sign different, all counts are as large as they can be.
#[test]
fn signs_that_all_differ_overflow_no_lane_and_no_sum() {
    // A byte lane holds 31 steps of eight, and the first case has 48. 16-bit sums hold 65,535, and the other cases differ in
    // 65,520 and 65,536.
    for (channels, k) in [(128, 3), (4095, 4), (4096, 4)] {
        let g = geometry(Kind::Sign, eight_places(channels, k));
        let zeros = &vec![0; g.x.h * g.x.w * g.x.words()];
        let mut ones = vec![u64::MAX; g.outputs * g.k * g.k * g.x.words()];
        for last in ones.iter_mut().skip(g.x.words() - 1).step_by(g.x.words()) {
            *last >>= g.x.words() * 64 - channels;
        }
        let sums = agreed(&g, |backend| {
            let mut conv = SignConv::new(backend, g, &ones);
            move |y, sums: &mut [i32]| conv.row(y, zeros, sums)
        });
        assert!(sums.iter().all(|&sum| sum == -((k * k) as i32 * channels as i32)), "{g:?}");
    }
}

/// Thresholds among the sums, equal to sums, and out of reach; half of them inverted.
fn thresholds(g: &Geometry, sums: &[i32], random: &mut Random) -> (Vec<i32>, Vec<u8>) {
    let mut threshold = |output: usize| match random.next() % 8 {
        0 => i32::MIN,
        1 => i32::MAX,
        2 => random.next() as i32,
        tie => {
            let pixel = random.next() as usize % (sums.len() / g.outputs);
            sums[pixel * g.outputs + output] + (tie as i32 - 4).clamp(-1, 1)
        }
    };
    let thresholds = (0..g.outputs).map(&mut threshold).collect();
    (thresholds, (0..g.outputs).map(|_| (random.next() >> 40 & 1) as u8).collect())
}

/// Checks fused thresholds on every backend against one comparison per sum.
fn fused(g: &Geometry, random: &mut Random) {
    let x = random.signs(g.x.h * g.x.w, g.x.c);
    let weights = random.signs(g.outputs * g.k * g.k, g.x.c);
    let mut conv = SignConv::new(Backend::Reference, *g, &weights);
    let mut sums = vec![0; g.out.0 * g.row_len()];
    sums.chunks_exact_mut(g.row_len()).enumerate().for_each(|(y, row)| conv.row(y, &x, row));
    let (threshold, flip) = thresholds(g, &sums, random);
    let words = g.outputs.div_ceil(64);
    let mut expected = vec![0_u64; g.out.0 * g.out.1 * words];
    for (i, &sum) in sums.iter().enumerate() {
        let (pixel, output) = (i / g.outputs, i % g.outputs);
        let up = (sum >= threshold[output]) != (flip[output] == 1);
        expected[pixel * words + output / 64] |= u64::from(up) << (output % 64);
    }
    for backend in Backend::all() {
        let mut conv = SignConv::new(backend, *g, &weights);
        let mut thresholds = Thresholds::new(g, &threshold, &flip);
        // Filled, so that a missing bit shows.
        let mut got = vec![u64::MAX; expected.len()];
        let mut room = vec![0; g.row_len()];
        for (y, signs) in got.chunks_exact_mut(g.out.1 * words).enumerate() {
            conv.fused_row(y, &x, &mut thresholds, &mut room, signs);
        }
        assert_eq!(got, expected, "{backend:?} differs in {g:?}");
    }
}

#[test]
fn fused_rows_are_the_sums_at_their_thresholds() {
    let mut random = Random(0x2545_f491_4f6c_dd1d);
    for case in CASES.into_iter().chain([eight_places(4095, 4), eight_places(4096, 4)]) {
        fused(&geometry(Kind::Sign, case), &mut random);
    }
}

/// Checks sums of `channels * k * k` equal products on every backend.
fn products(channels: usize, k: u32, level: i8, weight: i8) {
    let g = geometry(Kind::Level, eight_places(channels, k));
    let x = &vec![level; g.x.len()];
    let weights = vec![weight; g.outputs * g.k * g.k * channels];
    let sums = agreed(&g, |backend| {
        let mut conv = LevelConv::new(backend, g, &weights);
        move |y, sums: &mut [i32]| conv.row(y, x, sums)
    });
    let product = i32::from(level) * i32::from(weight);
    assert!(sums.iter().all(|&sum| sum == (k * k) as i32 * channels as i32 * product), "{g:?}");
}

#[test]
fn the_largest_levels_and_weights_overflow_no_lane_and_no_sum() {
    // 131,026 products of 2^14: the next larger kernel would exceed 2^31.
    for (level, weight) in [(-128, -128), (-128, 127), (127, -128), (127, 127)] {
        products(3, 3, level, weight);
        products(2674, 7, level, weight);
    }
}

#[test]
fn the_largest_levels_and_weights_of_four_bits_overflow_no_sum() {
    // Multiplied by 15, with 8 times the level subtracted afterwards: 1,183,744 products exceed 2^31 in between.
    for (level, weight) in [(-128, -8), (-128, 7), (127, -8), (127, 7)] {
        products(3, 3, level, weight);
        products(4096, 17, level, weight);
    }
    // The first weights with more than four bits.
    for (level, weight) in [(-128, -9), (127, -9), (-128, 8), (127, 8)] {
        products(3, 3, level, weight);
    }
}

/// Clips at the start of a step, where others read the same map, and inside one, where they change a row in place.
#[test]
fn clipped_maps_agree_everywhere() {
    const SIZE: u32 = 5;
    let picture: Vec<u8> = (0..SIZE * SIZE * 3).map(|i| (i * i * 7 + i / 5) as u8).collect();
    for channels in [2, 63, 65] {
        let split = |bounds: [(f32, f32); 2], backend| {
            let mut built = Built::new(SIZE, channels);
            let ones = built.blob(&vec![1.0_f32; channels as usize]);
            let zeros = built.blob(&vec![0.0_f32; channels as usize]);
            let [wide, narrow] = bounds;
            built.push(Clip { x: 1, low: wide.0, high: wide.1 });
            built.push(Affine { x: built::SIGNS + 1, scale: ones, bias: zeros });
            built.push(Clip { x: built::SIGNS + 2, low: narrow.0, high: narrow.1 });
            built.push(Quantise {
                x: built::SIGNS + 3,
                scale: 256.0,
                low: -128,
                high: 127,
                shift: 0,
                unsigned: false,
            });
            let model = Model::parse(&built.write().unwrap()).unwrap();
            let mut engine = Engine::new(model, backend);
            engine.start(&picture);
            assert!(matches!(engine.go_on(), Stop::Exit { .. }));
            let Stop::Split(map) = engine.go_on() else { panic!("one exit, then the split") };
            map.into_iter().map(|level| level as i8).collect::<Vec<i8>>()
        };
        // Bounds that are levels, so that clipping levels must give the same.
        let open = split([(f32::MIN, f32::MAX); 2], Backend::Reference);
        for (bounds, low, high) in
            [([(-2560.0, 9e9), (-9e9, 2048.0)], -10, 8), ([(-9e9, 768.0), (0.0, 9e9)], 0, 3)]
        {
            let expected: Vec<i8> = open.iter().map(|&level| level.clamp(low, high)).collect();
            assert!(
                open.iter().any(|&level| level < low) && open.iter().any(|&level| level > high)
            );
            for backend in Backend::all() {
                assert!(split(bounds, backend) == expected, "{backend:?}, {channels} channels");
            }
        }
    }
}

/// Means over the whole map, which may be larger than any window.
#[test]
fn means_over_whole_maps_agree_everywhere() {
    let scores = |size: u32, k, backend| {
        let mut built = Built::new(size, 65);
        built.ops[built::EXIT] =
            AveragePool { x: 1, k, stride: 1, pad: 0, beyond: 0, zeros: false }.into();
        let mut engine = Engine::new(Model::parse(&built.write().unwrap()).unwrap(), backend);
        engine.start(&(0..size * size * 3).map(|i| (i * i * 7 + i / 5) as u8).collect::<Vec<u8>>());
        let Stop::Exit { logits, .. } = engine.go_on() else { panic!("the exit comes first") };
        logits
    };
    for backend in Backend::all() {
        assert_eq!(scores(64, 0, backend), scores(64, 64, Backend::Reference), "{backend:?}");
        assert_eq!(scores(65, 0, backend), scores(65, 0, Backend::Reference), "{backend:?}");
    }
}

/// Randomly chosen shapes.
#[cfg(not(target_family = "wasm"))]
mod any_shape {
    use super::*;
    use proptest::prelude::*;

    fn case() -> impl Strategy<Value = Case> {
        let sizes =
            (1..14_usize, 1..14_usize, 1..300_usize, 1..6_u32, 1..4_u32, 0..3_u32, 1..140_u32);
        sizes.prop_filter("the kernel fits in", |&(h, w, _, k, _, pad, _)| {
            pad < k && k as usize <= h.min(w) + 2 * pad as usize
        })
    }

    proptest! {
        #[test]
        fn convolutions_agree(case in case(), seed in 1_u64.., narrow: bool) {
            signs(&geometry(Kind::Sign, case), &mut Random(seed));
            levels(&geometry(Kind::Level, case), &mut Random(seed), narrow);
            fused(&geometry(Kind::Sign, case), &mut Random(seed));
        }
    }
}
