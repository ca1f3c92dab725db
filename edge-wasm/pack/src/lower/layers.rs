//! Layers with weights: convolutions and linear layers.

use fogline::packed;

use super::lowering::Lowering;
use super::shape::Windows;
use super::value::{Base, Carried, Value, Weights};
use crate::onnx::{Constant, NodeProto};
use fogline_edge::ops::{self, Conv, Dense, Filter, Op};
use fogline_edge::tensor::{Blob, Kind};

impl Lowering<'_> {
    /// Input `index` of a node as quantised weights.
    fn weights(&self, node: &NodeProto, index: usize) -> Result<Weights, String> {
        match self.value(node, index)? {
            Value::Weights(weights) => Ok(weights),
            _ => Err("its weights are not constants".into()),
        }
    }

    /// `Conv` with quantised input and weights: one group, a square kernel, equal pads and strides. The sums are carried, so
    /// that a batch-norm and a sign after it become thresholds.
    pub(super) fn conv(&mut self, node: &NodeProto) -> Result<Value, String> {
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
            return Err("groups and non-square kernels are not supported".into());
        }
        if node.ints("kernel_shape", &[k as i64; 2]) != [k as i64; 2] {
            return Err(format!("its kernel_shape is not that of its weights, {k}x{k}"));
        }
        let Windows { k, stride, pad } = Windows::new(node, shape, k as i64)?;
        let signs = shape.kind == Kind::Sign;
        if signs && weights.bits != 1 {
            return Err(format!("weights of {} bits over signs are not supported", weights.bits));
        }
        if !signs && weights.bits == 1 {
            if weights.nested.is_some() {
                return Err(
                    "1-bit weights that are nested in levels are supported over signs only".into(),
                );
            }
            weights.bits = 2;
        }
        let mut share = 0;
        let stored = match (weights.nested.clone(), signs) {
            (Some((name, bits)), _) => {
                if let Some(&stored) = self.kernels.get(&name) {
                    stored
                } else {
                    let stored = self.level_bytes(&weights, bits)?;
                    *self.kernels.entry(name).or_insert(stored)
                }
            }
            (None, true) => match shared_signs(&weights, self.share) {
                Some(words) => {
                    share = self.share;
                    self.blob(&words)
                }
                None => self.sign_words(&weights),
            },
            (None, false) => self.level_bytes(&weights, weights.bits)?,
        };
        let filter = Filter {
            k,
            stride,
            pad,
            outputs: outputs as u32,
            bits: weights.bits,
            weights: stored,
            nested: weights.nested.map_or(0, |(_, bits)| bits),
            share,
        };
        let scale: Vec<f64> =
            weights.scale.iter().map(|&s| f64::from(s) * f64::from(worth)).collect();
        let bias = match self.optional(node, 2)? {
            Some(bias) if bias.dims[..] != [outputs] => {
                return Err(format!("its bias has shape {:?}, not [{outputs}]", bias.dims));
            }
            Some(bias) => bias.values.iter().map(|&b| f64::from(b)).collect(),
            None => vec![0.0; outputs],
        };
        // Checked here already: the operation is pushed at a later node, which an error would name instead.
        let numbers = Blob { at: 0, len: 4 * outputs as u32 };
        let conv = Conv { x, filter: filter.clone(), scale: numbers, bias: numbers };
        let shape = Op::from(conv).shape(&self.shapes, usize::MAX)?;
        Ok(Value::Real(Carried { base: Base::Sums { x, filter }, shape, scale, bias }))
    }

    /// The stored weights: outputs, k, k, words.
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

    /// The stored weights: k, k, inputs, outputs.
    fn level_bytes(&mut self, weights: &Weights, bits: u8) -> Result<Blob, String> {
        let [outputs, inputs, k] = [weights.dims[0], weights.dims[1], weights.dims[2]];
        let mut levels = vec![0; weights.levels.len()];
        for (index, &level) in weights.levels.iter().enumerate() {
            let (output, input, tap) =
                (index / (inputs * k * k), index / (k * k) % inputs, index % (k * k));
            levels[(tap * inputs + input) * outputs + output] = level;
        }
        let bytes = packed::pack(levels.into_iter(), bits).map_err(|error| error.to_string())?;
        Ok(self.blob(&bytes))
    }

    /// `Gemm` and `MatMul` over a flattened map of real numbers, with weights in f32 or quantised to 8 bits.
    pub(super) fn dense(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = match self.value(node, 0)? {
            Value::Flat(x) => x,
            Value::Real(affine) if self.is_row(node, 0) => self.settle(affine)?,
            Value::Quantised { .. } => {
                return Err("its input is quantised: a linear layer reads real numbers here".into());
            }
            _ => return Err("its input must be a flattened map of real numbers".into()),
        };
        if node.float("alpha", 1.0) != 1.0 || node.float("beta", 1.0) != 1.0 {
            return Err("alpha and beta are supported as 1 only".into());
        }
        let mut transposed = node.int("transB", 0) != 0;
        let (dims, levels, values, scale) = match self.value(node, 1) {
            Ok(Value::Weights(w)) => (w.dims, Some(w.levels), vec![], w.scale),
            Ok(Value::Transposed(w)) => {
                transposed = !transposed;
                (w.dims, Some(w.levels), vec![], w.scale)
            }
            _ => {
                let constant = self.constant(node, 1)?;
                (constant.dims.clone(), None, constant.values.clone(), vec![])
            }
        };
        if levels.is_some() && !transposed {
            return Err(
                "quantised weights must be (outputs, inputs), with transB or a Transpose behind their Quant"
                    .into(),
            );
        }
        let shape = self.shapes[x];
        let [first, second] = dims[..] else {
            return Err(format!("its weights have shape {dims:?}, not two dimensions"));
        };
        let (outputs, inputs) = if transposed { (first, second) } else { (second, first) };
        if inputs != shape.len() {
            return Err(format!("its weights need {inputs} inputs, but it has {}", shape.len()));
        }
        // ONNX flattens C, H, W; here, maps are stored as H, W, C.
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
        let bias = match self.optional(node, 2)? {
            None => vec![0.0; outputs],
            Some(Constant { dims, values }) => match dims[..] {
                [] | [1] | [1, 1] => vec![values[0]; outputs],
                [n] | [1, n] if n == outputs => values.clone(),
                _ => return Err(format!("its bias has shape {dims:?}, not [{outputs}]")),
            },
        };
        let (scale, bias) = (self.blob(&scale), self.blob(&bias));
        self.push_real(Dense { x, outputs: outputs as u32, bits, weights, scale, bias })
    }
}

/// The signs that `share` weights each share by hashing, or `None` if weights that would share one differ.
fn shared_signs(weights: &Weights, share: u8) -> Option<Vec<u64>> {
    let count = weights.levels.len();
    if share < 2 || !count.is_multiple_of(usize::from(share)) {
        return None;
    }
    let mut signs: Vec<Option<bool>> = vec![None; count / usize::from(share)];
    for (value, &level) in ops::values(count, share).zip(&weights.levels) {
        if *signs[value].get_or_insert(level > 0) != (level > 0) {
            return None;
        }
    }
    let mut words = vec![0_u64; signs.len().div_ceil(64)];
    for (at, _) in signs.iter().enumerate().filter(|(_, sign)| **sign == Some(true)) {
        words[at / 64] |= 1 << (at % 64);
    }
    Some(words)
}
