//! Why an edge model cannot be packed.

use core::fmt;

use fogline_edge::model::FogError;

/// Why an edge model cannot be packed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PackError {
    /// Not an ONNX file.
    NotOnnx(String),
    /// A constant tensor cannot be read.
    Tensor {
        /// Its name.
        tensor: String,
        /// Why.
        why: String,
    },
    /// A node cannot be represented.
    Node {
        /// Its name, or that of its output.
        node: String,
        /// Its operator.
        op_type: String,
        /// Why.
        why: String,
    },
    /// The graph as a whole is no edge model.
    Graph(String),
    /// The packed model does not hold together.
    Fog(FogError),
}

impl PackError {
    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotOnnx(_) => "not_onnx",
            Self::Tensor { .. } => "unsupported_tensor",
            Self::Node { .. } => "unsupported_node",
            Self::Graph(_) => "unsupported_graph",
            Self::Fog(error) => error.word(),
        }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnnx(why) => write!(f, "this is not an ONNX file: {why}"),
            Self::Tensor { tensor, why } => write!(f, "tensor '{tensor}': {why}"),
            Self::Node { node, op_type, why } => write!(f, "node '{node}' ({op_type}): {why}"),
            Self::Graph(why) => f.write_str(why),
            Self::Fog(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PackError {}
