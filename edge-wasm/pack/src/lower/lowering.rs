//! What has become of a graph so far, and what its nodes read of it.

use std::collections::HashMap;

use fogline::manifest::Input;
use fogline_edge::ops::{self, Conv, Op};
use fogline_edge::tensor::{Blob, Shape};

use super::value::{Base, Carried, Value};
use crate::onnx::{Constant, Graph, NodeProto};

/// Operations, their data, and which of them are outputs.
#[derive(Default)]
pub struct Lowered {
    pub ops: Vec<Op>,
    pub data: Vec<u8>,
    pub exits: Vec<usize>,
    pub split: usize,
    pub split_scale: f32,
}

/// A graph on its way to operations.
pub struct Lowering<'a> {
    pub graph: &'a Graph,
    pub input: &'a Input,
    /// How many 1-bit weights share each stored sign, where they do.
    pub share: u8,
    /// Tensors that are stored for several convolutions.
    pub kernels: HashMap<String, Blob>,
    pub values: HashMap<String, Value>,
    pub shapes: Vec<Shape>,
    pub out: Lowered,
}

impl Lowering<'_> {
    pub fn value(&self, node: &NodeProto, index: usize) -> Result<Value, String> {
        let name = node.input.get(index).ok_or_else(|| format!("input {index} is missing"))?;
        self.values
            .get(name)
            .cloned()
            .ok_or_else(|| format!("input '{name}' is not a computed tensor"))
    }

    pub fn constant(&self, node: &NodeProto, index: usize) -> Result<&Constant, String> {
        let name = node.input.get(index).ok_or_else(|| format!("input {index} is missing"))?;
        self.graph.constants.get(name).ok_or_else(|| format!("input '{name}' is not a constant"))
    }

    /// A constant that may be left out.
    pub fn optional(&self, node: &NodeProto, index: usize) -> Result<Option<&Constant>, String> {
        let named = node.input.get(index).filter(|name| !name.is_empty());
        named.map(|_| self.constant(node, index)).transpose()
    }

    /// A constant of one number, its `what`; `default` where it may be left out, and is.
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

    pub fn affine(&self, node: &NodeProto, index: usize) -> Result<Carried, String> {
        match self.value(node, index)? {
            Value::Real(affine) => Ok(affine),
            Value::Picture => Err("the picture must pass a Quant node first".into()),
            _ => Err("it needs a real map, not a quantised one".into()),
        }
    }

    pub fn real(&mut self, node: &NodeProto, index: usize) -> Result<usize, String> {
        let affine = self.affine(node, index)?;
        self.settle(affine)
    }

    pub fn blob<T: bytemuck::Pod>(&mut self, values: &[T]) -> Blob {
        let at = self.out.data.len().next_multiple_of(64);
        self.out.data.resize(at, 0);
        self.out.data.extend(bytemuck::cast_slice::<T, u8>(values));
        Blob { at: at as u32, len: (self.out.data.len() - at) as u32 }
    }

    pub fn floats(&mut self, values: &[f64]) -> Blob {
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        self.blob(&values)
    }

    pub fn push(&mut self, op: impl Into<Op>) -> Result<usize, String> {
        let op = op.into();
        self.shapes.push(op.shape(&self.shapes, self.out.data.len())?);
        self.out.ops.push(op);
        Ok(self.out.ops.len() - 1)
    }

    pub fn push_real(&mut self, op: impl Into<Op>) -> Result<Value, String> {
        let op = self.push(op)?;
        Ok(Value::Real(self.identity(op)))
    }

    pub fn identity(&self, op: usize) -> Carried {
        let shape = self.shapes[op];
        Carried { base: Base::Op(op), shape, scale: vec![1.0; shape.c], bias: vec![0.0; shape.c] }
    }

    /// Computes what was carried along.
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
