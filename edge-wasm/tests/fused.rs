//! Thresholds that batch-norms were folded into, in a complete engine. Native, Node and wasmtime run this file.

use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::Backend;
use fogline_edge::model::Model;
use fogline_edge::ops::{Conv, ConvSign, Filter, Sign};

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

mod built;
use built::{Built, SIGNS};

const SIZE: u32 = 9;

/// Two 1-bit layers in a row, with fused thresholds, or with a batch-norm in real numbers and a sign.
fn layers(channels: u32, fused: bool) -> Model {
    let mut built = Built::new(SIZE, channels);
    let (words, last) =
        (channels.div_ceil(64) as usize, u64::MAX >> (64 - (channels - 1) % 64 - 1));
    let mut x = SIGNS;
    for layer in 0..2_u64 {
        let mut state = 0x9e37_79b9_7f4a_7c15 + layer;
        let weights: Vec<u64> = (0..channels as usize * 9 * words)
            .map(|i| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state & if i % words == words - 1 { last } else { u64::MAX }
            })
            .collect();
        let weights = built.blob(&weights);
        let filter = Filter {
            k: 3,
            stride: 1,
            pad: 1,
            outputs: channels,
            bits: 1,
            weights,
            nested: 0,
            share: 0,
            groups: 0,
        };
        // Every second channel's batch-norm has a negative factor. All thresholds are in the range of the sums, and most equal one
        // (sums of 9 and of 6 taps have the parity of the channels). A few give every pixel the same sign.
        let most = 9 * channels as i32;
        let threshold: Vec<i32> = (0..channels as i32)
            .map(|c| match c % 17 {
                15 => most + 1,
                16 => -most,
                _ => c * 5 % 23 - 11,
            })
            .collect();
        let flip: Vec<u8> = (0..channels).map(|c| (c % 2) as u8).collect();
        if fused {
            let (threshold, flip) = (built.blob(&threshold), built.blob(&flip));
            built.push(ConvSign { x, filter, threshold, flip });
        } else {
            // sum < t is -sum + t - 1 >= 0.
            let (scale, bias): (Vec<f32>, Vec<f32>) = threshold
                .iter()
                .zip(&flip)
                .map(
                    |(&t, &flip)| if flip == 1 { (-1.0, (t - 1) as f32) } else { (1.0, -t as f32) },
                )
                .unzip();
            let (scale, bias) = (built.blob(&scale), built.blob(&bias));
            let zeros = built.blob(&vec![0.0_f32; channels as usize]);
            built.push(Conv { x, filter, scale, bias });
            built.push(Sign { x: built.ops.len() - 1, threshold: zeros });
        }
        x = built.ops.len() - 1;
    }
    Model::parse(&built.write().unwrap()).unwrap()
}

fn split(model: Model, backend: Backend, picture: &[u8]) -> Vec<u8> {
    let mut engine = Engine::new(model, backend);
    engine.start(picture);
    assert!(matches!(engine.go_on(), Stop::Exit { index: 0, .. }));
    let Stop::Split(map) = engine.go_on() else { panic!("one exit, then the split") };
    map
}

/// The second layer reads what the first has written: bits beyond its channels would be counted.
#[test]
fn fused_thresholds_decide_as_a_batch_norm_and_a_sign_do() {
    let picture: Vec<u8> = (0..SIZE * SIZE * 3).map(|i| (i * i * 7 + i / 5) as u8).collect();
    for channels in [2, 63, 64, 65, 100, 128, 130] {
        let expected = split(layers(channels, false), Backend::Reference, &picture);
        assert!(
            expected.iter().any(|&byte| byte != 0 && byte != 255),
            "{channels}: it says nothing"
        );
        for backend in Backend::all() {
            let got = split(layers(channels, true), backend, &picture);
            assert!(got == expected, "{backend:?} differs at {channels} channels");
        }
    }
}
