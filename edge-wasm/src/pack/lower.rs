//! From the graph's nodes to operations.
//!
//! Every tensor of the graph is followed as a [`Value`]. Affine steps (batch-norm, constant
//! additions and factors) are not computed where they stand but carried along in f64, until an
//! operation needs the numbers: a convolution then takes them into its scale and bias, a sign
//! into its thresholds.

mod affine;
mod layers;
mod maps;
mod quant;
mod value;
mod ways;

use std::collections::HashMap;

use fogline::manifest::Input;

use super::PackError;
use super::onnx::{Constant, Graph, NodeProto};
use value::{Affine, Base, Value};

use crate::ops::{self, Clip, Conv, Op};
use crate::tensor::{Blob, Shape};

/// Operations, their data, and which of them are outputs.
#[derive(Default)]
pub struct Lowered {
    pub ops: Vec<Op>,
    pub data: Vec<u8>,
    pub exits: Vec<usize>,
    pub split: usize,
    pub split_scale: f32,
}

struct Lowering<'a> {
    graph: &'a Graph,
    input: &'a Input,
    /// How many 1-bit weights share each stored sign, where they do.
    share: u8,
    /// Tensors that are stored for several convolutions.
    kernels: HashMap<String, Blob>,
    values: HashMap<String, Value>,
    shapes: Vec<Shape>,
    out: Lowered,
}

pub fn lower(graph: &Graph, input: &Input, share: u8) -> Result<Lowered, PackError> {
    let mut lowering = Lowering {
        graph,
        input,
        share,
        kernels: HashMap::new(),
        values: HashMap::from([(graph.input.clone(), Value::Picture)]),
        shapes: vec![],
        out: Lowered::default(),
    };
    let size = i64::from(input.size);
    if !matches!(graph.input_dims[..], [_, 3, h, w] if h == size && w == size) {
        return Err(PackError::Graph(format!(
            "the input '{}' has shape {:?}, where the manifest calls for [1, 3, {size}, {size}]",
            graph.input, graph.input_dims
        )));
    }
    for node in &graph.nodes {
        let named = |why| PackError::node(node, why);
        let value = lowering.node(node).map_err(named)?;
        value.is_finite().map_err(named)?;
        if let Some(output) = node.output.first() {
            // What several nodes read is computed once, here, not by each of them.
            let readers =
                graph.nodes.iter().flat_map(|n| &n.input).filter(|name| *name == output).count();
            let value = match value {
                Value::Real(affine) if readers > 1 => {
                    let op = lowering.settle(affine).map_err(named)?;
                    Value::Real(lowering.identity(op))
                }
                value => value,
            };
            lowering.values.insert(output.clone(), value);
        }
    }
    lowering.outputs().map_err(PackError::Graph)?;
    Ok(lowering.out)
}

impl Lowering<'_> {
    fn outputs(&mut self) -> Result<(), String> {
        let (split, exits) = match self.graph.outputs.split_last() {
            Some((split, exits)) if !exits.is_empty() => (split, exits),
            _ => return Err("an edge model has at least two outputs: exits, then the split".into()),
        };
        for name in exits {
            let value = self.values.get(name).cloned();
            let exit = match value {
                Some(Value::Real(affine)) if (affine.shape.h, affine.shape.w) == (1, 1) => {
                    self.settle(affine)?
                }
                _ => return Err(format!("output '{name}' is not the logits of an exit")),
            };
            self.out.exits.push(exit);
        }
        match self.values.get(split) {
            Some(Value::Quantised { op, scale }) => {
                (self.out.split, self.out.split_scale) = (*op, *scale);
                Ok(())
            }
            _ => Err(format!(
                "the last output '{split}' is not quantised: the split must end in BipolarQuant or Quant"
            )),
        }
    }

    fn node(&mut self, node: &NodeProto) -> Result<Value, String> {
        match node.op_type.as_str() {
            "BipolarQuant" => self.bipolar_quant(node),
            "Quant" | "IntQuant" => self.quant(node),
            "Conv" => self.conv(node),
            "Gemm" | "MatMul" => self.dense(node),
            "BatchNormalization" => self.batch_norm(node),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node),
            "PRelu" | "Relu" | "LeakyRelu" => self.relu(node),
            "AveragePool" | "MaxPool" | "GlobalAveragePool" => self.pool(node),
            "Clip" => {
                // Inputs, or attributes as before opset 11; either side may be open.
                let low = self.number(node, 1, "min", Some(node.float("min", f32::MIN)))?;
                let high = self.number(node, 2, "max", Some(node.float("max", f32::MAX)))?;
                let x = self.real(node, 0)?;
                self.push_real(Clip { x, low, high })
            }
            "Concat" => self.concat(node),
            "Gather" => self.way(node),
            "Flatten" | "Reshape" => self.flatten(node),
            "Identity" | "Dropout" => self.value(node, 0),
            _ => Err("the edge has no such operation".into()),
        }
    }

    fn value(&self, node: &NodeProto, index: usize) -> Result<Value, String> {
        let name = node.input.get(index).ok_or_else(|| format!("input {index} is missing"))?;
        self.values
            .get(name)
            .cloned()
            .ok_or_else(|| format!("input '{name}' is not a computed tensor"))
    }

    fn constant(&self, node: &NodeProto, index: usize) -> Result<&Constant, String> {
        let name = node.input.get(index).ok_or_else(|| format!("input {index} is missing"))?;
        self.graph.constants.get(name).ok_or_else(|| format!("input '{name}' is not a constant"))
    }

    /// A constant that may be left out.
    fn optional(&self, node: &NodeProto, index: usize) -> Result<Option<&Constant>, String> {
        let named = node.input.get(index).filter(|name| !name.is_empty());
        named.map(|_| self.constant(node, index)).transpose()
    }

    /// A constant of one number, its `what`; `default` where it may be left out, and is.
    fn number(
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

    fn affine(&self, node: &NodeProto, index: usize) -> Result<Affine, String> {
        match self.value(node, index)? {
            Value::Real(affine) => Ok(affine),
            Value::Picture => Err("the picture must pass a Quant node first".into()),
            _ => Err("it needs a real map, not a quantised one".into()),
        }
    }

    fn real(&mut self, node: &NodeProto, index: usize) -> Result<usize, String> {
        let affine = self.affine(node, index)?;
        self.settle(affine)
    }

    fn blob<T: bytemuck::Pod>(&mut self, values: &[T]) -> Blob {
        let at = self.out.data.len().next_multiple_of(64);
        self.out.data.resize(at, 0);
        self.out.data.extend(bytemuck::cast_slice::<T, u8>(values));
        Blob { at: at as u32, len: (self.out.data.len() - at) as u32 }
    }

    fn floats(&mut self, values: &[f64]) -> Blob {
        let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
        self.blob(&values)
    }

    fn push(&mut self, op: impl Into<Op>) -> Result<usize, String> {
        let op = op.into();
        self.shapes.push(op.shape(&self.shapes, self.out.data.len())?);
        self.out.ops.push(op);
        Ok(self.out.ops.len() - 1)
    }

    fn push_real(&mut self, op: impl Into<Op>) -> Result<Value, String> {
        let op = self.push(op)?;
        Ok(Value::Real(self.identity(op)))
    }

    fn identity(&self, op: usize) -> Affine {
        let shape = self.shapes[op];
        Affine { base: Base::Op(op), shape, scale: vec![1.0; shape.c], bias: vec![0.0; shape.c] }
    }

    /// Computes what was carried along.
    fn settle(&mut self, affine: Affine) -> Result<usize, String> {
        let Affine { base, scale, bias, .. } = affine;
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
