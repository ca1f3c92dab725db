//! The part of ONNX's protobuf that the packer reads. Other fields are skipped.
//!
//! Field numbers are from onnx.proto, IR version 3 and later.

use std::collections::{HashMap, HashSet};

use prost::Message;

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

/// `onnx.TensorProto.DataType` of f32, i32, i64 and bool.
const FLOAT: i32 = 1;
const INT32: i32 = 6;
const INT64: i32 = 7;
const BOOL: i32 = 9;

/// Why a tensor is refused if its data are not in the model's file.
const ELSEWHERE: &str = "its data are in another file; save the model as one file: torch.onnx.export(…, external_data=False)";

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

/// A constant tensor, converted from any element type that is supported.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// The shape.
    pub dims: Vec<usize>,
    /// The values in row-major order.
    pub values: Vec<f32>,
}

impl Constant {
    /// The value of a `Constant` node: a tensor, one number, or a list of numbers.
    ///
    /// # Errors
    /// If it has no such value, or its tensor cannot be decoded.
    fn of_node(node: &NodeProto) -> Result<Self, String> {
        let [value] = &node.attribute[..] else { return Err("it needs one value".into()) };
        let list = |values: Vec<f32>| Self { dims: vec![values.len()], values };
        let constant = match (value.name.as_str(), &value.t) {
            ("value", Some(tensor)) => Self::new(tensor)?,
            ("value_float", _) => Self { dims: vec![], values: vec![value.f] },
            ("value_int", _) => Self { dims: vec![], values: vec![value.i as f32] },
            ("value_floats", _) => list(value.floats.clone()),
            ("value_ints", _) => list(value.ints.iter().map(|&v| v as f32).collect()),
            (name, _) => return Err(format!("the attribute '{name}' is not supported")),
        };
        constant.finite()
    }

    /// Decodes a tensor.
    ///
    /// # Errors
    /// If its data are in another file, of another element type, or do not fit its shape.
    fn new(tensor: &TensorProto) -> Result<Self, String> {
        if tensor.data_location != 0 {
            return Err(ELSEWHERE.into());
        }
        let raw = &tensor.raw_data;
        let values: Vec<f32> = match tensor.data_type {
            FLOAT if raw.is_empty() => tensor.float_data.clone(),
            FLOAT => raw
                .chunks_exact(4)
                .map(|b| f32::from_le_bytes(b.try_into().expect("four")))
                .collect(),
            INT32 | BOOL if raw.is_empty() => tensor.int32_data.iter().map(|&v| v as f32).collect(),
            INT32 => raw
                .chunks_exact(4)
                .map(|b| i32::from_le_bytes(b.try_into().expect("four")) as f32)
                .collect(),
            BOOL => raw.iter().map(|&b| f32::from(b)).collect(),
            INT64 if raw.is_empty() => tensor.int64_data.iter().map(|&v| v as f32).collect(),
            INT64 => raw
                .chunks_exact(8)
                .map(|b| i64::from_le_bytes(b.try_into().expect("eight")) as f32)
                .collect(),
            other => {
                return Err(format!("its element type {other} is not float, int32, int64 or bool"));
            }
        };
        let dims: Option<Vec<usize>> =
            tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.ok_or("it has a negative dimension")?;
        let count = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        if count != Some(values.len()) {
            return Err(format!(
                "it has {} values, which do not fit its shape {dims:?}",
                values.len()
            ));
        }
        Self { dims, values }.finite()
    }

    /// The same, if all values are finite.
    fn finite(self) -> Result<Self, String> {
        if self.values.iter().all(|value| value.is_finite()) {
            Ok(self)
        } else {
            Err("it has a value that is not a finite number".into())
        }
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
}

impl Graph {
    /// Parses an ONNX or QONNX file.
    pub fn read(bytes: &[u8]) -> Result<Self, PackError> {
        let graph = graph(bytes)?;
        let mut constants = HashMap::new();
        // Constants that no node reads may be of any type.
        let read: HashSet<String> =
            graph.node.iter().flat_map(|node| &node.input).cloned().collect();
        for tensor in graph.initializer.iter().filter(|tensor| read.contains(&tensor.name)) {
            let constant = Constant::new(tensor)
                .map_err(|why| PackError::Tensor { tensor: tensor.name.clone(), why })?;
            constants.insert(tensor.name.clone(), constant);
        }
        let mut nodes = vec![];
        for node in graph.node {
            if node.op_type == "Constant" {
                for output in node.output.iter().filter(|output| read.contains(*output)) {
                    let constant = Constant::of_node(&node).map_err(|why| node.refused(why))?;
                    constants.insert(output.clone(), constant);
                }
            } else {
                nodes.push(node);
            }
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
        Ok(Self {
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
        let name = if self.name.is_empty() {
            self.output.first().cloned()
        } else {
            Some(self.name.clone())
        };
        PackError::Node {
            node: name.unwrap_or_default(),
            op_type: self.op_type.clone(),
            why: why.into(),
        }
    }

    fn attribute(&self, name: &str) -> Option<&AttributeProto> {
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
