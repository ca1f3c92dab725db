//! The state of lowering a graph, and access to the inputs of its nodes.

use std::collections::{HashMap, HashSet};

use fogline::manifest::Input;
use fogline_edge::ops::{self, Conv, Dequantise, Op};
use fogline_edge::tensor::{Blob, Shape};

use super::value::{Base, Carried, Value};
use crate::constant::Constant;
use crate::onnx::{Graph, NodeProto};

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
    /// What was carried into each quantiser, by its operation.
    pub before: HashMap<usize, Carried>,
    /// The operation that gives the picture's bytes, if a layer reads them.
    pub bytes: Option<usize>,
    /// The operation that gives a quantised map's real numbers, by the map's operation.
    pub dequantised: HashMap<usize, usize>,
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
        self.values.get(name).cloned().ok_or_else(|| match self.named_constant(name) {
            Some(_) => format!("input '{name}' is a constant, where a map is needed"),
            None => format!("no node before it gives its input '{name}'"),
        })
    }

    /// Input `index` of a node, which must be constant.
    ///
    /// # Errors
    /// If the input is missing or computed.
    pub fn constant(&self, node: &NodeProto, index: usize) -> Result<&Constant, String> {
        let name = node.input.get(index).ok_or_else(|| format!("input {index} is missing"))?;
        self.named_constant(name).ok_or_else(|| format!("input '{name}' is not a constant"))
    }

    /// The constant `name`, given by the graph or by a node.
    pub fn named_constant(&self, name: &str) -> Option<&Constant> {
        self.graph.constants.get(name).or_else(|| self.folded.get(name))
    }

    /// A constant input that may be missing.
    pub fn optional(&self, node: &NodeProto, index: usize) -> Result<Option<&Constant>, String> {
        let named = node.input.get(index).filter(|name| !name.is_empty());
        named.map(|_| self.constant(node, index)).transpose()
    }

    /// The axes that a node names by input `index` in newer opsets and by its attribute in older ones.
    pub fn axes(&self, node: &NodeProto, index: usize) -> Result<Vec<i64>, String> {
        let given = self.optional(node, index)?;
        let list = |axes: &Constant| axes.values.iter().map(|&axis| axis as i64).collect();
        Ok(given.map_or_else(|| node.ints("axes", &[]), list))
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

    /// Input `index` of a node as real numbers that may be carried on: those of a quantised map are its levels, with its
    /// scale.
    ///
    /// # Errors
    /// If the input is no map, or not computed.
    pub fn affine(&mut self, node: &NodeProto, index: usize) -> Result<Carried, String> {
        match self.value(node, index)? {
            Value::Real(affine) => Ok(affine),
            Value::Quantised { op, scale } => self.dequantise(op, &scale),
            Value::Joined(parts) => {
                let joined = self.joined(&parts)?;
                Ok(self.identity(joined))
            }
            Value::Flat(_) => {
                Err("its input is flattened, so that its channels are not known: put it before the flattening".into())
            }
            Value::Weights(_) | Value::Transposed(_) => Err("its input is quantised constants, not a map".into()),
            Value::Integers(..) => Err("its input is integers: put a DequantizeLinear before it".into()),
            Value::Way(_) | Value::Ways(_) => Err("it cannot read ways before they are added up".into()),
        }
    }

    /// The real numbers of a quantised map.
    pub fn dequantise(&mut self, x: usize, scale: &[f32]) -> Result<Carried, String> {
        let op = match self.dequantised.get(&x) {
            Some(&op) => op,
            None => self.push(Dequantise { x })?,
        };
        self.dequantised.insert(x, op);
        let scale = scale.iter().map(|&scale| f64::from(scale)).collect();
        Ok(Carried { scale, ..self.identity(op) })
    }

    /// The shape of a tensor's map.
    pub fn shape_of(&self, value: &Value) -> Option<Shape> {
        match value {
            Value::Real(map) | Value::Integers(map, _) => Some(map.shape),
            Value::Quantised { op, .. } => Some(self.shapes[*op]),
            Value::Joined(parts) => {
                let first = self.shapes[parts[0].0];
                let c = parts.iter().map(|(_, scale)| scale.len()).sum();
                Some(Shape { c, ..first })
            }
            Value::Flat(map) => self.shape_of(map),
            _ => None,
        }
    }

    /// Whether a node reads tensor `name`, or it is an output of the graph.
    pub fn is_read(&self, name: &String) -> bool {
        self.graph.readers.contains_key(name) || self.graph.outputs.contains(name)
    }

    /// Whether only this one node reads its input `index`, and no output of the graph is it.
    pub fn reads_alone(&self, node: &NodeProto, index: usize) -> bool {
        let name = &node.input[index];
        self.graph.readers.get(name) == Some(&1) && !self.graph.outputs.contains(name)
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
            "Gemm" | "MatMul" | "Flatten" | "Squeeze" => true,
            "Reshape" => self.constant(node, 1).is_ok_and(|shape| shape.values.len() == 2),
            "Unsqueeze" => false,
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
        Carried::of(Base::Op(op), self.shapes[op])
    }

    /// Adds the operation that computes what was carried along.
    pub fn settle(&mut self, affine: Carried) -> Result<usize, String> {
        let as_it_is = affine.is_identity();
        let Carried { base, scale, bias, .. } = affine;
        match base {
            Base::Picture => Err("the picture must pass a quantiser first".into()),
            Base::Op(x) if as_it_is => Ok(x),
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

/// Axes of a tensor of so many, each counted from the first.
pub fn from_first(axes: &[i64], rank: usize) -> Vec<i64> {
    axes.iter().map(|&axis| if axis < 0 { axis + rank as i64 } else { axis }).collect()
}
