//! What a trial of a cloud part finds out before the part is packed or published.

use std::fs;

use fogline::manifest::{Manifest, sha256_hex};
use fogline_cloud::trial::{Trial, try_cloud};
use prost::Message;
use tract_onnx::pb::tensor_shape_proto::{Dimension, dimension};
use tract_onnx::pb::{
    AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, TensorShapeProto, TypeProto,
    ValueInfoProto, attribute_proto, tensor_proto, type_proto,
};

use crate::bucket::pair_file;

const FLOAT16: i32 = tensor_proto::DataType::Float16 as i32;
const INT64: i32 = tensor_proto::DataType::Int64 as i32;

/// Tries the tests' cloud part (Flatten, then Gemm) after `change`.
fn tried(change: impl FnOnce(&mut GraphProto)) -> Result<Trial, String> {
    let onnx = fs::read(pair_file("cloud.onnx")).unwrap();
    let mut model = ModelProto::decode(&onnx[..]).unwrap();
    change(model.graph.as_mut().unwrap());
    let onnx = model.encode_to_vec();
    let mut manifest = Manifest::parse(&fs::read(pair_file("manifest.json")).unwrap()).unwrap();
    let file = manifest.files.get_mut("cloud.onnx").unwrap();
    (file.sha256, file.bytes) = (sha256_hex(&onnx), onnx.len() as u64);
    try_cloud(manifest, &onnx).map_err(|refusal| refusal.message)
}

fn node(op_type: &str, inputs: &[&str], output: &str) -> NodeProto {
    NodeProto {
        op_type: op_type.into(),
        input: inputs.iter().map(|&name| name.into()).collect(),
        output: vec![output.into()],
        ..NodeProto::default()
    }
}

fn integer(name: &str, value: i64) -> AttributeProto {
    AttributeProto {
        name: name.into(),
        i: value,
        r#type: attribute_proto::AttributeType::Int as i32,
        ..AttributeProto::default()
    }
}

fn integers(name: &str, values: &[i64]) -> TensorProto {
    TensorProto {
        name: name.into(),
        dims: vec![values.len() as i64],
        data_type: INT64,
        int64_data: values.to_vec(),
        ..TensorProto::default()
    }
}

/// Appends a node to the graph, which gives the scores instead of what gave them before.
fn append(graph: &mut GraphProto, op_type: &str, more: &[&str]) -> usize {
    graph.node.last_mut().unwrap().output[0] = "before".into();
    graph.node.push(node(op_type, &[&["before"], more].concat(), "scores"));
    graph.node.len() - 1
}

/// What PyTorch writes about a value: its type, and its shape with a named batch.
fn described(name: &str, dims: &[i64]) -> ValueInfoProto {
    let named =
        Dimension { value: Some(dimension::Value::DimParam("s77".into())), ..Dimension::default() };
    let numbers = dims.iter().map(|&size| Dimension {
        value: Some(dimension::Value::DimValue(size)),
        ..Dimension::default()
    });
    let shape = TensorShapeProto { dim: [named].into_iter().chain(numbers).collect() };
    let tensor = type_proto::Tensor { elem_type: 1, shape: Some(shape) };
    ValueInfoProto {
        name: name.into(),
        r#type: Some(TypeProto {
            value: Some(type_proto::Value::TensorType(tensor)),
            ..TypeProto::default()
        }),
        ..ValueInfoProto::default()
    }
}

#[test]
fn a_cloud_that_works_is_counted() {
    let trial = tried(|_| ()).unwrap();
    // 8 x 4 x 4 elements to 3 classes.
    assert_eq!(trial, Trial { macs: 128 * 3, reads: 128 + 128 * 3, batch: 16 });
}

#[test]
fn a_batch_that_is_named_in_value_info_is_ignored() {
    let trial = tried(|graph| graph.value_info.push(described("flat", &[128]))).unwrap();
    assert_eq!(trial.batch, 16);
}

#[test]
fn a_batch_that_a_reshape_fixes_is_noticed() {
    let trial = tried(|graph| {
        graph.initializer.push(integers("one row", &[1, 128]));
        graph.node[0] = node("Reshape", &["map", "one row"], "flat");
    });
    assert_eq!(trial.unwrap().batch, 1);
}

#[test]
fn a_softmax_at_the_end_is_refused_and_its_logarithm_is_not() {
    let last = |name: &'static str| {
        move |graph: &mut GraphProto| {
            let at = append(graph, name, &[]);
            graph.node[at].attribute.push(integer("axis", 1));
        }
    };
    let refused = tried(last("Softmax")).unwrap_err();
    assert!(refused.contains("export it without the softmax at its end"), "{refused}");
    tried(last("LogSoftmax")).unwrap();
}

#[test]
fn half_precision_is_refused_by_name() {
    let elem_type = |info: &mut ValueInfoProto| {
        let Some(type_proto::Value::TensorType(tensor)) =
            &mut info.r#type.as_mut().unwrap().value.as_mut()
        else {
            panic!("a tensor")
        };
        tensor.elem_type = FLOAT16;
    };
    let refused = tried(|graph| elem_type(&mut graph.input[0])).unwrap_err();
    assert!(
        refused.contains("its input is F16; export the model in single precision"),
        "{refused}"
    );
    let refused = tried(|graph| {
        let at = append(graph, "Cast", &[]);
        graph.node[at].attribute.push(integer("to", FLOAT16.into()));
        elem_type(&mut graph.output[0]);
    });
    let refused = refused.unwrap_err();
    assert!(
        refused.contains("its output is F16; export the model in single precision"),
        "{refused}"
    );
}

#[test]
fn an_output_of_another_shape_is_refused_with_both_shapes() {
    let refused = tried(|graph| {
        append(graph, "Concat", &["before"]);
        graph.node[2].attribute.push(integer("axis", 1));
        graph.output[0].r#type = described("scores", &[6]).r#type;
    });
    let refused = refused.unwrap_err();
    assert!(refused.contains("has shape [1, 6] instead of [1, 3]"), "{refused}");
}

#[test]
fn a_second_input_is_refused() {
    let refused = tried(|graph| {
        graph.input.push(described("mask", &[3]));
        append(graph, "Mul", &["mask"]);
    });
    let refused = refused.unwrap_err();
    assert!(refused.contains("it has 2 inputs"), "{refused}");
}
