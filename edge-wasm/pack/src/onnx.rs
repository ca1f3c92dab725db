//! The part of ONNX's protobuf that the packer reads. Other fields are skipped.
//!
//! Field numbers are from onnx.proto, IR version 3 and later.

use std::collections::{HashMap, HashSet};

use prost::Message;

use crate::constant::Constant;
use crate::error::PackError;

/// `onnx.ModelProto`: the file as a whole.
#[derive(Clone, PartialEq, Message)]
pub struct ModelProto {
    #[prost(message, optional, tag = "7")]
    pub graph: Option<GraphProto>,
}

/// `onnx.GraphProto`: nodes, constants, inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub struct GraphProto {
    #[prost(message, repeated, tag = "1")]
    pub node: Vec<NodeProto>,
    #[prost(message, repeated, tag = "5")]
    pub initializer: Vec<TensorProto>,
    #[prost(message, repeated, tag = "11")]
    pub input: Vec<ValueInfoProto>,
    #[prost(message, repeated, tag = "12")]
    pub output: Vec<ValueInfoProto>,
}

/// `onnx.NodeProto`: one operator, with the names of its inputs and outputs.
#[derive(Clone, PartialEq, Message)]
pub struct NodeProto {
    #[prost(string, repeated, tag = "1")]
    pub input: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub output: Vec<String>,
    #[prost(string, tag = "3")]
    pub name: String,
    #[prost(string, tag = "4")]
    pub op_type: String,
    #[prost(message, repeated, tag = "5")]
    pub attribute: Vec<AttributeProto>,
    #[prost(string, tag = "7")]
    pub domain: String,
}

/// `onnx.AttributeProto`. Only one of the value fields is set.
#[derive(Clone, PartialEq, Message)]
pub struct AttributeProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(float, tag = "2")]
    pub f: f32,
    #[prost(int64, tag = "3")]
    pub i: i64,
    #[prost(bytes = "vec", tag = "4")]
    pub s: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    pub t: Option<TensorProto>,
    #[prost(float, repeated, tag = "7")]
    pub floats: Vec<f32>,
    #[prost(int64, repeated, tag = "8")]
    pub ints: Vec<i64>,
    #[prost(int32, tag = "20")]
    pub kind: i32,
}

/// `onnx.TensorProto`. The values are in one of three fields, or in another file.
#[derive(Clone, PartialEq, Message)]
pub struct TensorProto {
    #[prost(int64, repeated, tag = "1")]
    pub dims: Vec<i64>,
    #[prost(int32, tag = "2")]
    pub data_type: i32,
    #[prost(float, repeated, tag = "4")]
    pub float_data: Vec<f32>,
    #[prost(int32, repeated, tag = "5")]
    pub int32_data: Vec<i32>,
    #[prost(int64, repeated, tag = "7")]
    pub int64_data: Vec<i64>,
    #[prost(string, tag = "8")]
    pub name: String,
    #[prost(bytes = "vec", tag = "9")]
    pub raw_data: Vec<u8>,
    #[prost(int32, tag = "14")]
    pub data_location: i32,
}

/// `onnx.ValueInfoProto`: the name and type of an input or output.
#[derive(Clone, PartialEq, Message)]
pub struct ValueInfoProto {
    #[prost(string, tag = "1")]
    pub name: String,
    #[prost(message, optional, tag = "2")]
    pub kind: Option<TypeProto>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TypeProto {
    #[prost(message, optional, tag = "1")]
    pub tensor: Option<TensorType>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorType {
    #[prost(message, optional, tag = "2")]
    pub shape: Option<TensorShape>,
}

#[derive(Clone, PartialEq, Message)]
pub struct TensorShape {
    #[prost(message, repeated, tag = "1")]
    pub dim: Vec<Dimension>,
}

#[derive(Clone, PartialEq, Message)]
pub struct Dimension {
    #[prost(int64, tag = "1")]
    pub value: i64,
}

/// Why a tensor is refused if its data are not in the model's file.
pub const ELSEWHERE: &str = "its data are in another file; save the model as one file: torch.onnx.export(…, external_data=False)";

/// The graph of a model.
///
/// # Errors
/// If the bytes are not a protobuf with a graph.
fn graph(bytes: &[u8]) -> Result<GraphProto, PackError> {
    let model = ModelProto::decode(bytes).map_err(|error| PackError::NotOnnx(error.to_string()))?;
    model.graph.ok_or_else(|| PackError::NotOnnx("it has no graph".into()))
}

/// Refuses bytes that are not ONNX, or a model with a constant in another file.
pub fn check_whole(bytes: &[u8]) -> Result<(), PackError> {
    let graph = graph(bytes)?;
    let of_nodes = graph.node.iter().flat_map(|node| &node.attribute).filter_map(|a| a.t.as_ref());
    match graph.initializer.iter().chain(of_nodes).find(|tensor| tensor.data_location != 0) {
        Some(tensor) => {
            Err(PackError::Tensor { tensor: tensor.name.clone(), why: ELSEWHERE.into() })
        }
        None => Ok(()),
    }
}

/// A graph with its constants decoded.
pub struct Graph {
    /// The nodes in order, except constants.
    pub nodes: Vec<NodeProto>,
    /// Initialisers and constant nodes, by name.
    pub constants: HashMap<String, Constant>,
    /// The name of the picture.
    pub input: String,
    /// The picture's shape; empty if the file does not state it.
    pub input_dims: Vec<i64>,
    /// The name and length of a second input, which has 1 for the sample's way and 0 elsewhere.
    pub way: Option<(String, usize)>,
    /// The names of the outputs: exits, then the split.
    pub outputs: Vec<String>,
    /// How many times nodes read each tensor, by name.
    pub readers: HashMap<String, usize>,
}

impl Graph {
    /// Parses an ONNX or QONNX file.
    pub fn read(bytes: &[u8]) -> Result<Self, PackError> {
        let graph = graph(bytes)?;
        let mut constants = HashMap::new();
        let mut refused = vec![];
        // Constants that no node reads may be of any type.
        let read: HashSet<String> =
            graph.node.iter().flat_map(|node| &node.input).cloned().collect();
        for tensor in graph.initializer.iter().filter(|tensor| read.contains(&tensor.name)) {
            match Constant::decode(tensor) {
                Ok(constant) => drop(constants.insert(tensor.name.clone(), constant)),
                Err(why) => refused.push(PackError::Tensor { tensor: tensor.name.clone(), why }),
            }
        }
        let mut nodes = vec![];
        for node in graph.node {
            if node.op_type == "Constant" {
                for output in node.output.iter().filter(|output| read.contains(*output)) {
                    match Constant::of_node(&node) {
                        Ok(constant) => drop(constants.insert(output.clone(), constant)),
                        Err(why) => refused.push(node.refused(why)),
                    }
                }
            } else {
                nodes.push(node);
            }
        }
        if let Some(error) = PackError::all(refused) {
            return Err(error);
        }
        // Some exporters also list constants as inputs.
        let given: HashSet<_> = graph.initializer.iter().map(|tensor| &tensor.name).collect();
        let mut inputs = graph.input.into_iter().filter(|input| !given.contains(&input.name));
        let (Some(input), way, None) = (inputs.next(), inputs.next(), inputs.next()) else {
            return Err(PackError::Graph(
                "an edge model needs one input, the picture, or two, the picture and the way"
                    .into(),
            ));
        };
        let dims = |info: &ValueInfoProto| -> Option<Vec<i64>> {
            let shape = info.kind.as_ref()?.tensor.as_ref()?.shape.as_ref()?;
            Some(shape.dim.iter().map(|d| d.value).collect())
        };
        let way = way.map(|way| match dims(&way).as_deref() {
            Some([ways @ 2..=8]) => Ok((way.name, *ways as usize)),
            _ => Err(PackError::Graph(format!(
                "the second input must be the way, of shape [2] to [8], but '{}' is not",
                way.name
            ))),
        });
        let mut readers = HashMap::new();
        for input in nodes.iter().flat_map(|node: &NodeProto| &node.input) {
            *readers.entry(input.clone()).or_default() += 1;
        }
        Ok(Self {
            readers,
            nodes,
            constants,
            way: way.transpose()?,
            input_dims: dims(&input).unwrap_or_default(),
            input: input.name,
            outputs: graph.output.into_iter().map(|output| output.name).collect(),
        })
    }
}

impl NodeProto {
    /// The error that this node cannot be represented, for reason `why`.
    pub fn refused(&self, why: impl Into<String>) -> PackError {
        PackError::Node { node: self.called(), op_type: self.op_type.clone(), why: why.into() }
    }

    /// The node's name or, if it has none, its output's.
    pub fn called(&self) -> String {
        let name = if self.name.is_empty() { self.output.first() } else { Some(&self.name) };
        name.cloned().unwrap_or_default()
    }

    /// The attribute `name`, if the node has it.
    pub fn attribute(&self, name: &str) -> Option<&AttributeProto> {
        self.attribute.iter().find(|attribute| attribute.name == name)
    }

    /// The integer attribute `name`, or `default` if it is missing.
    pub fn int(&self, name: &str, default: i64) -> i64 {
        self.attribute(name).map_or(default, |attribute| attribute.i)
    }

    /// The float attribute `name`, or `default` if it is missing.
    pub fn float(&self, name: &str, default: f32) -> f32 {
        self.attribute(name).map_or(default, |attribute| attribute.f)
    }

    /// The text attribute `name`, or `default` if it is missing.
    pub fn text(&self, name: &str, default: &str) -> String {
        self.attribute(name)
            .map_or_else(|| default.into(), |a| String::from_utf8_lossy(&a.s).into_owned())
    }

    /// The integer list attribute `name`, or `default` if it is missing.
    pub fn ints(&self, name: &str, default: &[i64]) -> Vec<i64> {
        self.attribute(name).map_or_else(|| default.to_vec(), |attribute| attribute.ints.clone())
    }
}
