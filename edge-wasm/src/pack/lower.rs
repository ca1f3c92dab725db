//! From the graph's nodes to operations.
//!
//! Every tensor of the graph is followed as a [`Value`]. Affine steps (batch-norm, constant
//! additions and factors) are not computed where they stand but carried along in f64, until an
//! operation needs the numbers: a convolution then takes them into its scale and bias, a sign
//! into its thresholds.

use std::collections::HashMap;

use fogline::manifest::Input;
use fogline::packed;

use super::PackError;
use super::onnx::{Constant, Graph, NodeProto};
use crate::op::{Blob, Conv, Kind, Op, Shape};

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
}

/// Levels of a `Quant` node.
struct Grid {
    scale: Constant,
    low: f32,
    high: f32,
    bits: u8,
}

impl Grid {
    fn level(&self, value: f32, scale: f32) -> f32 {
        (value / scale).round_ties_even().clamp(self.low, self.high)
    }

    fn single_scale(&self) -> Result<f32, String> {
        match self.scale.values[..] {
            [scale] if scale > 0.0 => Ok(scale),
            _ => Err("an activation needs one positive scale for all channels".into()),
        }
    }
}

struct Lowering<'a> {
    graph: &'a Graph,
    input: &'a Input,
    values: HashMap<String, Value>,
    shapes: Vec<Shape>,
    out: Lowered,
}

pub fn lower(graph: &Graph, input: &Input) -> Result<Lowered, PackError> {
    let mut lowering = Lowering {
        graph,
        input,
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
        let value = lowering.node(node).map_err(|why| PackError::node(node, why))?;
        if let Some(output) = node.output.first() {
            // What several nodes read is computed once, here, not by each of them.
            let readers =
                graph.nodes.iter().flat_map(|n| &n.input).filter(|name| *name == output).count();
            let value = match value {
                Value::Real(affine) if readers > 1 => {
                    let op = lowering.settle(affine).map_err(|why| PackError::node(node, why))?;
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
            "Concat" => self.concat(node),
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

    fn bipolar_quant(&mut self, node: &NodeProto) -> Result<Value, String> {
        let scale = self.constant(node, 1)?.clone();
        if let Ok(weights) = self.constant(node, 0) {
            let levels = weights.values.iter().map(|&w| if w >= 0.0 { 1 } else { -1 }).collect();
            let scale = per_output(&scale, &weights.dims)?;
            return Ok(Value::Weights(Weights {
                dims: weights.dims.clone(),
                levels,
                bits: 1,
                scale,
            }));
        }
        let worth = match scale.values[..] {
            [scale] if scale > 0.0 => scale,
            _ => return Err("an activation needs one positive scale for all channels".into()),
        };
        let Affine { base, shape, scale, bias } = self.affine(node, 0)?;
        let op = match base {
            Base::Sums { x, conv } => {
                let (threshold, flip): (Vec<i32>, Vec<u8>) =
                    scale.iter().zip(&bias).map(|(&s, &b)| threshold(s, b)).unzip();
                let (threshold, flip) = (self.blob(&threshold), self.blob(&flip));
                Op::ConvSign { x, conv, threshold, flip }
            }
            // x + b >= 0 exactly where x >= -b, in floating point too.
            Base::Op(x) if scale.iter().all(|&s| s == 1.0) => {
                let negated: Vec<f64> = bias.iter().map(|b| -b).collect();
                Op::Sign { x, threshold: self.floats(&negated) }
            }
            base @ Base::Op(_) => {
                let channels = scale.len();
                let x = self.settle(Affine { base, shape, scale, bias })?;
                Op::Sign { x, threshold: self.floats(&vec![0.0; channels]) }
            }
        };
        Ok(Value::Quantised { op: self.push(op)?, scale: worth })
    }

    fn grid(&self, node: &NodeProto) -> Result<Grid, String> {
        let single = |index, what: &str| match self.constant(node, index)?.values[..] {
            [value] => Ok(value),
            _ => Err(format!("its {what} is not one number")),
        };
        if self.constant(node, 2)?.values.iter().any(|&z| z != 0.0) {
            return Err("its zero point is not 0".into());
        }
        let bits = single(3, "bit width")?;
        if !(2.0..=8.0).contains(&bits) || bits.fract() != 0.0 {
            return Err(format!("{bits} bits, where 2 to 8 are known (1 bit is BipolarQuant)"));
        }
        let mode = node.text("rounding_mode", "ROUND");
        if mode != "ROUND" {
            return Err(format!("rounding mode {mode}, where ROUND is known"));
        }
        let (signed, narrow) = (node.int("signed", 1) == 1, node.int("narrow", 0) == 1);
        let (low, high) = match (signed, bits.exp2()) {
            (true, n) => (-n / 2.0, n / 2.0 - 1.0),
            (false, n) => (0.0, n - 1.0),
        };
        let low = if signed && narrow { low + 1.0 } else { low };
        let high = if !signed && narrow { high - 1.0 } else { high };
        if high > 127.0 {
            return Err("levels above 127: use a signed grid or fewer bits".into());
        }
        let bits = if signed { bits as u8 } else { bits as u8 + 1 };
        let bits = packed::WIDTHS.into_iter().find(|&width| width >= bits).unwrap_or(8);
        Ok(Grid { scale: self.constant(node, 1)?.clone(), low, high, bits })
    }

    fn quant(&mut self, node: &NodeProto) -> Result<Value, String> {
        let grid = self.grid(node)?;
        if let Ok(weights) = self.constant(node, 0) {
            let scale = per_output(&grid.scale, &weights.dims)?;
            let each = weights.values.len() / weights.dims.first().copied().unwrap_or(1).max(1);
            let level = |(i, &w): (usize, &f32)| grid.level(w, scale[i / each.max(1)]) as i8;
            let levels = weights.values.iter().enumerate().map(level).collect();
            return Ok(Value::Weights(Weights {
                dims: weights.dims.clone(),
                levels,
                bits: grid.bits,
                scale,
            }));
        }
        let scale = grid.single_scale()?;
        let op = if let Value::Picture = self.value(node, 0)? {
            if !self.out.ops.is_empty() {
                return Err("the picture is quantised twice".into());
            }
            let mut table = vec![];
            for (mean, std) in self.input.mean.iter().zip(&self.input.std) {
                table.extend((0..256).map(|byte| {
                    let value = (f64::from(byte) / 255.0 - f64::from(*mean)) / f64::from(*std);
                    grid.level(value as f32, scale) as i8
                }));
            }
            Op::Input { size: self.input.size, table: self.blob(&table) }
        } else {
            let x = self.real(node, 0)?;
            Op::Quantise { x, scale, low: grid.low as i8, high: grid.high as i8 }
        };
        Ok(Value::Quantised { op: self.push(op)?, scale })
    }

    fn weights(&self, node: &NodeProto, index: usize) -> Result<Weights, String> {
        match self.value(node, index)? {
            Value::Weights(weights) => Ok(weights),
            _ => Err("its weights are not constants".into()),
        }
    }

    fn conv(&mut self, node: &NodeProto) -> Result<Value, String> {
        let Value::Quantised { op: x, scale: worth } = self.value(node, 0)? else {
            return Err("its input is not quantised: put BipolarQuant or Quant before it".into());
        };
        let mut weights = self
            .weights(node, 1)
            .map_err(|_| "its weights are not quantised: put BipolarQuant or Quant before them")?;
        let shape = self.shapes[x];
        let [outputs, inputs, k, wide] = weights.dims[..] else {
            return Err(format!("its weights have shape {:?}, not (out, in, k, k)", weights.dims));
        };
        if k != wide || inputs != shape.c || node.int("group", 1) != 1 {
            return Err("groups and oblong kernels are not supported".into());
        }
        let padding = node.text("auto_pad", "NOTSET");
        let pads = node.ints("pads", &[0; 4]);
        let strides = node.ints("strides", &[1, 1]);
        let plain = padding == "NOTSET" && node.ints("dilations", &[1, 1]) == [1, 1];
        if !plain || pads.iter().any(|p| *p != pads[0]) || strides.iter().any(|s| *s != strides[0])
        {
            return Err("auto_pad, dilation, uneven pads and strides are not supported".into());
        }
        let signs = shape.kind == Kind::Sign;
        if signs && weights.bits != 1 {
            return Err(format!("weights of {} bits over signs are not supported", weights.bits));
        }
        if !signs && weights.bits == 1 {
            weights.bits = 2;
        }
        let stored = if signs { self.sign_words(&weights) } else { self.level_bytes(&weights)? };
        let number = |v: i64| u32::try_from(v).map_err(|_| "a negative pad or stride".to_owned());
        let conv = Conv {
            k: k as u32,
            stride: number(strides[0])?,
            pad: number(pads[0])?,
            outputs: outputs as u32,
            bits: weights.bits,
            weights: stored,
        };
        let scale: Vec<f64> =
            weights.scale.iter().map(|&s| f64::from(s) * f64::from(worth)).collect();
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(_) => self.constant(node, 2)?.values.iter().map(|&b| f64::from(b)).collect(),
            None => vec![0.0; outputs],
        };
        let shape = conv.output(shape)?;
        Ok(Value::Real(Affine { base: Base::Sums { x, conv }, shape, scale, bias }))
    }

    /// outputs, k, k, words.
    fn sign_words(&mut self, weights: &Weights) -> Blob {
        let [outputs, inputs, k] = [weights.dims[0], weights.dims[1], weights.dims[2]];
        let per_pixel = inputs.div_ceil(64);
        let mut words = vec![0_u64; outputs * k * k * per_pixel];
        for (index, _) in weights.levels.iter().enumerate().filter(|(_, level)| **level > 0) {
            let (output, input, tap) =
                (index / (inputs * k * k), index / (k * k) % inputs, index % (k * k));
            words[(output * k * k + tap) * per_pixel + input / 64] |= 1 << (input % 64);
        }
        self.blob(&words)
    }

    /// k, k, inputs, outputs.
    fn level_bytes(&mut self, weights: &Weights) -> Result<Blob, String> {
        let [outputs, inputs, k] = [weights.dims[0], weights.dims[1], weights.dims[2]];
        let mut levels = vec![0; weights.levels.len()];
        for (index, &level) in weights.levels.iter().enumerate() {
            let (output, input, tap) =
                (index / (inputs * k * k), index / (k * k) % inputs, index % (k * k));
            levels[(tap * inputs + input) * outputs + output] = level;
        }
        let bytes = packed::pack(&levels, weights.bits).map_err(|error| error.to_string())?;
        Ok(self.blob(&bytes))
    }

    fn dense(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = match self.value(node, 0)? {
            Value::Flat(x) => x,
            Value::Real(affine) if (affine.shape.h, affine.shape.w) == (1, 1) => {
                self.settle(affine)?
            }
            _ => return Err("its input is not a flattened real map".into()),
        };
        if node.float("alpha", 1.0) != 1.0
            || node.float("beta", 1.0) != 1.0
            || node.int("transA", 0) != 0
        {
            return Err("alpha, beta and transA are not supported".into());
        }
        let (dims, levels, values, scale) = if let Ok(Value::Weights(w)) = self.value(node, 1) {
            (w.dims, Some(w.levels), vec![], w.scale)
        } else {
            let constant = self.constant(node, 1)?;
            (constant.dims.clone(), None, constant.values.clone(), vec![])
        };
        let transposed = node.int("transB", 0) == 1;
        if levels.is_some() && !transposed {
            return Err(
                "quantised weights must be (outputs, inputs): export it as Gemm with transB".into(),
            );
        }
        let shape = self.shapes[x];
        let [first, second] = dims[..] else {
            return Err(format!("its weights have shape {dims:?}"));
        };
        let (outputs, inputs) = if transposed { (first, second) } else { (second, first) };
        if inputs != shape.len() {
            return Err(format!(
                "its weights take {inputs} numbers, its input has {}",
                shape.len()
            ));
        }
        // ONNX flattens C, H, W; maps lie as H, W, C here.
        let pixels = shape.h * shape.w;
        let from = |i: usize, o: usize| {
            let flat = (i % shape.c) * pixels + i / shape.c;
            if transposed { o * inputs + flat } else { flat * outputs + o }
        };
        let order = (0..inputs * outputs).map(|at| from(at / outputs, at % outputs));
        let (bits, weights, scale) = match levels {
            Some(levels) => (8, self.blob(&order.map(|i| levels[i]).collect::<Vec<i8>>()), scale),
            None => {
                (32, self.blob(&order.map(|i| values[i]).collect::<Vec<f32>>()), vec![1.0; outputs])
            }
        };
        let bias = match node.input.get(2).filter(|name| !name.is_empty()) {
            Some(_) => self.constant(node, 2)?.values.clone(),
            None => vec![0.0; outputs],
        };
        let (scale, bias) = (self.blob(&scale), self.blob(&bias));
        self.push_real(Op::Dense { x, outputs: outputs as u32, bits, weights, scale, bias })
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
            affine.scale[c] *= factor;
            affine.bias[c] = (affine.bias[c] - of(mean)) * factor + of(beta);
        }
        Ok(Value::Real(affine))
    }

    fn arithmetic(&mut self, node: &NodeProto) -> Result<Value, String> {
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

/// The whole-number threshold of `scale * sum + bias >= 0`, and whether the comparison turns round.
fn threshold(scale: f64, bias: f64) -> (i32, u8) {
    let whole = |value: f64| value.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32;
    if scale > 0.0 {
        (whole((-bias / scale).ceil()), 0)
    } else if scale < 0.0 {
        (whole((-bias / scale).floor() + 1.0), 1)
    } else {
        (if bias >= 0.0 { i32::MIN } else { i32::MAX }, 0)
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

/// A weight's scale: one number, or one an output.
fn per_output(scale: &Constant, dims: &[usize]) -> Result<Vec<f32>, String> {
    let outputs = dims.first().copied().unwrap_or(0);
    let values = match scale.values.len() {
        1 => vec![scale.values[0]; outputs],
        n if n == outputs && scale.dims.first() == Some(&n) => scale.values.clone(),
        _ => {
            return Err(format!("a scale of shape {:?} for weights of shape {dims:?}", scale.dims));
        }
    };
    if values.iter().all(|&s| s > 0.0 && s.is_finite()) {
        Ok(values)
    } else {
        Err("a scale is not positive".into())
    }
}

#[cfg(test)]
mod tests {
    use super::threshold;

    #[test]
    fn a_threshold_decides_as_the_affine_does() {
        for scale in [-2.5, -1.0, -0.25, 0.0, 0.25, 1.0, 4.0] {
            for bias in [-7.0, -0.75, 0.0, 0.75, 3.0, 5.5] {
                let (threshold, flip) = threshold(scale, bias);
                for sum in -40..40 {
                    let folded = (sum >= threshold) != (flip == 1);
                    assert_eq!(
                        folded,
                        scale * f64::from(sum) + bias >= 0.0,
                        "{scale} {bias} {sum}"
                    );
                }
            }
        }
    }
}
