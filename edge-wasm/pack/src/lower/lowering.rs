//! The state of lowering a graph, and access to the inputs of its nodes.

use std::collections::{HashMap, HashSet};

use fogline::manifest::Input;
use fogline_edge::ops::{self, Conv, Op};
use fogline_edge::tensor::{Blob, Shape};

use super::value::{Base, Carried, Value};
use crate::onnx::{Constant, Graph, NodeProto};

/// The resulting operations, their data, and which of them are outputs.
#[derive(Default)]
pub struct Lowered {
    /// The operations in the graph's order.
    pub ops: Vec<Op>,
    /// The tensors that they refer to, each aligned to 64 bytes.
    pub data: Vec<u8>,
    /// The indices of the operations that give the exits' logits.
    pub exits: Vec<usize>,
    /// The index of the operation that gives the split map.
    pub split: usize,
    /// The value of one level of the split map.
    pub split_scale: f32,
}

/// A graph that is being lowered to operations.
pub struct Lowering<'a> {
    /// The QONNX graph, with its constants.
    pub graph: &'a Graph,
    /// The size and normalisation of pictures.
    pub input: &'a Input,
    /// If above 1, how many 1-bit weights share each stored sign.
    pub share: u8,
    /// Tensors that are stored once for several convolutions.
    pub kernels: HashMap<String, Blob>,
    /// The tensors that nodes have given so far, by name.
    pub values: HashMap<String, Value>,
    /// The shape of each operation's result.
    pub shapes: Vec<Shape>,
    /// The names of the tensors that have the shape (1, C) in ONNX, and not (1, C, H, W).
    pub rows: HashSet<String>,
    /// The constants that nodes have given so far, by name.
    pub folded: HashMap<String, Constant>,
    /// The operations and data so far.
    pub out: Lowered,
}

impl Lowering<'_> {
    /// Input `index` of a node, which an earlier node must have computed.
    ///
    /// # Errors
    /// If the input is missing or constant.
    pub fn value(&self, node: &NodeProto, index: usize) -> Result<Value, String> {
        let name = node.input.get(index).ok_or_else(|| format!("input {index} is missing"))?;
        self.values
            .get(name)
            .cloned()
            .ok_or_else(|| format!("input '{name}' is not a computed tensor"))
    }

    /// Input `index` of a node, which must be constant.
    ///
    /// # Errors
    /// If the input is missing or computed.
    pub fn constant(&self, node: &NodeProto, index: usize) -> Result<&Constant, String> {
        let name = node.input.get(index).ok_or_else(|| format!("input {index} is missing"))?;
        let constant = self.graph.constants.get(name).or_else(|| self.folded.get(name));
        constant.ok_or_else(|| format!("input '{name}' is not a constant"))
    }

    /// A constant input that may be missing.
    pub fn optional(&self, node: &NodeProto, index: usize) -> Result<Option<&Constant>, String> {
        let named = node.input.get(index).filter(|name| !name.is_empty());
        named.map(|_| self.constant(node, index)).transpose()
    }

    /// A constant input of one number, called `what` in errors; `default`, if there is one, stands in for a missing input.
    pub fn number(
        &self,
        node: &NodeProto,
        index: usize,
        what: &str,
        default: Option<f32>,
    ) -> Result<f32, String> {
        let constant = match default {
            Some(default) => match self.optional(node, index)? {
                Some(constant) => constant,
                None => return Ok(default),
            },
            None => self.constant(node, index)?,
        };
        match constant.values[..] {
            [value] => Ok(value),
            _ => Err(format!("its {what} is not one number")),
        }
    }

    /// Input `index` of a node as real numbers that may be carried on.
    ///
    /// # Errors
    /// If the input is the picture, quantised, or not computed.
    pub fn affine(&self, node: &NodeProto, index: usize) -> Result<Carried, String> {
        match self.value(node, index)? {
            Value::Real(affine) => Ok(affine),
            Value::Picture => Err("the picture must pass a Quant node first".into()),
            Value::Flat(_) => {
                Err("its input is flattened: only a linear layer can read it, so put it before the flattening".into())
            }
            Value::Weights(_) | Value::Transposed(_) => Err("its input is quantised constants, not a map".into()),
            _ => Err("it needs a map of real numbers, not a quantised one".into()),
        }
    }

    /// Input `index` of a node as the index of an operation that computes its real numbers.
    pub fn real(&mut self, node: &NodeProto, index: usize) -> Result<usize, String> {
        let affine = self.affine(node, index)?;
        self.settle(affine)
    }

    /// Whether input `index` of a node has the shape (1, C) in ONNX.
    pub fn is_row(&self, node: &NodeProto, index: usize) -> bool {
        node.input.get(index).is_some_and(|name| self.rows.contains(name))
    }

    /// Whether a node's result has the shape (1, C) in ONNX.
    pub fn gives_rows(&self, node: &NodeProto) -> bool {
        match node.op_type.as_str() {
            "Gemm" | "MatMul" | "Flatten" | "Reshape" => true,
            "ReduceMean" => node.int("keepdims", 1) == 0,
            _ => (0..node.input.len()).any(|index| self.is_row(node, index)),
        }
    }

    /// Adds a tensor to the data and returns its place.
    pub fn blob<T: bytemuck::Pod>(&mut self, values: &[T]) -> Blob {
        let at = self.out.data.len().next_multiple_of(64);
        self.out.data.resize(at, 0);
        self.out.data.extend(bytemuck::cast_slice::<T, u8>(values));
        Blob { at: at as u32, len: (self.out.data.len() - at) as u32 }
    }

    /// Adds a tensor of f32 to the data and returns its place.
    pub fn floats(&mut self, values: &[f64]) -> Blob {
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        self.blob(&values)
    }

    /// Adds an operation and returns its index.
    ///
    /// # Errors
    /// If the operation does not fit its inputs: the reason, for the error on the node.
    pub fn push(&mut self, op: impl Into<Op>) -> Result<usize, String> {
        let op = op.into();
        self.shapes.push(op.shape(&self.shapes, self.out.data.len())?);
        self.out.ops.push(op);
        Ok(self.out.ops.len() - 1)
    }

    /// Adds an operation that gives real numbers and returns its result.
    pub fn push_real(&mut self, op: impl Into<Op>) -> Result<Value, String> {
        let op = self.push(op)?;
        Ok(Value::Real(self.identity(op)))
    }

    /// The result of operation `op` with a scale of 1 and a bias of 0.
    pub fn identity(&self, op: usize) -> Carried {
        let shape = self.shapes[op];
        Carried { base: Base::Op(op), shape, scale: vec![1.0; shape.c], bias: vec![0.0; shape.c] }
    }

    /// Adds the operation that computes what was carried along.
    pub fn settle(&mut self, affine: Carried) -> Result<usize, String> {
        let Carried { base, scale, bias, .. } = affine;
        match base {
            Base::Op(x) if scale.iter().all(|&s| s == 1.0) && bias.iter().all(|&b| b == 0.0) => {
                Ok(x)
            }
            Base::Op(x) => {
                let (scale, bias) = (self.floats(&scale), self.floats(&bias));
                self.push(ops::Affine { x, scale, bias })
            }
            Base::Sums { x, filter } => {
                let (scale, bias) = (self.floats(&scale), self.floats(&bias));
                self.push(Conv { x, filter, scale, bias })
            }
        }
    }
}
