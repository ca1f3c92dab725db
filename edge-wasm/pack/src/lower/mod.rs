//! Lowering: from the graph's nodes to operations.
//!
//! Each tensor of the graph is tracked as a [`Value`]. Affine steps (batch-norms, added and multiplied
//! constants) are not computed in place but carried along in f64 until an operation needs the
//! numbers: a convolution then folds them into its scale and bias, and a sign into its thresholds.

mod affine;
mod attributes;
mod fold;
mod layers;
mod lowering;
mod quant;
mod shape;
mod value;
mod ways;

use std::collections::{HashMap, HashSet};

use fogline::manifest::Input;

use fogline_edge::ops::Clip;

pub use lowering::Lowered;
use lowering::Lowering;
use value::Value;

use crate::error::PackError;
use crate::onnx::{Graph, NodeProto};

/// Lowers a graph for pictures that are normalised as `input` states.
pub fn lower(graph: &Graph, input: &Input, share: u8) -> Result<Lowered, PackError> {
    let mut lowering = Lowering {
        graph,
        input,
        share,
        kernels: HashMap::new(),
        values: HashMap::from([(graph.input.clone(), Value::Picture)]),
        shapes: vec![],
        rows: HashSet::new(),
        folded: HashMap::new(),
        out: Lowered::default(),
    };
    let size = i64::from(input.size);
    if !matches!(graph.input_dims[..], [_, 3, h, w] if h == size && w == size) {
        return Err(PackError::Graph(format!(
            "the input '{}' has shape {:?}, but the manifest needs [1, 3, {size}, {size}]",
            graph.input, graph.input_dims
        )));
    }
    for node in &graph.nodes {
        let named = |why: String| node.refused(why);
        attributes::check(node).map_err(named)?;
        if let Some(constant) = lowering.fold(node).map_err(named)? {
            lowering.folded.extend(node.output.first().map(|name| (name.clone(), constant)));
            continue;
        }
        let value = lowering.node(node).map_err(named)?;
        value.is_finite().map_err(named)?;
        if let Some(output) = node.output.first() {
            if lowering.gives_rows(node) {
                lowering.rows.insert(output.clone());
            }
            // Compute a value that several nodes read once, here, and not for each of them.
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

    /// Lowers one node by its operator.
    fn node(&mut self, node: &NodeProto) -> Result<Value, String> {
        match node.op_type.as_str() {
            "BipolarQuant" => self.bipolar_quant(node),
            "Quant" | "IntQuant" => self.quant(node),
            "Conv" => self.conv(node),
            "Gemm" | "MatMul" => self.dense(node),
            "BatchNormalization" => self.batch_norm(node),
            "Add" | "Sub" | "Mul" | "Div" => self.arithmetic(node),
            "PRelu" | "Relu" | "LeakyRelu" => self.relu(node),
            "AveragePool" | "MaxPool" => self.pool(node),
            "GlobalAveragePool" | "ReduceMean" => self.global_pool(node),
            "Clip" => {
                // Inputs, or attributes before opset 11. Either bound may be missing.
                let low = self.number(node, 1, "min", Some(node.float("min", f32::MIN)))?;
                let high = self.number(node, 2, "max", Some(node.float("max", f32::MAX)))?;
                let x = self.real(node, 0)?;
                self.push_real(Clip { x, low, high })
            }
            "Concat" => self.concat(node),
            "Gather" => self.way(node),
            "Flatten" | "Reshape" => self.flatten(node),
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
            "Identity" | "Dropout" => self.value(node, 0),
            _ => Err("the edge does not support this operator".into()),
        }
    }
}
