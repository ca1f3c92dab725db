//! Memory: allocated when a model is loaded, and constant from then on. Native, Node and wasmtime run this file.

use core::hint::black_box;

use allocation_counter::measure;
use fogline_edge::engine::Engine;
use fogline_edge::kernel::Backend;
use fogline_edge::model::Model;
use fogline_edge::ops::{Conv, Filter, MaxPool, Op, Quantise, Sign};

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod built;
use built::{Built, SIGNS};

/// Pages of WebAssembly memory, which never shrinks.
fn pages() -> usize {
    #[cfg(target_family = "wasm")]
    return core::arch::wasm32::memory_size::<0>();
    #[cfg(not(target_family = "wasm"))]
    0
}

fn check(fog: &[u8]) {
    let model = Model::parse(fog).unwrap();
    let picture: Vec<u8> = (0..model.size().pow(2) * 3).map(|i| (i * 37) as u8).collect();
    let stops = model.program.exits.len() + 1;
    let mut engine = Engine::new(model, Backend::fastest());
    let mut run = |times: u64| {
        for _ in 0..times {
            engine.start(&picture);
            (0..stops).for_each(|_| drop(black_box(engine.go_on())));
        }
    };
    run(1);
    let before = pages();
    let made = measure(|| run(1000));
    // Only each exit's logits and the packed split map, which the caller owns.
    assert_eq!(made.count_total, 1000 * stops as u64);
    assert_eq!((made.count_current, made.bytes_current), (0, 0));
    assert_eq!(pages(), before);
}

#[test]
fn a_thousand_runs_leave_memory_as_it_was() {
    check(include_bytes!("tiny/edge.fog"));
}

#[test]
fn a_thousand_runs_at_four_bits_leave_memory_as_it_was() {
    check(include_bytes!("tiny4/edge.fog"));
}

/// Adds a 3x3 convolution of `x` to real numbers, and returns its index.
fn conv(built: &mut Built, x: usize, inputs: u32, outputs: u32, stride: u32, bits: u8) -> usize {
    let weights = match bits {
        8 => built.blob(&vec![1_i8; (9 * inputs * outputs) as usize]),
        _ => built.blob(&vec![0_u64; (9 * inputs.div_ceil(64) * outputs) as usize]),
    };
    let (k, pad) = (3, 1);
    let filter = Filter { k, stride, pad, outputs, bits, weights, nested: 0, share: 0, groups: 0 };
    let scale = built.blob(&vec![1.0_f32; outputs as usize]);
    let bias = built.blob(&vec![0.0_f32; outputs as usize]);
    built.push(Conv { x, filter, scale, bias });
    built.ops.len() - 1
}

/// A pair for photographs: a stem of two strided 8-bit convolutions, five 1-bit ones and two poolings.
fn photographic(size: u32) -> Vec<u8> {
    let mut built = Built::new(16, 4);
    // The exit takes 16x16 pixels of the picture.
    if let [Op::Input(input), Op::Conv(conv), ..] = &mut built.ops[..] {
        (input.size, conv.filter.stride) = (size, size / 16);
    }
    conv(&mut built, 0, 3, 16, 2, 8);
    built.push(Quantise {
        x: SIGNS + 1,
        scale: 1.0,
        low: -128,
        high: 127,
        shift: 0,
        unsigned: false,
    });
    let mut x = conv(&mut built, SIGNS + 2, 16, 32, 2, 8);
    let mut inputs = 32;
    for (outputs, pooled) in [(64, true), (128, false), (128, true), (128, false), (128, false)] {
        let threshold = built.blob(&vec![0.0_f32; inputs as usize]);
        built.push(Sign { x, threshold });
        x = conv(&mut built, x + 1, inputs, outputs, 1, 1);
        if pooled {
            built.push(MaxPool { x, k: 2, stride: 2, pad: 0, beyond: 0 });
            x += 1;
        }
        inputs = outputs;
    }
    let threshold = built.blob(&vec![0.0_f32; inputs as usize]);
    built.push(Sign { x, threshold });
    built.write().unwrap()
}

#[test]
fn photographs_take_a_few_mib() {
    for (size, mib) in [(128, 4), (224, 8)] {
        let fog = photographic(size);
        let picture = vec![127; (size * size * 3) as usize];
        let made = measure(|| {
            let mut engine = Engine::new(Model::parse(&fog).unwrap(), Backend::fastest());
            engine.start(&picture);
            (0..2).for_each(|_| drop(black_box(engine.go_on())));
        });
        assert!(made.bytes_max < mib << 20, "at {size} pixels: {} bytes", made.bytes_max);
    }
}
