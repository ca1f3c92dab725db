//! Linear layers.

use super::lowering::Lowering;
use super::shape::Windows;
use super::value::{Value, Weights, uniform};
use crate::onnx::NodeProto;
use fogline_edge::ops::Dense;
use fogline_edge::tensor::MAX_WINDOW;

impl Lowering<'_> {
    /// `Gemm` and `MatMul` over one row per sample. With both input and weights quantised it is a convolution whose kernel is
    /// as large as the map; else it is a layer over real numbers, with weights in f32 or quantised to 8 bits.
    pub(super) fn dense(&mut self, node: &NodeProto) -> Result<Value, String> {
        if node.float("alpha", 1.0) != 1.0 || node.float("beta", 1.0) != 1.0 {
            return Err("alpha and beta are supported as 1 only".into());
        }
        let input = match self.value(node, 0)? {
            Value::Flat(map) => *map,
            value if self.is_row(node, 0) => value,
            _ => return Err("its input must be flattened to one row per sample".into()),
        };
        let outputs_first = node.int("transB", 0) != 0;
        let weights = match self.value(node, 1) {
            Ok(Value::Weights(weights)) if outputs_first => Some(weights),
            Ok(Value::Transposed(weights)) if !outputs_first => Some(weights),
            Ok(Value::Weights(weights) | Value::Transposed(weights)) => Some(turned(weights)?),
            _ => None,
        };
        if let Some(weights) = &weights
            && let Some(kernel) = self.kernel(weights, &input)
            && let Some(input) = self.quantised_input(&input, false)?
            && uniform(&input.scale, "").is_ok()
        {
            let windows = Windows { k: kernel.dims[2] as u32, stride: 1, pad: 0, beyond: 0 };
            let bias = self.bias(node, kernel.dims[0])?;
            return Ok(Value::Real(self.convolve(input, kernel, &windows, &bias)?));
        }
        let affine = match input {
            Value::Real(affine) => affine,
            Value::Quantised { op, scale } => self.dequantise(op, &scale)?,
            Value::Joined(parts) => {
                let joined = self.joined(&parts)?;
                self.identity(joined)
            }
            _ => return Err("its input is no map".into()),
        };
        let x = self.settle(affine)?;
        let (dims, transposed) = match &weights {
            Some(weights) => (weights.dims.clone(), true),
            None => (self.constant(node, 1)?.dims.clone(), outputs_first),
        };
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
        let (bits, weights, scale) = if let Some(Weights { levels, scale, .. }) = weights {
            (8, self.blob(&order.map(|i| levels[i]).collect::<Vec<i8>>()), scale)
        } else {
            let values = &self.constant(node, 1)?.values;
            let values: Vec<f32> = order.map(|i| values[i]).collect();
            (32, self.blob(&values), vec![1.0; outputs])
        };
        let bias = self.bias(node, outputs)?;
        let (scale, bias) = (self.blob(&scale), self.blob(&bias));
        self.push_real(Dense { x, outputs: outputs as u32, bits, weights, scale, bias })
    }

    /// A matrix of weights over a map as a kernel of its size; `None` if the map is not square, or larger than a window.
    fn kernel(&self, weights: &Weights, map: &Value) -> Option<Weights> {
        let shape = self.shape_of(map)?;
        let (k, &[outputs, inputs]) = (shape.h, &weights.dims[..]) else { return None };
        let fits = k == shape.w && k <= MAX_WINDOW as usize && inputs == shape.len();
        fits.then(|| Weights { dims: vec![outputs, shape.c, k, k], ..weights.clone() })
    }
}

/// A matrix of weights with its axes exchanged.
///
/// # Errors
/// If it has a scale for each of what becomes the inputs.
fn turned(weights: Weights) -> Result<Weights, String> {
    let &[rows, columns] = &weights.dims[..] else {
        return Err(format!("its weights have shape {:?}, not two dimensions", weights.dims));
    };
    let scale = weights.scale.first().copied().unwrap_or(1.0);
    if weights.scale.iter().any(|&other| other != scale) || weights.nested.is_some() {
        return Err(
            "its weights have a scale for each input: quantise them with one for each output"
                .into(),
        );
    }
    let levels = (0..rows * columns).map(|at| weights.levels[at % rows * columns + at / rows]);
    let levels = levels.collect();
    Ok(Weights { dims: vec![columns, rows], levels, scale: vec![scale; columns], ..weights })
}
