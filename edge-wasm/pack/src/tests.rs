//! The packer on graphs that are altered node by node.

mod built;
mod folded;
mod picture;
mod pooled;
mod qdq;
mod quantised;
mod refused;

use fogline::manifest::{Input, Manifest};
use prost::Message;

use crate::onnx::{AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto};
use crate::{PackError, Packed, pack};
use fogline_edge::ops::{Clip, Op};

/// Packs the small pair with its first PReLU altered by `alter`.
fn packed(alter: impl FnOnce(&mut NodeProto)) -> Result<Packed, PackError> {
    let mut model = ModelProto::decode(&include_bytes!("../../tests/tiny/edge.qonnx")[..]).unwrap();
    let graph = model.graph.as_mut().unwrap();
    for (name, value) in [("zero", 0.0), ("six", 6.0)] {
        let (name, float_data) = (name.to_owned(), vec![value]);
        graph.initializer.push(TensorProto { name, data_type: 1, float_data, ..<_>::default() });
    }
    let two = TensorProto { name: "two".into(), dims: vec![2], ..<_>::default() };
    graph.initializer.push(TensorProto { data_type: 1, float_data: vec![1.0, 2.0], ..two });
    alter(graph.node.iter_mut().find(|node| node.op_type == "PRelu").expect("it has one"));
    let manifest = include_bytes!("../../tests/tiny/manifest.json");
    let input: Input = Manifest::parse(manifest).unwrap().input;
    pack(&model.encode_to_vec(), &input, 1, None)
}

/// The bounds of the packed model's only clip.
fn bounds(packed: &Packed) -> (f32, f32) {
    let clips = packed.model.program.ops.iter().filter_map(|op| match op {
        Op::Clip(Clip { low, high, .. }) => Some((*low, *high)),
        _ => None,
    });
    let all: Vec<_> = clips.collect();
    let [bounds] = all[..] else { panic!("{} clips", all.len()) };
    bounds
}

#[test]
fn a_clip_has_its_bounds_from_inputs_or_attributes_and_either_side_may_be_open() {
    let clip = |inputs: &[&str], attributes: &[(&str, f32)]| {
        packed(|node| {
            node.op_type = "Clip".into();
            node.input.truncate(1);
            node.input.extend(inputs.iter().map(|&name| name.to_owned()));
            node.attribute = attributes
                .iter()
                .map(|&(name, f)| AttributeProto { name: name.into(), f, ..<_>::default() })
                .collect();
        })
    };
    let taken = |inputs, attributes| bounds(&clip(inputs, attributes).unwrap());
    assert_eq!(taken(&["zero", "six"], &[]), (0.0, 6.0));
    assert_eq!(taken(&["", "six"], &[]), (f32::MIN, 6.0));
    assert_eq!(taken(&["zero"], &[]), (0.0, f32::MAX));
    assert_eq!(taken(&[], &[("min", -1.0), ("max", 1.5)]), (-1.0, 1.5));
    for (inputs, why) in [
        (["six", "zero"], "its min of 6 is above its max of 0"),
        (["zero", "two"], "its max is not one number"),
        (["zero", "nowhere"], "input 'nowhere' is not a constant"),
    ] {
        let error = clip(&inputs, &[]).err().expect("it is refused");
        assert!(
            error.to_string().contains("(Clip): ") && error.to_string().ends_with(why),
            "{error}"
        );
    }
}

#[test]
fn a_cloud_with_external_data_is_refused_by_the_tensors_name() {
    let at = |data_location| TensorProto { name: "w".into(), data_location, ..Default::default() };
    let model = |graph| ModelProto { graph: Some(graph) }.encode_to_vec();
    let listed = |tensor| model(GraphProto { initializer: vec![tensor], ..Default::default() });
    let of_node = |tensor| {
        let attribute = vec![AttributeProto { t: Some(tensor), ..Default::default() }];
        let node = vec![NodeProto { attribute, ..Default::default() }];
        model(GraphProto { node, ..Default::default() })
    };
    for whole in [listed(at(0)), of_node(at(0))] {
        crate::check_whole(&whole).unwrap();
    }
    for parted in [listed(at(1)), of_node(at(1))] {
        let error = crate::check_whole(&parted).unwrap_err();
        assert_eq!(error.word(), "unsupported_tensor");
        assert!(
            error.to_string().starts_with("tensor 'w': its data are in another file"),
            "{error}"
        );
    }
    for none in [&b""[..], b"no model"] {
        assert_eq!(crate::check_whole(none).unwrap_err().word(), "not_onnx");
    }
}
