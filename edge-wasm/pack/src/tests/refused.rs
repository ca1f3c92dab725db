//! Attributes and broadcasts: what is understood gives what ONNX says, and anything else is refused by name.

use fogline_edge::ops::{AveragePool, Op};

use super::built::{Built, computed, int, ints, text, varied};
use crate::Packed;
use crate::onnx::AttributeProto;

#[test]
fn every_operator_that_the_documentation_lists_is_known() {
    let listed = crate::OPERATORS.iter().flat_map(|(operators, _)| *operators);
    for operator in listed.copied() {
        // Attributes of an unknown operator are not looked at, and no map is one that is not listed.
        let why =
            Built::stem().node(operator, "c", "d", &[int("unheard_of", 1)]).head("d").refusal();
        assert!(why.contains("the attribute 'unheard_of' is not supported"), "{operator}: {why}");
        let plain = Built::stem().node(operator, "c", "d", &[]).head("d").split("c");
        let why = plain.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(!why.contains("the edge does not support"), "{operator}: {why}");
    }
    let why = Built::stem().node("Erf", "c", "d", &[]).head("d").refusal();
    assert!(why.ends_with("the edge does not support this operator"), "{why}");
}

#[test]
fn only_a_node_s_first_output_and_known_domains_are_supported() {
    let mut indices = Built::stem().node("MaxPool", "c", "m", &[ints("kernel_shape", &[2, 2])]);
    indices.also("i");
    indices.clone().head("m").split("m").unwrap();
    let why = indices.node("Cast", "i", "r", &[int("to", 1)]).head("r").refusal();
    assert!(
        why.ends_with("(MaxPool): its output 'i' is read; only the first one is supported"),
        "{why}"
    );
    let mut other = Built::stem().node("Relu", "c", "r", &[]);
    other.domain("my.ops");
    let why = other.head("r").refusal();
    assert!(why.ends_with("does not support this operator of the domain 'my.ops'"), "{why}");
}

#[test]
fn exits_out_of_order_are_named() {
    let twice = |first: &str, second: &str| {
        let built = Built::stem().head("c").node("Relu", "e1", "e2", &[]);
        built.exits(&[first, second]).split("c").err().unwrap().to_string()
    };
    assert!(twice("e2", "e1").starts_with("output 'e1' is computed before output 'e2'"));
    assert!(twice("e1", "e1").contains("or is the same: list each exit once"));
}

#[test]
fn all_refusals_of_a_graph_are_said_and_none_that_follow_from_them() {
    let built = Built::stem().node("Softmax", "c", "a", &[]).node("Relu", "a", "b", &[]);
    let why = built.node("Erf", "c", "d", &[]).head("d").refusal();
    assert_eq!(
        why,
        "2 refusals:\n  node 'a-node' (Softmax): export the logits: Fogline takes the softmax itself\n  \
         node 'd-node' (Erf): the edge does not support this operator"
    );
}

#[test]
fn an_unknown_attribute_is_refused_by_name_and_a_default_is_not() {
    let relu = |attributes: &[_]| Built::stem().node("Relu", "c", "r", attributes).head("r");
    relu(&[]).split("c").unwrap();
    assert_eq!(
        relu(&[int("consumed_inputs", 0)]).refusal(),
        "node 'r-node' (Relu): the attribute 'consumed_inputs' is not supported: export without it"
    );
    let dilated = |by| {
        let pool = [ints("kernel_shape", &[2, 2]), ints("dilations", &[by, by])];
        Built::stem().node("MaxPool", "c", "m", &pool).head("m")
    };
    dilated(1).split("c").unwrap();
    assert!(dilated(2).refusal().ends_with("dilations = [2, 2] is not supported, only ones"));
}

#[test]
fn a_model_in_training_mode_is_refused() {
    let norm = |mode| {
        ["a", "b", "m", "v"]
            .into_iter()
            .fold(Built::stem(), |built, name| built.tensor(name, &[8], &[1.0; 8]))
            .node("BatchNormalization", "c a b m v", "n", &[int("training_mode", mode)])
            .head("n")
    };
    norm(0).split("n").unwrap();
    assert_eq!(
        norm(1).refusal(),
        "node 'n-node' (BatchNormalization): training_mode = 1 is not supported, only 0: export the model in eval mode"
    );
    let drop = |mode| Built::stem().node("Dropout", &format!("c one {mode}"), "d", &[]).head("d");
    drop("zero").split("c").unwrap();
    assert!(drop("one").refusal().ends_with("export the model in eval mode"));
}

#[test]
fn automatic_padding_is_computed() {
    // A window of 3, 2 apart, over 8 pixels: SAME_UPPER pads by one at the end only.
    let pool = |side, stride, how| {
        let sides = [ints("kernel_shape", &[side; 2]), ints("strides", &[stride; 2])];
        let of = [&sides[..], &[text("auto_pad", how)]].concat();
        Built::stem().node("MaxPool", "c", "m", &of).head("m")
    };
    let end =
        [ints("kernel_shape", &[3; 2]), ints("strides", &[2; 2]), ints("pads", &[0, 0, 1, 1])];
    let end = Built::stem().node("MaxPool", "c", "m", &end).head("m").split("c").unwrap();
    assert_eq!(computed(&pool(3, 2, "SAME_UPPER").split("c").unwrap()), computed(&end));
    assert_eq!(
        pool(3, 2, "SAME_LOWER").refusal(),
        "node 'm-node' (MaxPool): it pads by [1, 1, 0, 0] (SAME_LOWER), not by the same on all four sides"
    );
    let stated = [("kernel_shape", [3; 2]), ("strides", [1; 2])].map(|(name, of)| ints(name, &of));
    let stated = [&stated[..], &[ints("pads", &[1; 4])]].concat();
    let stated = Built::stem().node("MaxPool", "c", "m", &stated).head("m").split("c").unwrap();
    assert_eq!(computed(&pool(3, 1, "SAME_LOWER").split("c").unwrap()), computed(&stated));
    assert!(pool(3, 1, "SAME").refusal().ends_with("auto_pad = SAME is not supported"));
    let plain = pool(2, 2, "NOTSET").split("c").unwrap();
    for how in ["VALID", "SAME_UPPER", "SAME_LOWER"] {
        assert_eq!(computed(&pool(2, 2, how).split("c").unwrap()), computed(&plain), "{how}");
    }
    let conv = |of| {
        Built::stem()
            .tensor("v", &[8, 8, 3, 3], &varied(8 * 72))
            .node("BipolarQuant", "v one", "vq", &[])
            .node("BipolarQuant", "c one", "cq", &[])
            .node("Conv", "cq vq", "d", &[of])
            .head("d")
            .split("d")
            .unwrap()
    };
    for how in ["SAME_UPPER", "SAME_LOWER"] {
        let (auto, stated) = (conv(text("auto_pad", how)), conv(ints("pads", &[1; 4])));
        assert_eq!(computed(&auto), computed(&stated), "{how}");
    }
    assert_eq!(computed(&conv(text("auto_pad", "VALID"))), computed(&conv(ints("pads", &[0; 4]))));
}

#[test]
fn ceil_mode_may_add_windows_that_reach_beyond_the_map() {
    let pool = |side| {
        let of = [ints("kernel_shape", &[side; 2]), ints("strides", &[2; 2]), int("ceil_mode", 1)];
        Built::stem().node("AveragePool", "c", "m", &of).head("m")
    };
    let side = |packed: &Packed| {
        let pool = |op: &Op| matches!(op, Op::AveragePool(AveragePool { stride: 2, .. }));
        let at = packed.model.program.ops.iter().position(pool).unwrap();
        packed.model.shapes[at].h
    };
    assert_eq!(side(&pool(2).split("c").unwrap()), 4);
    // The fourth window reaches one pixel beyond: its mean is of what the map has, as in onnxruntime.
    assert_eq!(side(&pool(3).split("c").unwrap()), 4);
    let of = [ints("kernel_shape", &[3; 2]), ints("strides", &[2; 2]), ints("pads", &[1, 1, 0, 0])];
    let of = [&of[..], &[int("ceil_mode", 1), int("count_include_pad", 1)]].concat();
    let why = Built::stem().node("AveragePool", "c", "m", &of).head("m").refusal();
    assert!(why.ends_with("not by the same on all four sides"), "{why}");
}

#[test]
fn a_constant_is_taken_per_channel_only_where_onnx_broadcasts_it_so() {
    let numbers = varied(8);
    let map = |dims: &[i64]| {
        Built::stem().tensor("k", dims, &numbers).node("Add", "c k", "s", &[]).head("s")
    };
    map(&[8, 1, 1]).split("s").unwrap();
    map(&[1, 8, 1, 1]).split("s").unwrap();
    for dims in [&[8][..], &[1, 8], &[1, 1, 8], &[1, 1, 8, 1, 1]] {
        assert_eq!(
            map(dims).refusal(),
            format!(
                "node 's-node' (Add): a constant of shape {dims:?} is not broadcast over the 8 channels of a map of shape \
                 [1, 8, 8, 8]: give it the shape [8, 1, 1]"
            )
        );
    }
    // A pooled map still has a height and width, of 1 each: [8] would run along its width.
    let pooled = Built::stem().tensor("k", &[8], &numbers);
    let pooled = pooled.node("GlobalAveragePool", "c", "p", &[]).node("Add", "p k", "e1", &[]);
    assert!(pooled.refusal().contains("of a map of shape [1, 8, 1, 1]: give it"));
    let row = |dims: &[i64]| {
        Built::stem()
            .tensor("k", dims, &numbers)
            .node("GlobalAveragePool", "c", "p", &[])
            .node("Flatten", "p", "f", &[])
            .node("Add", "f k", "s", &[])
            .linear("s")
    };
    row(&[8]).split("c").unwrap();
    row(&[1, 8]).split("c").unwrap();
    assert!(row(&[8, 1, 1]).refusal().contains("of shape [1, 8]: give it the shape [8]"));
}

#[test]
fn a_row_and_a_map_are_not_added() {
    let built =
        Built::stem().node("GlobalAveragePool", "c", "p", &[]).node("Flatten", "p", "f", &[]);
    let why = built.node("Add", "p f", "s", &[]).linear("s").refusal();
    assert!(why.ends_with("one of its maps is flattened: flatten both before it"), "{why}");
}

#[test]
fn a_scale_of_weights_is_per_output_only_in_the_shape_of_outputs_first() {
    let steps: Vec<f32> = (1..=8).map(|i| i as f32 / 64.0).collect();
    let linear = |dims: &[i64]| {
        Built::stem()
            .tensor("v", &[8, 8], &varied(64))
            .tensor("vs", dims, &steps)
            .node("Quant", "v vs zero eight", "vq", &[])
            .node("GlobalAveragePool", "c", "p", &[])
            .node("Flatten", "p", "f", &[])
            .node("Gemm", "f vq", "e1", &[int("transB", 1)])
    };
    linear(&[8, 1]).split("c").unwrap();
    // Along the last axis they are the inputs' here, and the outputs' where inputs come first.
    for dims in [&[8][..], &[1, 8]] {
        let why = linear(dims).refusal();
        assert!(
            why.ends_with("a scale for each input: quantise them with one for each output"),
            "{why}"
        );
    }
    let turned: Vec<f32> = (0..64).map(|at| varied(64)[at % 8 * 8 + at / 8]).collect();
    let inputs_first = Built::stem()
        .tensor("v", &[8, 8], &turned)
        .tensor("vs", &[1, 8], &steps)
        .node("Quant", "v vs zero eight", "vq", &[])
        .node("GlobalAveragePool", "c", "p", &[])
        .node("Flatten", "p", "f", &[])
        .node("MatMul", "f vq", "e1", &[]);
    let outputs_first = linear(&[8, 1]).split("c").unwrap();
    assert_eq!(computed(&inputs_first.split("c").unwrap()), computed(&outputs_first));
}

#[test]
fn what_is_no_valid_onnx_is_refused() {
    let refusal = |op: &str, inputs: &str, of: &[_]| {
        Built::stem()
            .tensor("k", &[100_000, 1], &vec![1.0; 100_000])
            .tensor("r", &[1, 100_000], &vec![1.0; 100_000])
            .tensor("minus", &[], &[-1.0])
            .whole("huge", &[1 << 40, 1 << 40])
            .whole("two", &[0, 0, -1, 1])
            .node(op, inputs, "d", of)
            .head("d")
            .refusal()
    };
    for (op, inputs, of, why) in [
        ("Relu", "c c", vec![], "it has 2 inputs, but 1 at most are known"),
        ("MatMul", "c c c", vec![], "it has 3 inputs, but 2 at most are known"),
        ("Concat", "c c", vec![], "along their channels"),
        ("Add", "k r", vec![], "it gives too large a constant, of shape [100000, 100000]"),
        ("Reshape", "k huge", vec![], "do not fit the shape"),
        ("Sqrt", "minus", vec![], "not a finite number"),
        ("Softmax", "c", vec![], "export the logits: Fogline takes the softmax itself"),
        ("Clip", "c one minus", vec![], "its min of 1 is above its max of -1"),
        ("Relu", "nowhere", vec![], "no node before it gives its input 'nowhere'"),
        ("Relu", "step xq", vec![], "it has 2 inputs"),
    ] {
        let says = refusal(op, inputs, &of);
        assert!(says.contains(why), "{op} {inputs}: {says}");
    }
    let real = AttributeProto { kind: 2, ..int("alpha", 2) };
    assert!(refusal("LeakyRelu", "c", &[real]).contains("'alpha' is not a real number"));
    let twice = Built::stem().node("Relu", "c", "r", &[]).node("Relu", "c", "r", &[]).head("r");
    assert!(twice.refusal().ends_with("its output 'r' is another tensor's name as well"));
    let named = Built::stem().node("Relu", "c", "one", &[]).head("c").refusal();
    assert!(named.ends_with("its output 'one' is another tensor's name as well"), "{named}");
    let row = Built::stem().node("Flatten", "c", "f", &[]).node("GlobalAveragePool", "f", "d", &[]);
    assert!(!row.head("d").refusal().is_empty());
}

#[test]
fn a_long_graph_takes_no_time_by_the_square_of_its_nodes() {
    let mut built = Built::stem();
    for at in 0..20_000 {
        let before = if at == 0 { "c".into() } else { format!("i{}", at - 1) };
        built = built.node("Identity", &before, &format!("i{at}"), &[]);
    }
    built.head("i19999").split("c").unwrap();
}

#[test]
fn a_bias_of_one_number_is_one_for_all_outputs() {
    let linear = |dims: &[i64], bias: &[f32]| {
        Built::stem()
            .tensor("g", &[5, 8], &varied(40))
            .tensor("b", dims, bias)
            .node("GlobalAveragePool", "c", "p", &[])
            .node("Flatten", "p", "f", &[])
            .node("Gemm", "f g b", "e1", &[int("transB", 1)])
    };
    let each = linear(&[5], &[0.5; 5]).split("c").unwrap();
    for dims in [&[][..], &[1], &[1, 1]] {
        assert_eq!(computed(&linear(dims, &[0.5]).split("c").unwrap()), computed(&each));
    }
    assert!(linear(&[5, 1], &[0.5; 5]).refusal().ends_with("its bias has shape [5, 1], not [5]"));
}

#[test]
fn a_convolution_that_does_not_fit_is_refused_in_its_own_name() {
    let why = Built::stem()
        .tensor("v", &[8, 8, 1, 1], &varied(64))
        .node("BipolarQuant", "v one", "vq", &[])
        .node("BipolarQuant", "c one", "cq", &[])
        .node("Conv", "cq vq", "d", &[ints("pads", &[1; 4])])
        .node("Relu", "d", "r", &[])
        .head("r")
        .refusal();
    assert!(why.starts_with("node 'd-node' (Conv): its padding is not below its kernel"), "{why}");
}

#[test]
fn a_reshape_is_a_flattening_only_if_it_gives_one_row_of_all_numbers() {
    let to = |shape: &[i64], zero| {
        let built = Built::stem().whole("to", shape).node("GlobalAveragePool", "c", "p", &[]);
        built.node("Reshape", "p to", "f", &[int("allowzero", zero)]).linear("f")
    };
    let flattened = Built::stem().head("c").split("c").unwrap();
    for shape in [[1, -1], [0, -1], [1, 8], [-1, 8]] {
        assert_eq!(computed(&to(&shape, 0).split("c").unwrap()), computed(&flattened), "{shape:?}");
    }
    to(&[1, -1], 1).split("c").unwrap();
    for (shape, zero) in [([-1, 4], 0), ([2, -1], 0), ([0, 8], 1), ([-1, 0], 0)] {
        assert!(
            to(&shape, zero)
                .refusal()
                .ends_with("only flattening to one row per sample is supported")
        );
    }
}
