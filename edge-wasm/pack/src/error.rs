//! Why an edge model cannot be packed.

use core::fmt;

use fogline_edge::model::FogError;

/// Why an edge model cannot be packed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PackError {
    /// The bytes are not an ONNX file.
    NotOnnx(String),
    /// A constant tensor cannot be read.
    Tensor {
        /// The name of the tensor.
        tensor: String,
        /// Why it cannot be read.
        why: String,
    },
    /// A node cannot be represented on the edge.
    Node {
        /// The node's name or, if it has none, its output's.
        node: String,
        /// The node's operator.
        op_type: String,
        /// Why it cannot be represented.
        why: String,
    },
    /// Several nodes or tensors are refused, each for its own reason.
    Several(Vec<PackError>),
    /// The graph as a whole is not an edge model.
    Graph(String),
    /// The resulting packed model is invalid.
    Fog(FogError),
}

impl PackError {
    /// All of several refusals as one; `None` if there are none.
    pub(crate) fn all(mut refused: Vec<Self>) -> Option<Self> {
        match refused.len() {
            0 | 1 => refused.pop(),
            _ => Some(Self::Several(refused)),
        }
    }

    /// The stable error code, such as `unsupported_node`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotOnnx(_) => "not_onnx",
            Self::Tensor { .. } => "unsupported_tensor",
            Self::Node { .. } => "unsupported_node",
            Self::Several(all) => all.first().map_or("unsupported_graph", Self::word),
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
            Self::Several(all) => {
                write!(f, "{} refusals:", all.len())?;
                all.iter().try_for_each(|error| write!(f, "\n  {error}"))
            }
            Self::Graph(why) => f.write_str(why),
            Self::Fog(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PackError {}
