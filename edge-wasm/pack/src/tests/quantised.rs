//! Nodes over quantised maps: the same numbers as over the real maps that they stand for.

use fogline_edge::engine::Stop;
use fogline_edge::ops::Op;
use fogline_edge::tensor::Kind;

use super::built::{Built, computed, int, ints, varied};
use crate::Packed;

/// The levels `q` of `c`, 4 bits and unsigned, and the signs `s` of `c`.
fn levels() -> Built {
    Built::stem()
        .tensor("four", &[], &[4.0])
        .tensor("wide", &[], &[0.5])
        .node("Relu", "c", "r", &[])
        .node("Quant", "r wide zero four", "q", &[int("signed", 0)])
        .node("BipolarQuant", "c one", "s", &[])
}

/// Adds 3x3 weights `vq` of 8 bits and `vs` of 1 bit, from 8 to 8 channels.
fn weights(built: Built) -> Built {
    built
        .tensor("v", &[8, 8, 3, 3], &varied(576))
        .node("Quant", "v step zero eight", "vq", &[])
        .node("BipolarQuant", "v one", "vs", &[])
}

fn stops(packed: &Packed) -> [Stop; 2] {
    computed(packed).1
}

fn has(packed: &Packed, is: fn(&Op) -> bool) -> bool {
    packed.model.program.ops.iter().any(is)
}

/// Whether a pool takes the maxima of levels or signs.
fn pools_levels(packed: &Packed) -> bool {
    packed
        .model
        .program
        .ops
        .iter()
        .zip(&packed.model.shapes)
        .any(|(op, shape)| matches!(op, Op::MaxPool(_)) && shape.kind != Kind::Real)
}

#[test]
fn a_maximum_of_levels_or_signs_is_that_of_the_numbers_before() {
    let pool = [ints("kernel_shape", &[3, 3]), ints("strides", &[2, 2]), ints("pads", &[1; 4])];
    for of in ["r wide zero four", "c wide zero eight"] {
        let quant = |built: Built, of: &str, to: &str| {
            built.node("Quant", of, to, &[int("signed", i64::from(of.starts_with('c')))])
        };
        let (map, rest) = of.split_once(' ').unwrap();
        let after = quant(levels(), of, "y").node("MaxPool", "y", "m", &pool);
        let before = levels().node("MaxPool", map, "y", &pool);
        let before = quant(before, &format!("y {rest}"), "m");
        let [after, before] = [after, before].map(|built| built.head("m").split("m").unwrap());
        assert_eq!(stops(&after), stops(&before), "{of}");
    }
    let after = levels().node("MaxPool", "s", "m", &pool).head("m").split("m").unwrap();
    let before = levels().node("MaxPool", "c", "y", &pool);
    let before = before.node("BipolarQuant", "y one", "m", &[]).head("m").split("m").unwrap();
    assert_eq!(stops(&after), stops(&before));
    // It saves a pass over the map only if nothing else reads the levels.
    let both = levels().node("MaxPool", "q", "m", &pool).head("q").outputs("m").unwrap();
    assert!(pools_levels(&both));
    let alone = levels().node("MaxPool", "q", "m", &pool).head("c").outputs("m").unwrap();
    assert!(!pools_levels(&alone));
    // Pooled levels take as many bits in a frame.
    let pooled = both.model.program.split;
    assert!(matches!(both.model.program.ops[pooled], Op::MaxPool(_)));
    let [_, Stop::Split(map)] = stops(&both) else { panic!("the split is last") };
    assert_eq!(map.len(), both.model.split().len() / 2);
}

#[test]
fn levels_are_added_averaged_and_quantised_again_as_real_numbers() {
    // The same levels as real numbers: rounded by a Quant, then clipped where nothing is clipped.
    let real = |built: Built, to: &str| {
        built.tensor("low", &[], &[-999.0]).tensor("high", &[], &[999.0]).node(
            "Clip",
            "q low high",
            to,
            &[],
        )
    };
    let sum = levels().node("Add", "q s", "t", &[]).head("t").split("t").unwrap();
    let of_real = real(levels(), "u").node("Add", "u s", "t", &[]).head("t").split("t").unwrap();
    assert_eq!(stops(&sum), stops(&of_real));
    let of = [ints("kernel_shape", &[2, 2]), ints("strides", &[2, 2])];
    let mean = |built: Built, of_map: &str| {
        built.node("AveragePool", of_map, "m", &of).head("m").split("m").unwrap()
    };
    assert_eq!(stops(&mean(levels(), "q")), stops(&mean(real(levels(), "u"), "u")));
    let again = |built: Built, map: &str| {
        let built = weights(built).node("Quant", &format!("{map} step zero eight"), "z", &[]);
        built.node("Conv", "z vq", "d", &[]).head("d").split("d").unwrap()
    };
    assert_eq!(stops(&again(levels(), "q")), stops(&again(real(levels(), "u"), "u")));
}

#[test]
fn a_layer_reads_maps_of_several_scales_side_by_side() {
    let joined = |second: &str| {
        levels()
            .node("Quant", "c step zero eight", "k", &[])
            .node("Concat", &format!("q {second}"), "j", &[int("axis", 1)])
            .tensor("v", &[8, 16, 1, 1], &varied(128))
            .tensor("b", &[8], &varied(8))
            .node("Quant", "v step zero eight", "vq", &[])
            .node("Conv", "j vq b", "d", &[])
            .head("d")
            .split("d")
            .unwrap()
    };
    let apart = |second: &str| {
        let numbers = varied(128);
        let half = |first: usize| -> Vec<f32> {
            numbers.chunks_exact(16).flat_map(|all| &all[first..first + 8]).copied().collect()
        };
        levels()
            .node("Quant", "c step zero eight", "k", &[])
            .tensor("v", &[8, 8, 1, 1], &half(0))
            .tensor("u", &[8, 8, 1, 1], &half(8))
            .tensor("b", &[8], &varied(8))
            .node("Quant", "v step zero eight", "vq", &[])
            .node("Quant", "u step zero eight", "uq", &[])
            .node("Conv", "q vq b", "e", &[])
            .node("Conv", &format!("{second} uq"), "o", &[])
            .node("Add", "e o", "d", &[])
            .head("d")
            .split("d")
            .unwrap()
    };
    assert_eq!(stops(&joined("k")), stops(&apart("k")));
    // Levels of one scale stay one map, so that one layer reads them.
    let [Stop::Exit { logits: one, .. }, _] = stops(&joined("q")) else {
        panic!("the exit is first")
    };
    let [Stop::Exit { logits: two, .. }, _] = stops(&apart("q")) else {
        panic!("the exit is first")
    };
    assert!(one.iter().zip(&two).all(|(one, two)| (one - two).abs() < 1e-4), "{one:?} {two:?}");
    assert!(!has(&joined("q"), |op| matches!(op, Op::Add(_))));
    // Signs beside bytes, which no one type of level holds.
    let beside = levels()
        .tensor("v", &[8, 16, 1, 1], &varied(128))
        .node("Quant", "r one zero eight", "bytes", &[int("signed", 0)])
        .node("Concat", "s bytes", "j", &[int("axis", 1)])
        .node("Quant", "v step zero eight", "vq", &[])
        .node("Conv", "j vq", "d", &[])
        .head("d");
    beside.split("d").unwrap();
    let mixed = levels().node("Quant", "c step zero eight", "k", &[]);
    let mixed = mixed.node("Concat", "q k", "j", &[int("axis", 1)]).head("c");
    assert!(
        mixed
            .outputs("j")
            .err()
            .unwrap()
            .to_string()
            .ends_with("'j' has levels of several scales: put a Quant node behind the Concat")
    );
}

#[test]
fn a_linear_layer_over_quantised_maps_is_a_convolution_as_large_as_the_map() {
    for (map, weights) in [("q", "vq"), ("s", "vs"), ("s", "vq"), ("q", "vs")] {
        let dense = |map: &str| {
            levels()
                .tensor("v", &[5, 8 * 64], &varied(5 * 512))
                .node("Quant", "v step zero eight", "vq", &[])
                .node("BipolarQuant", "v one", "vs", &[])
                .node("Flatten", map, "f", &[])
                .node("Gemm", &format!("f {weights}"), "e1", &[int("transB", 1)])
                .split("c")
                .unwrap()
        };
        let packed = dense(map);
        assert!(!has(&packed, |op| matches!(op, Op::Dense(_))), "{map} {weights}");
        let [Stop::Exit { logits, .. }, _] = stops(&packed) else { panic!("the exit is first") };
        // The same over real numbers.
        let real = levels()
            .tensor("v", &[5, 8 * 64], &varied(5 * 512))
            .tensor("low", &[], &[-999.0])
            .tensor("high", &[], &[999.0])
            .node("Quant", "v step zero eight", "vq", &[])
            .node("BipolarQuant", "v one", "vs", &[])
            .node("Clip", &format!("{map} low high"), "u", &[])
            .node("Flatten", "u", "f", &[])
            .node("Gemm", &format!("f {weights}"), "e1", &[int("transB", 1)])
            .split("c")
            .unwrap();
        assert!(has(&real, |op| matches!(op, Op::Dense(_))));
        let [Stop::Exit { logits: expected, .. }, _] = stops(&real) else { panic!("as above") };
        for (got, expected) in logits.iter().zip(&expected) {
            assert!((got - expected).abs() < 1e-3 * expected.abs().max(1.0), "{got} {expected}");
        }
    }
}

#[test]
fn an_exit_may_read_the_split_map() {
    let built = weights(levels()).node("Conv", "s vs", "d", &[ints("pads", &[1; 4])]).head("d");
    let packed = built.outputs("s").unwrap();
    assert!(packed.model.program.split < packed.model.program.exits[0]);
    let [Stop::Exit { .. }, Stop::Split(map)] = stops(&packed) else { panic!("exit, split") };
    let alone = levels().head("c").outputs("s").unwrap();
    assert_eq!(stops(&alone)[1], Stop::Split(map));
}

#[test]
fn unsigned_levels_travel_without_a_bit_for_a_sign() {
    let built = levels().node("Quant", "r step zero four", "k", &[int("signed", 0)]);
    let packed = built.head("c").outputs("k").unwrap();
    let [_, Stop::Split(map)] = stops(&packed) else { panic!("the split is last") };
    assert_eq!(map.len(), 8 * 64 / 2);
    // Some levels need the fourth bit.
    assert!(map.iter().any(|byte| byte & 0x88 != 0));
}

#[test]
fn every_channel_may_have_a_scale_of_its_own_before_a_depthwise_convolution() {
    let steps: Vec<f32> = (1..=8).map(|channel| channel as f32 / 64.0).collect();
    let each = |next: &str, groups| {
        levels()
            .tensor("steps", &[1, 8, 1, 1], &steps)
            .tensor(
                "v",
                &[8, if groups == 8 { 1 } else { 8 }, 3, 3],
                &varied(if groups == 8 { 72 } else { 576 }),
            )
            .node("Quant", "v step zero eight", "vq", &[])
            .node("Quant", "c steps zero eight", "k", &[])
            .node(next, "k vq", "d", &[int("group", groups)])
            .head("d")
    };
    each("Conv", 8).split("d").unwrap();
    assert!(
        each("Conv", 1)
            .refusal()
            .ends_with("needs one scale for all channels of its quantised input")
    );
}

#[test]
fn depthwise_weights_in_real_numbers_blur() {
    let quantised = |weights: &str| {
        levels()
            .tensor(
                "v",
                &[8, 1, 3, 3],
                &varied(72).iter().map(|v| (v * 64.0).round() / 64.0).collect::<Vec<_>>(),
            )
            .node("Quant", "v step zero eight", "vq", &[])
            .node("Conv", &format!("q {weights}"), "d", &[int("group", 8), ints("pads", &[1; 4])])
            .head("d")
            .split("d")
            .unwrap()
    };
    let (real, levels) = (quantised("v"), quantised("vq"));
    assert!(
        has(&real, |op| matches!(op, Op::Blur(_))) && !has(&levels, |op| matches!(op, Op::Blur(_)))
    );
    assert_eq!(stops(&real)[1], stops(&levels)[1]);
}
