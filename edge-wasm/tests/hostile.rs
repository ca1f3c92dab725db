//! Packed models that no packer writes: they are refused when loaded, each with its reason.

use fogline_edge::engine::Engine;
use fogline_edge::kernel::Backend;
use fogline_edge::model::{FogError, Model, Stretch};
use fogline_edge::ops::{Affine, Conv, Dense, Either, Filter, Op, Prelu, Quantise, Sign};
use fogline_edge::tensor::Blob;

mod built;
use built::{Built, SIGNS};

const CIFAR10: &[u8] = include_bytes!("../../onnx-models/cifar10-w1/3.2.0/edge.fog");

fn filter(built: &mut Built, k: u32, bits: u8, bytes: &[u8]) -> Filter {
    Filter {
        k,
        stride: 1,
        pad: k / 2,
        outputs: 1,
        bits,
        weights: built.blob(bytes),
        nested: 0,
        share: 0,
        groups: 0,
    }
}

/// Adds a convolution with 1 output channel, a scale of 1 and a bias of 1.
fn push_conv(built: &mut Built, x: usize, filter: Filter) {
    let ones = built.blob(&[1.0_f32]);
    built.push(Conv { x, filter, scale: ones, bias: ones });
}

/// Adds a last operation that any model may end in.
fn end(built: &mut Built) {
    built.push(Quantise { x: 1, scale: 1.0, low: -8, high: 7, shift: 0, unsigned: false });
}

/// The error when `built` is written.
fn refusal(built: &Built) -> String {
    let error = built.write().expect_err("it is not refused");
    assert_eq!(error.word(), "fog_invalid");
    error.to_string()
}

#[test]
fn signs_beyond_the_channels_are_refused() {
    for (word, channels) in [(1_u64 << 5, 5), (1 << 63, 63)] {
        let mut built = Built::new(4, channels);
        let filter = filter(&mut built, 1, 1, &word.to_le_bytes());
        push_conv(&mut built, SIGNS, filter);
        end(&mut built);
        assert!(refusal(&built).contains("signs beyond the"), "{channels} channels");
        // And when it is read, not only when it is written.
        let Op::Conv(conv) = &built.ops[4] else { unreachable!("it was pushed there") };
        let at = conv.filter.weights.at as usize;
        built.data[at..at + 8].fill(0);
        let mut bytes = built.write().expect("all zeros are signs");
        let at = bytes.len() - built.data.len() + at;
        bytes[at..at + 8].copy_from_slice(&word.to_le_bytes());
        let FogError::Op { index, .. } = Model::parse(&bytes).unwrap_err() else { panic!() };
        assert_eq!(index, 4);
    }
}

#[test]
fn sums_that_may_overflow_are_refused() {
    // 4-bit weights times 8-bit levels: 2^21 products of 2^10 are one too many for 31 bits.
    let with = |k: u32, channels: u32| {
        let mut built = Built::new(32, channels);
        built.push(Quantise { x: 1, scale: 1.0, low: -128, high: 127, shift: 0, unsigned: false });
        let filter = filter(&mut built, k, 4, &vec![0; ((k * k * channels) as usize).div_ceil(2)]);
        push_conv(&mut built, 4, filter);
        end(&mut built);
        built
    };
    assert!(refusal(&with(32, 2048)).contains("sums of 2097152 products may overflow"));
    with(32, 2047).write().unwrap();
}

#[test]
fn a_small_file_that_would_take_all_memory_is_refused() {
    let mut built = Built::new(1, 4096);
    built.push(Quantise { x: 1, scale: 1.0, low: -8, high: 7, shift: 0, unsigned: false });
    let outputs = 512;
    let weights = built.blob(&vec![0x11_u8; 4096 * outputs / 2]);
    let ones = built.blob(&vec![1.0_f32; outputs]);
    for _ in 0..120 {
        let filter = Filter {
            k: 1,
            stride: 1,
            pad: 0,
            outputs: outputs as u32,
            bits: 4,
            weights,
            nested: 0,
            share: 0,
            groups: 0,
        };
        built.push(Conv { x: 4, filter, scale: ones, bias: ones });
    }
    end(&mut built);
    assert!(built.data.len() < 2 << 20);
    assert!(refusal(&built).contains("together are too large"));
    // A few of them are no attack.
    built.ops.drain(15..125);
    let model = Model::parse(&built.write().unwrap()).unwrap();
    assert!(model.memory() > 32 << 20);
    // Nor are convolutions whose signs take long to unpack.
    let mut built = Built::new(1, 4096);
    let threshold = built.blob(&vec![0.0_f32; 4096]);
    built.push(Sign { x: 1, threshold });
    let weights = built.blob(&vec![0_u8; 4096 * 4096 / 4]);
    let ones = built.blob(&vec![1.0_f32; 4096]);
    for _ in 0..100 {
        let filter = Filter {
            k: 1,
            stride: 1,
            pad: 0,
            outputs: 4096,
            bits: 1,
            weights,
            nested: 2,
            share: 0,
            groups: 0,
        };
        built.push(Conv { x: 4, filter, scale: ones, bias: ones });
    }
    end(&mut built);
    assert!(refusal(&built).contains("together are too large"));
    let committed = Model::parse(CIFAR10).unwrap().memory();
    assert!(committed < 32 << 20, "the committed model takes {committed} bytes");
}

#[test]
fn ways_that_lead_nowhere_are_refused() {
    let stretch = |way, from, to| Stretch { way, from, to };
    // Two ways after the convolution, and the split after they meet.
    let with = |of: Vec<usize>, stretches: Vec<Stretch>| {
        let mut built = Built::new(4, 2);
        let ones = built.blob(&[1.0_f32, 1.0]);
        for _ in 0..2 {
            built.push(Affine { x: 1, scale: ones, bias: ones });
        }
        built.push(Either { of });
        built.push(Quantise { x: 6, scale: 1.0, low: -8, high: 7, shift: 0, unsigned: false });
        built.stretches = stretches;
        built
    };
    let two = || vec![stretch(0, 4, 5), stretch(1, 5, 6)];
    with(vec![4, 5], two()).write().unwrap();
    for (of, stretches, why) in [
        (vec![5, 4], two(), "operation 6 reads from another way"),
        (vec![4, 4], two(), "operation 6 reads from another way"),
        (vec![4, 5], vec![], "operation 6 reads from another way"),
        (vec![4], two(), "at least two maps"),
        (vec![4, 5], vec![stretch(0, 4, 6), stretch(1, 5, 6)], "overlap"),
        (vec![4, 5], vec![stretch(0, 4, 4), stretch(1, 5, 6)], "are empty"),
        (vec![4, 5], vec![stretch(0, 4, 5), stretch(255, 5, 6)], "too many ways"),
        (vec![4, 5], vec![stretch(0, 4, 5), stretch(1, 5, 7)], "reads from another way"),
        (vec![4, 5], vec![stretch(0, 0, 4)], "its input or its split"),
        (vec![4, 5], vec![stretch(1, 5, usize::MAX)], "its input or its split"),
    ] {
        let says = refusal(&with(of, stretches));
        assert!(says.contains(why), "{says}");
    }
}

#[test]
fn weights_that_cannot_be_stored_so_are_refused() {
    let with = |bits, nested, share, bytes: usize| {
        let mut built = Built::new(4, 64);
        built.push(Quantise { x: 1, scale: 1.0, low: -8, high: 7, shift: 0, unsigned: false });
        let x = if bits == 1 { SIGNS } else { 4 };
        let filter = Filter { nested, share, ..filter(&mut built, 1, bits, &vec![0; bytes]) };
        push_conv(&mut built, x, filter);
        end(&mut built);
        built
    };
    for (bits, nested, share, bytes) in [(1, 4, 0, 32), (2, 4, 0, 32), (4, 4, 0, 32), (1, 0, 2, 8)]
    {
        with(bits, nested, share, bytes).write().unwrap();
    }
    for (bits, nested, share, bytes) in [
        (4, 2, 0, 16),
        (4, 8, 0, 64),
        (8, 4, 0, 32),
        (1, 4, 2, 32),
        (2, 0, 2, 8),
        (1, 0, 3, 8),
        (1, 0, 17, 8),
        (1, 0, 1, 8),
    ] {
        assert!(refusal(&with(bits, nested, share, bytes)).contains("cannot be nested"));
    }
    assert!(refusal(&with(1, 0, 2, 16)).contains("take 16 bytes, but need 8"));
}

#[test]
fn groups_that_do_not_divide_the_channels_are_refused() {
    let with = |groups, outputs, bytes: usize| {
        let mut built = Built::new(4, 6);
        let filter = Filter { groups, outputs, ..filter(&mut built, 1, 8, &vec![1; bytes]) };
        let ones = built.blob(&vec![1.0_f32; outputs as usize]);
        built.push(Conv { x: SIGNS, filter, scale: ones, bias: ones });
        end(&mut built);
        built
    };
    for (groups, outputs, bytes) in [(6, 6, 6), (6, 12, 12), (3, 6, 12), (1, 6, 36)] {
        with(groups, outputs, bytes).write().unwrap();
    }
    for (groups, outputs, bytes, why) in [
        (4, 4, 6, "6 channels to 4 are not 4 groups"),
        (6, 7, 7, "6 channels to 7 are not 6 groups"),
        (u32::MAX, 6, 6, "are not 4294967295 groups"),
        (6, 6, 36, "take 36 bytes, but need 6"),
    ] {
        let says = refusal(&with(groups, outputs, bytes));
        assert!(says.contains(why), "{says}");
    }
}

#[test]
fn levels_that_no_map_holds_are_refused() {
    let with = |low, high, shift, unsigned| {
        let mut built = Built::new(4, 2);
        built.push(Quantise { x: 1, scale: 1.0, low, high, shift, unsigned });
        built
    };
    for (low, high, shift, unsigned) in
        [(-128, 127, 0, false), (0, 127, 8, false), (0, 255, 0, true), (200, 201, 0, true)]
    {
        with(low, high, shift, unsigned).write().unwrap();
    }
    for (low, high, shift, unsigned) in [
        (-129, 127, 0, false),
        (0, 128, 0, false),
        (0, 256, 0, true),
        (-1, 15, 0, true),
        (3, 3, 0, true),
        (0, 15, 9, true),
    ] {
        assert!(refusal(&with(low, high, shift, unsigned)).contains("scale or range is invalid"));
    }
}

#[test]
fn a_split_that_is_no_operation_or_real_is_refused() {
    for split in [1, 4, usize::MAX] {
        let mut built = Built::new(4, 2);
        built.split = Some(split);
        assert!(refusal(&built).contains("gives signs or levels"), "{split}");
    }
}

#[test]
fn numbers_that_are_none_are_refused() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let with = |op: fn(Blob, Blob) -> Op| {
            let mut built = Built::new(4, 2);
            let (good, bad) = (built.blob(&[1.0_f32, 1.0]), built.blob(&[1.0, bad]));
            built.push(op(good, bad));
            end(&mut built);
            refusal(&built)
        };
        let cases = [
            ("scales", with(|good, bad| Affine { x: 1, scale: bad, bias: good }.into())),
            ("biases", with(|good, bad| Affine { x: 1, scale: good, bias: bad }.into())),
            ("slopes", with(|_, bad| Prelu { x: 1, slope: bad }.into())),
            ("thresholds", with(|_, bad| Sign { x: 1, threshold: bad }.into())),
            (
                "biases",
                with(|good, bad| {
                    Dense {
                        x: 2,
                        outputs: 2,
                        bits: 8,
                        weights: Blob { len: 4, ..good },
                        scale: good,
                        bias: bad,
                    }
                    .into()
                }),
            ),
        ];
        for (what, says) in cases {
            let expected = format!("operation 4 of the packed model: number 1 of its {what} is");
            assert!(says.starts_with(&expected), "{says}");
        }
    }
}

#[test]
#[should_panic(expected = "there is no run to go on with: start one first")]
fn going_on_before_the_start_says_so() {
    let mut built = Built::new(4, 2);
    end(&mut built);
    let model = Model::parse(&built.write().unwrap()).unwrap();
    let _ = Engine::new(model, Backend::fastest()).go_on();
}
