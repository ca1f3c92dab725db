//! How graphs read their picture.

use super::built::{Built, computed, ints, varied};

#[test]
fn a_graph_may_normalise_its_picture_if_the_manifest_does_not() {
    // 2x - 1 of values from 0 to 1 is what a mean and a std of 0.5 make of them.
    let inside = Built::bare(3, 0.0, 1.0)
        .tensor("two", &[], &[2.0])
        .node("Mul", "x two", "m", &[])
        .node("Sub", "m one", "u", &[])
        .stem_of("u")
        .head("c");
    let outside = Built::bare(3, 0.5, 0.5).stem_of("x").head("c");
    let [inside, outside] = [inside, outside].map(|built| built.split("c").unwrap());
    assert_eq!(computed(&inside), computed(&outside));
    let twice = Built::bare(3, 0.5, 0.5).node("Sub", "x one", "u", &[]).stem_of("u").head("c");
    let why = twice.refusal();
    assert!(why.contains("and the manifest does so before it, with mean [0.5, 0.5, 0.5]"), "{why}");
}

#[test]
fn a_layer_may_read_the_picture_as_its_bytes() {
    let conv = |mean: f32, pads: [i64; 4]| {
        Built::bare(3, mean, 1.0)
            .tensor("w", &[8, 3, 3, 3], &varied(216))
            .node("Quant", "w step zero eight", "wq", &[])
            .node("Conv", "x wq", "c", &[ints("pads", &pads)])
            .head("c")
    };
    // The same picture through a quantiser that has a level for each byte.
    let exact = Built::bare(3, 0.0, 1.0)
        .tensor("byte", &[], &[1.0 / 255.0])
        .tensor("w", &[8, 3, 3, 3], &varied(216))
        .node("Quant", "x byte zero eight", "xq", &[super::built::int("signed", 0)])
        .node("Quant", "w step zero eight", "wq", &[])
        .node("Conv", "xq wq", "c", &[ints("pads", &[1; 4])])
        .head("c");
    let bytes = conv(0.0, [1; 4]).split("c").unwrap();
    assert_eq!(computed(&bytes).1, computed(&exact.split("c").unwrap()).1);
    conv(0.5, [0; 4]).split("c").unwrap();
    let why = conv(0.5, [1; 4]).refusal();
    assert!(why.contains("it pads a picture whose mean is not 0"), "{why}");
}

#[test]
fn a_depthwise_layer_over_the_picture_adds_each_channel_s_own_mean() {
    let dims = |inputs: i64| [3, inputs, 3, 3];
    let depthwise = varied(27);
    // The same weights in a full convolution, with zeros for other channels.
    let full: Vec<f32> = (0..81)
        .map(|at| if at / 27 == at / 9 % 3 { depthwise[at / 27 * 9 + at % 9] } else { 0.0 })
        .collect();
    let conv = |weights: &[f32], groups: i64| {
        let input = super::built::picture([0.2, 0.5, 0.7], [1.0; 3]);
        Built::of_input(3, input)
            .tensor("w", &dims(3 / groups), weights)
            .tensor("g5", &[5, 3], &varied(15))
            .node("Quant", "w step zero eight", "wq", &[])
            .node("Conv", "x wq", "c", &[super::built::int("group", groups)])
            .node("GlobalAveragePool", "c", "p", &[])
            .node("Flatten", "p", "f", &[])
            .node("Gemm", "f g5", "e1", &[super::built::int("transB", 1)])
            .split("c")
            .unwrap()
    };
    assert_eq!(computed(&conv(&depthwise, 3)).1, computed(&conv(&full, 1)).1);
}

#[test]
fn a_picture_may_be_grey() {
    let grey = Built::bare(1, 0.5, 0.5)
        .tensor("w", &[8, 1, 3, 3], &varied(72))
        .node("Quant", "x step zero eight", "xq", &[])
        .node("Quant", "w step zero eight", "wq", &[])
        .node("Conv", "xq wq", "c", &[ints("pads", &[1; 4])])
        .head("c")
        .split("c")
        .unwrap();
    assert_eq!(grey.model.shapes[0].to_string(), "8x8x1");
    computed(&grey);
    let why = Built::bare(2, 0.5, 0.5).stem_of("x").head("c").refusal();
    assert!(why.contains("or [1, 1, 8, 8] for grey pictures"), "{why}");
}
