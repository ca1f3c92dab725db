//! Constants that exporters leave for others to compute.

use super::built::{Built, computed, int, ints, varied};
use crate::onnx::AttributeProto;
use crate::{PackError, Packed};

/// Numbers of a matrix of 5 rows in the order of its 8 columns.
fn columns(rows: &[f32]) -> Vec<f32> {
    (0..40).map(|at| rows[at % 5 * 8 + at / 5]).collect()
}

#[test]
fn transposed_weights_of_a_linear_layer_are_those_of_a_gemm() {
    let pooled = || {
        let built = Built::stem().tensor("v", &[5, 8], &varied(40));
        let built = built.tensor("vt", &[8, 5], &columns(&varied(40)));
        let built = built.tensor("steps", &[5, 1], &[0.25, 0.5, 0.125, 0.0625, 1.0]);
        built.node("GlobalAveragePool", "c", "p", &[]).node("Flatten", "p", "f", &[])
    };
    let turned = [ints("perm", &[1, 0])];
    let gemm = pooled().node("Gemm", "f v", "e1", &[int("transB", 1)]).split("c").unwrap();
    for of in [&turned[..], &[]] {
        let built = pooled().node("Transpose", "v", "t", of).node("MatMul", "f t", "e1", &[]);
        assert_eq!(computed(&built.split("c").unwrap()), computed(&gemm));
    }
    let turned_already = pooled().node("MatMul", "f vt", "e1", &[]).split("c").unwrap();
    assert_eq!(computed(&turned_already), computed(&gemm));
    let quantised = || pooled().node("Quant", "v steps zero eight", "q", &[]);
    let gemm = quantised().node("Gemm", "f q", "e1", &[int("transB", 1)]).split("c").unwrap();
    let built = quantised().node("Transpose", "q", "t", &turned).node("MatMul", "f t", "e1", &[]);
    assert_eq!(computed(&built.split("c").unwrap()), computed(&gemm));
    let why = quantised().node("MatMul", "f q", "e1", &[]).refusal();
    assert!(
        why.ends_with("a scale for each input: quantise them with one for each output"),
        "{why}"
    );
    let why = Built::stem().node("Transpose", "c", "t", &[]).head("t").refusal();
    assert!(
        why.starts_with("node 't-node' (Transpose): only constants can be transposed"),
        "{why}"
    );
}

#[test]
fn constants_keep_their_types() {
    // 7 / 2 is 3 in integers, and 2.7 becomes 2.
    let scaled = |by: f32| {
        let built = Built::stem().tensor("by", &[], &[by]);
        built.node("Mul", "c by", "m", &[]).head("m").split("m").unwrap()
    };
    let divided = Built::stem()
        .whole("seven", &[7])
        .whole("two", &[2])
        .node("Div", "seven two", "d", &[])
        .node("Cast", "d", "by", &[int("to", 1)])
        .node("Mul", "c by", "m", &[])
        .head("m");
    assert_eq!(computed(&divided.split("m").unwrap()), computed(&scaled(3.0)));
    let cut = Built::stem()
        .tensor("more", &[], &[2.7])
        .node("Cast", "more", "whole", &[int("to", 7)])
        .node("Cast", "whole", "by", &[int("to", 1)])
        .node("Mul", "c by", "m", &[])
        .head("m");
    assert_eq!(computed(&cut.split("m").unwrap()), computed(&scaled(2.0)));
    let map = Built::stem().node("Cast", "c", "d", &[int("to", 6)]).head("d").refusal();
    assert!(map.ends_with("to = 6 is not supported for maps, which are real numbers"), "{map}");
    let wide = Built::stem().tensor("wide", &[], &[300.0]);
    let wide = wide.node("Cast", "wide", "d", &[int("to", 2)]).node("Mul", "c d", "m", &[]);
    assert!(wide.head("m").refusal().ends_with("a value does not fit Uint8"));
}

#[test]
fn axes_of_one_are_put_in_and_taken_out() {
    let numbers = varied(8);
    let plain = Built::stem().tensor("k", &[8, 1, 1], &numbers);
    let plain = plain.node("Add", "c k", "s", &[]).head("s").split("s").unwrap();
    let added = |axes: &[i64]| {
        let built = Built::stem().tensor("n", &[8], &numbers).whole("axes", axes);
        built.node("Unsqueeze", "n axes", "k", &[]).node("Add", "c k", "s", &[]).head("s")
    };
    for axes in [[1, 2], [-1, -2], [2, 1]] {
        assert_eq!(computed(&added(&axes).split("s").unwrap()), computed(&plain));
    }
    assert!(added(&[1, 3]).refusal().ends_with("do not fit a constant of shape [8]"));
    let taken = Built::stem().tensor("n", &[1, 1, 8, 1, 1], &numbers).whole("axes", &[0, 1]);
    let taken = taken.node("Squeeze", "n axes", "k", &[]).node("Add", "c k", "s", &[]).head("s");
    assert_eq!(computed(&taken.split("s").unwrap()), computed(&plain));
}

#[test]
fn four_axes_are_transposed_as_stated() {
    // Weights as (k, k, in, out), which TensorFlow's exporters transpose to (out, in, k, k).
    let order = |at: usize| {
        let (output, input, y, x) = (at / 72, at / 9 % 8, at / 3 % 3, at % 3);
        ((y * 3 + x) * 8 + input) * 8 + output
    };
    let stored = varied(576);
    let plain: Vec<f32> = (0..576).map(|at| stored[order(at)]).collect();
    let signs = |built: Built| {
        let built = built.node("BipolarQuant", "v one", "vq", &[]);
        let built = built.node("BipolarQuant", "c one", "cq", &[]);
        built.node("Conv", "cq vq", "d", &[]).head("d").split("d").unwrap()
    };
    let turned = Built::stem().tensor("s", &[3, 3, 8, 8], &stored).node(
        "Transpose",
        "s",
        "v",
        &[ints("perm", &[3, 2, 0, 1])],
    );
    let plain = Built::stem().tensor("v", &[8, 8, 3, 3], &plain);
    assert_eq!(computed(&signs(turned)), computed(&signs(plain)));
    let why = Built::stem().node("Transpose", "w", "t", &[ints("perm", &[0, 0, 1, 2])]).refusal();
    assert!(why.contains("does not order the axes of shape [8, 3, 3, 3]"), "{why}");
}

#[test]
fn a_reshape_to_a_shape_that_the_graph_computes_is_a_flattening() {
    let reshaped = |map: &'static str, channels: i64| {
        let built = Built::stem().node("GlobalAveragePool", "c", "p", &[]);
        built
            .whole("rest", &[channels])
            .tensor("first", &[], &[0.0])
            .node("Shape", map, "shape", &[])
            .node("Gather", "shape first", "batch", &[int("axis", 0)])
            .node("Unsqueeze", "batch", "list", &[ints("axes", &[0])])
            .node("Concat", "list rest", "to", &[int("axis", 0)])
            .node("Reshape", "p to", "f", &[])
            .linear("f")
    };
    let flattened = Built::stem().head("c").split("c").unwrap();
    for map in ["x", "xq", "c", "p"] {
        assert_eq!(computed(&reshaped(map, -1).split("c").unwrap()), computed(&flattened), "{map}");
    }
    // The first side of the weights is 8.
    assert!(reshaped("w", -1).refusal().ends_with("one row per sample is supported"));
    assert!(reshaped("p", 4).refusal().ends_with("one row per sample is supported"));
}

#[test]
fn a_quantised_bias_is_a_constant() {
    let with = |bias: &str| {
        let built = Built::stem().tensor("b", &[8], &varied(8)).tensor("bits", &[], &[32.0]);
        let rounded: Vec<f32> =
            varied(8).iter().map(|b| (b * 16.0).round_ties_even() / 16.0).collect();
        let built = built.tensor("r", &[8], &rounded).tensor("sixteenth", &[], &[1.0 / 16.0]);
        let built = built.node("Quant", "b sixteenth zero bits", "q", &[]);
        let of = [ints("pads", &[1; 4])];
        built.node("Conv", &format!("xq wq {bias}"), "d", &of).head("d").split("d")
    };
    assert_eq!(computed(&with("q").unwrap()), computed(&with("r").unwrap()));
    let why = with("c").err().unwrap().to_string();
    assert!(why.ends_with("(Conv): input 'c' is not a constant"), "{why}");
}

#[test]
fn constants_have_their_values_in_any_attribute() {
    let add = |of: AttributeProto| -> Result<Packed, PackError> {
        let built = Built::stem().node("Constant", "", "k", &[of]);
        built.node("Add", "c k", "s", &[]).head("s").split("s")
    };
    let two = AttributeProto { f: 2.0, ..int("value_float", 0) };
    let twos = AttributeProto { floats: vec![2.0], ..int("value_floats", 0) };
    let plain = add(two).unwrap();
    for of in [twos, int("value_int", 2), ints("value_ints", &[2])] {
        assert_eq!(computed(&add(of).unwrap()), computed(&plain));
    }
    let none = AttributeProto { f: f32::NAN, ..int("value_float", 0) };
    for (of, why) in
        [(none, "not a finite number"), (int("value_string", 0), "'value_string' is not supported")]
    {
        let error = add(of).err().unwrap().to_string();
        assert!(error.starts_with("node 'k-node' (Constant): ") && error.ends_with(why), "{error}");
    }
}
