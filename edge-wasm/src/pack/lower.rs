//! From the graph's nodes to operations.
//!
//! Every tensor of the graph is followed as a [`Value`]. Affine steps (batch-norm, constant
//! additions and factors) are not computed where they stand but carried along in f64, until an
//! operation needs the numbers: a convolution then takes them into its scale and bias, a sign
//! into its thresholds.

mod layers;
mod quant;
mod ways;

use std::collections::{BTreeMap, HashMap};

use fogline::manifest::Input;

use super::PackError;
use super::onnx::{Constant, Graph, NodeProto};
use crate::conv::Conv;
use crate::op::{Blob, Op, Shape};

/// Operations, their data, and which of them are outputs.
#[derive(Default)]
pub struct Lowered {
    pub ops: Vec<Op>,
    pub data: Vec<u8>,
    pub exits: Vec<usize>,
    pub split: usize,
    pub split_scale: f32,
}

#[derive(Clone)]
enum Value {
    Picture,
    Real(Affine),
    /// Signs or levels that an operation gives, each worth `scale`.
    Quantised {
        op: usize,
        scale: f32,
    },
    /// A real map whose next reader takes it as one row.
    Flat(usize),
    Weights(Weights),
    /// 1 for the samples that take this way, else 0.
    Way(usize),
    /// The maps of some of the ways, by their index, each times its [`Value::Way`].
    Ways(BTreeMap<usize, usize>),
}

/// `base * scale + bias` a channel, not computed yet.
#[derive(Clone)]
struct Affine {
    base: Base,
    shape: Shape,
    scale: Vec<f64>,
    bias: Vec<f64>,
}

#[derive(Clone)]
enum Base {
    Op(usize),
    /// The whole-number sums of a convolution.
    Sums {
        x: usize,
        conv: Conv,
    },
}

/// Quantised weights: levels (signs are levels of 1 bit) and what one is worth, an output channel.
#[derive(Clone)]
struct Weights {
    dims: Vec<usize>,
    levels: Vec<i8>,
    bits: u8,
    scale: Vec<f32>,
    /// The tensor and the bits of the levels that these weights are the highest bits of; `levels` are those.
    nested: Option<(String, u8)>,
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

impl Value {
    /// Refuses factors and terms that f32 has no number for. Constants are finite each, what is made of them need
    /// not be, and a threshold would hide it: that of NaN is 0.
    fn is_finite(&self) -> Result<(), String> {
        let Self::Real(Affine { scale, bias, .. }) = self else { return Ok(()) };
        for (channel, (&scale, &bias)) in scale.iter().zip(bias).enumerate() {
            if !(scale as f32).is_finite() || !(bias as f32).is_finite() {
                return Err(format!("channel {channel} becomes x * {scale} + {bias} here"));
            }
        }
        Ok(())
    }
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

    fn push(&mut self, op: Op) -> Result<usize, String> {
        self.shapes.push(op.shape(&self.shapes, self.out.data.len())?);
        self.out.ops.push(op);
        Ok(self.out.ops.len() - 1)
    }

    fn push_real(&mut self, op: Op) -> Result<Value, String> {
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
                self.push(Op::Affine { x, scale, bias })
            }
            Base::Sums { x, conv } => {
                let (scale, bias) = (self.floats(&scale), self.floats(&bias));
                self.push(Op::Conv { x, conv, scale, bias })
            }
        }
    }

    fn batch_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let mut affine = self.affine(node, 0)?;
        let epsilon = f64::from(node.float("epsilon", 1e-5));
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|index| self.constant(node, index));
        let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
        if [gamma, beta, mean, variance].iter().any(|c| c.values.len() != affine.shape.c) {
            return Err(format!("its parameters are not {} numbers each", affine.shape.c));
        }
        for c in 0..affine.shape.c {
            let of = |constant: &Constant| f64::from(constant.values[c]);
            let factor = of(gamma) / (of(variance) + epsilon).sqrt();
            if !factor.is_finite() {
                return Err(format!("the variance of channel {c} is not one"));
            }
            affine.scale[c] *= factor;
            affine.bias[c] = (affine.bias[c] - of(mean)) * factor + of(beta);
        }
        Ok(Value::Real(affine))
    }

    fn arithmetic(&mut self, node: &NodeProto) -> Result<Value, String> {
        if let Some(value) = self.ways(node)? {
            return Ok(value);
        }
        let constants = [0, 1].map(|index| self.constant(node, index).is_ok());
        let op = node.op_type.as_str();
        let (at, constant) = match (constants, op) {
            ([false, false], "Add") => {
                let (a, b) = (self.real(node, 0)?, self.real(node, 1)?);
                return self.push_real(Op::Add { a, b });
            }
            ([false, true], _) => (0, 1),
            ([true, false], "Add" | "Mul") => (1, 0),
            _ => return Err("it is supported with one constant, or as the sum of two maps".into()),
        };
        let mut affine = self.affine(node, at)?;
        let numbers = per_channel(self.constant(node, constant)?, affine.shape)?;
        for ((scale, bias), number) in affine.scale.iter_mut().zip(&mut affine.bias).zip(numbers) {
            match op {
                "Add" => *bias += number,
                "Sub" => *bias -= number,
                "Mul" => (*scale, *bias) = (*scale * number, *bias * number),
                _ => (*scale, *bias) = (*scale / number, *bias / number),
            }
        }
        Ok(Value::Real(affine))
    }

    fn relu(&mut self, node: &NodeProto) -> Result<Value, String> {
        let affine = self.affine(node, 0)?;
        let slope = match node.op_type.as_str() {
            "PRelu" => per_channel(self.constant(node, 1)?, affine.shape)?,
            "LeakyRelu" => vec![f64::from(node.float("alpha", 0.01)); affine.shape.c],
            _ => vec![0.0; affine.shape.c],
        };
        let x = self.settle(affine)?;
        let slope = self.floats(&slope);
        self.push_real(Op::Prelu { x, slope })
    }

    fn pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.real(node, 0)?;
        let shape = self.shapes[x];
        if node.op_type == "GlobalAveragePool" {
            if shape.h != shape.w {
                return Err("the map is not square".into());
            }
            return self.push_real(Op::AveragePool { x, k: shape.h as u32, stride: 1 });
        }
        let kernel = node.ints("kernel_shape", &[]);
        let strides = node.ints("strides", &[1, 1]);
        let plain = node.ints("pads", &[0; 4]).iter().all(|&p| p == 0)
            && node.ints("dilations", &[1, 1]) == [1, 1]
            && node.int("ceil_mode", 0) == 0;
        match (&kernel[..], &strides[..]) {
            (&[k, wide], &[stride, across]) if plain && k == wide && stride == across => {
                let number = |v: i64| u32::try_from(v).map_err(|_| "a negative size".to_owned());
                let (k, stride) = (number(k)?, number(stride)?);
                self.push_real(match node.op_type.as_str() {
                    "AveragePool" => Op::AveragePool { x, k, stride },
                    _ => Op::MaxPool { x, k, stride },
                })
            }
            _ => {
                Err("only square windows without pads, dilation and ceil_mode are supported".into())
            }
        }
    }

    fn concat(&mut self, node: &NodeProto) -> Result<Value, String> {
        if node.int("axis", 1) != 1 || node.input.len() < 2 {
            return Err("only maps of the same size are joined, along their channels".into());
        }
        let mut a = self.real(node, 0)?;
        for index in 1..node.input.len() {
            let b = self.real(node, index)?;
            a = self.push(Op::Concat { a, b })?;
        }
        Ok(Value::Real(self.identity(a)))
    }

    fn flatten(&mut self, node: &NodeProto) -> Result<Value, String> {
        let flat = match node.op_type.as_str() {
            "Flatten" => node.int("axis", 1) == 1,
            _ => {
                matches!(self.constant(node, 1)?.values[..], [batch, rest] if batch <= 1.0 && rest != 0.0)
            }
        };
        if flat {
            Ok(Value::Flat(self.real(node, 0)?))
        } else {
            Err("only to one row a sample".into())
        }
    }
}

/// A constant that applies to channels: one number, or one a channel.
fn per_channel(constant: &Constant, shape: Shape) -> Result<Vec<f64>, String> {
    let numbers = &constant.values;
    let along = |axis: usize| constant.dims.iter().rev().nth(axis) == Some(&shape.c);
    let one_row = (shape.h, shape.w) == (1, 1);
    match numbers.len() {
        1 => Ok(vec![f64::from(numbers[0]); shape.c]),
        n if n == shape.c && (along(2) || (one_row && along(0))) => {
            Ok(numbers.iter().map(|&v| f64::from(v)).collect())
        }
        _ => Err(format!(
            "a constant of shape {:?} does not apply to {} channels",
            constant.dims, shape.c
        )),
    }
}
