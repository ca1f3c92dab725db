//! Lowering: from the graph's nodes to operations.
//!
//! Each tensor of the graph is tracked as a [`Value`]. Affine steps (batch-norms, added and multiplied
//! constants) are not computed in place but carried along in f64 until an operation needs the
//! numbers: a convolution then folds them into its scale and bias, and a sign into its thresholds.

mod activation;
mod affine;
mod attributes;
mod concat;
mod conv;
mod dense;
mod explain;
mod fold;
mod lowering;
mod qdq;
mod quant;
mod shape;
mod value;
mod ways;

use std::collections::{HashMap, HashSet};

use fogline::manifest::Input;

use fogline_edge::ops::{Clip, Op};
use fogline_edge::tensor::{Kind, Shape};

pub use explain::Explained;
pub use lowering::Lowered;
use lowering::Lowering;
use quant::Grid;
use value::{Base, Carried, Value, uniform};

use crate::constant::Element;
use crate::error::PackError;
use crate::onnx::{Graph, NodeProto};

/// Lowers a graph for pictures that are normalised as `input` states. Adds what each node becomes to `explained`, if given.
pub fn lower(
    graph: &Graph,
    input: &Input,
    share: u8,
    mut explained: Option<&mut Vec<Explained>>,
) -> Result<Lowered, PackError> {
    let mut lowering = Lowering {
        graph,
        input,
        share,
        kernels: HashMap::new(),
        values: HashMap::new(),
        shapes: vec![],
        rows: HashSet::new(),
        before: HashMap::new(),
        bytes: None,
        dequantised: HashMap::new(),
        folded: HashMap::new(),
        out: Lowered::default(),
    };
    let size = i64::from(input.size);
    let c = match graph.input_dims[..] {
        [0 | 1, c @ (1 | 3), h, w] if h == size && w == size => c as usize,
        _ => {
            return Err(PackError::Graph(format!(
                "the input '{}' has shape {:?}, but the manifest needs [1, 3, {size}, {size}], or [1, 1, {size}, {size}] for grey pictures",
                graph.input, graph.input_dims
            )));
        }
    };
    let shape = Shape { kind: Kind::Real, h: input.size as usize, w: input.size as usize, c };
    let picture = Value::Real(Carried::of(Base::Picture, shape));
    lowering.values.insert(graph.input.clone(), picture);
    let mut refused = vec![];
    // The tensors that were not computed, so that each fault is said once and not again for all that follows from it.
    let mut missing = HashSet::new();
    for node in &graph.nodes {
        let reads_missing = node.input.iter().any(|input| missing.contains(input));
        let from = lowering.out.ops.len();
        let done = if reads_missing { None } else { Some(lowering.follow(node)) };
        if let Some(explained) = &mut explained {
            explained.push(lowering.explained(node, done.as_ref(), from));
        }
        if !matches!(done, Some(Ok(()))) {
            missing.extend(node.output.iter().cloned());
        }
        refused.extend(done.and_then(Result::err).map(|why| node.refused(why)));
    }
    if let Some(error) = PackError::all(refused) {
        return Err(error);
    }
    lowering.outputs().map_err(PackError::Graph)?;
    Ok(lowering.out)
}

impl Lowering<'_> {
    /// Lowers one node, whose inputs are known.
    ///
    /// # Errors
    /// Why the edge cannot represent it.
    fn follow(&mut self, node: &NodeProto) -> Result<(), String> {
        attributes::check(node)?;
        let Some(output) = node.output.first() else { return Ok(()) };
        if self.values.contains_key(output) || self.named_constant(output).is_some() {
            return Err(format!("its output '{output}' is another tensor's name as well"));
        }
        let more = || node.output.iter().skip(1).filter(|name| !name.is_empty());
        if node.op_type == "BatchNormalization" && more().next().is_some() {
            return Err("it has outputs of training mode: export the model in eval mode".into());
        }
        if let Some(name) = more().find(|name| self.is_read(name)) {
            return Err(format!("its output '{name}' is read; only the first one is supported"));
        }
        if let Some(constant) = self.fold(node)? {
            self.folded.insert(output.clone(), constant);
            return Ok(());
        }
        let value = self.node(node)?;
        value.is_finite()?;
        if self.gives_rows(node) {
            self.rows.insert(output.clone());
        }
        // Compute a value that several nodes read once, here, and not for each of them.
        let readers = self.graph.readers.get(output).copied().unwrap_or(0);
        let value = if readers > 1 { self.computed(value)? } else { value };
        self.values.insert(output.clone(), value);
        Ok(())
    }

    /// The value with its real numbers computed. A picture has none to compute.
    fn computed(&mut self, value: Value) -> Result<Value, String> {
        Ok(match value {
            Value::Real(affine) if !matches!(affine.base, Base::Picture) => {
                let op = self.settle(affine)?;
                Value::Real(self.identity(op))
            }
            Value::Flat(map) => Value::Flat(Box::new(self.computed(*map)?)),
            value => value,
        })
    }

    /// Whether a node changes each number of its first input by itself, in the same way for all.
    fn is_elementwise(&self, node: &NodeProto) -> bool {
        match node.op_type.as_str() {
            "Relu" | "LeakyRelu" | "Clip" | "Quant" | "IntQuant" | "BipolarQuant"
            | "QuantizeLinear" | "DequantizeLinear" | "Identity" | "Dropout" | "Cast" => true,
            "Add" | "Sub" | "Mul" | "Div" | "PRelu" => [0, 1].iter().any(|&at| {
                self.constant(node, at).is_ok_and(|constant| constant.values.len() == 1)
            }),
            _ => false,
        }
    }

    /// Finds the exits and the split among the graph's outputs.
    fn outputs(&mut self) -> Result<(), String> {
        let (split, exits) = match self.graph.outputs.split_last() {
            Some((split, exits)) if !exits.is_empty() => (split, exits),
            _ => {
                return Err(
                    "an edge model needs at least two outputs: exits, then the split".into()
                );
            }
        };
        for name in exits {
            let value = self.values.get(name).cloned();
            let exit = match value {
                Some(Value::Real(affine)) if (affine.shape.h, affine.shape.w) == (1, 1) => {
                    self.settle(affine)?
                }
                Some(Value::Quantised { op, scale })
                    if (self.shapes[op].h, self.shapes[op].w) == (1, 1) =>
                {
                    let levels = self.dequantise(op, &scale)?;
                    self.settle(levels)?
                }
                _ => {
                    return Err(format!(
                        "output '{name}' is not one row of logits: end the exit in a linear layer"
                    ));
                }
            };
            self.out.exits.push(exit);
        }
        let split_value = match self.values.get(split) {
            Some(Value::Flat(map)) => Some(&**map),
            value => value,
        };
        match split_value {
            Some(Value::Quantised { op, scale }) => {
                (self.out.split, self.out.split_scale) = (*op, uniform(scale, "the split")?);
                // Levels from 0 up travel without a bit for their sign.
                let quantiser = Op::quantiser(&self.out.ops, *op);
                if let Op::Quantise(op) = &mut self.out.ops[quantiser] {
                    op.unsigned = op.low >= 0;
                }
                Ok(())
            }
            Some(Value::Joined(_)) => Err(format!(
                "the split '{split}' has levels of several scales: put a Quant node behind the Concat"
            )),
            _ => Err(format!(
                "the last output '{split}' is not quantised: the split must end in BipolarQuant or Quant"
            )),
        }
    }

    /// The bounds of a `Clip`: inputs, or attributes before opset 11. Either may be missing.
    fn bounds(&self, node: &NodeProto) -> Result<(f32, f32), String> {
        let low = self.number(node, 1, "min", Some(node.float("min", f32::MIN)))?;
        let high = self.number(node, 2, "max", Some(node.float("max", f32::MAX)))?;
        if low <= high {
            Ok((low, high))
        } else {
            Err(format!("its min of {low} is above its max of {high}"))
        }
    }

    /// Lowers one node by its operator.
    fn node(&mut self, node: &NodeProto) -> Result<Value, String> {
        let mut inputs = node.input.iter().take(2);
        let flat = inputs.find_map(|name| match self.values.get(name) {
            Some(Value::Flat(map)) => Some((name, map.clone())),
            _ => None,
        });
        // What changes each number alone may as well run before the flattening.
        if let (Some((name, map)), true) = (flat, self.is_elementwise(node)) {
            let flat = self.values.insert(name.clone(), *map);
            let value = self.node(node);
            self.values.extend(flat.map(|flat| (name.clone(), flat)));
            return value.map(|value| Value::Flat(Box::new(value)));
        }
        match node.op_type.as_str() {
            "BipolarQuant" => self.bipolar_quant(node),
            "Quant" | "IntQuant" => self.quant(node),
            "Trunc" => self.trunc(node),
            "QuantizeLinear" => self.quantize_linear(node),
            "DequantizeLinear" => self.dequantize_linear(node),
            "Conv" => self.conv(node),
            "Gemm" | "MatMul" => self.dense(node),
            "BatchNormalization" => self.batch_norm(node),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node),
            "PRelu" | "Relu" | "LeakyRelu" => self.relu(node),
            "AveragePool" | "MaxPool" => self.pool(node),
            "GlobalAveragePool" | "ReduceMean" => self.global_pool(node),
            "Clip" => {
                let (low, high) = self.bounds(node)?;
                if let Value::Integers(map, grid) = self.value(node, 0)? {
                    let (low, high) = (low.max(grid.low), high.min(grid.high));
                    if low >= high {
                        return Err(format!("it leaves no integers: from {low} to {high}"));
                    }
                    return Ok(Value::Integers(map, Grid { low, high, ..grid }));
                }
                let x = self.real(node, 0)?;
                self.push_real(Clip { x, low, high })
            }
            "Concat" => self.concat(node),
            "Gather" => self.way(node),
            "Flatten" | "Reshape" => self.flatten(node),
            "Squeeze" | "Unsqueeze" | "Slice" | "Pad" => self.unchanged(node),
            "Transpose" => match self.value(node, 0)? {
                Value::Weights(weights)
                    if weights.dims.len() == 2 && node.ints("perm", &[1, 0]) == [1, 0] =>
                {
                    Ok(Value::Transposed(weights))
                }
                _ => Err("only constants can be transposed: export maps as (N, C, H, W)".into()),
            },
            "Dropout" if self.number(node, 2, "training_mode", Some(0.0))? != 0.0 => {
                Err("it drops at random in training mode: export the model in eval mode".into())
            }
            "Cast" if Element::of(node.int("to", 1)) != Some(Element::Real) => Err(format!(
                "to = {} is not supported for maps, which are real numbers",
                node.int("to", 1)
            )),
            "Identity" | "Dropout" | "Cast" => self.value(node, 0),
            "Softmax" | "LogSoftmax" => {
                Err("export the logits: Fogline takes the softmax itself".into())
            }
            "Sqrt" | "Pow" | "Reciprocal" | "Neg" | "Abs" => {
                Err("its inputs must be constants".into())
            }
            operator if operator.starts_with("QLinear") || operator == "ConvInteger" => {
                Err("it is of onnxruntime's operator format: quantise to QuantFormat.QDQ".into())
            }
            _ => Err("the edge does not support this operator".into()),
        }
    }
}
