//! Scales and biases per channel, which are carried along, and element-wise operations.

use super::lowering::Lowering;
use super::value::Value;
use crate::constant::Constant;
use crate::onnx::NodeProto;
use fogline_edge::ops::{Add, Prelu};
use fogline_edge::tensor::Shape;

impl Lowering<'_> {
    /// `BatchNormalization`: folded into the carried scale and bias, `gamma / sqrt(variance + epsilon)`.
    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let mut affine = self.affine(node, 0)?;
        let epsilon = f64::from(node.float("epsilon", 1e-5));
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|index| self.constant(node, index));
        let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
        if [gamma, beta, mean, variance].iter().any(|c| c.dims[..] != [affine.shape.c]) {
            return Err(format!("its parameters need the shape [{}] each", affine.shape.c));
        }
        for c in 0..affine.shape.c {
            let of = |constant: &Constant| f64::from(constant.values[c]);
            let factor = of(gamma) / (of(variance) + epsilon).sqrt();
            if !factor.is_finite() {
                return Err(format!("the variance of channel {c} is invalid"));
            }
            affine.scale[c] *= factor;
            affine.bias[c] = (affine.bias[c] - of(mean)) * factor + of(beta);
        }
        Ok(Value::Real(affine))
    }

    /// `Add`, `Sub`, `Mul` and `Div` by a constant, which are carried along; the sum of two maps; and the ways' products and sums.
    pub(super) fn arithmetic(&mut self, node: &NodeProto) -> Result<Value, String> {
        if let Some(value) = self.ways(node)? {
            return Ok(value);
        }
        let constants = [0, 1].map(|index| self.constant(node, index).is_ok());
        let op = node.op_type.as_str();
        let (at, constant) = match (constants, op) {
            ([false, false], "Add") => {
                if self.is_row(node, 0) != self.is_row(node, 1) {
                    return Err("one of its maps is flattened: flatten both before it".into());
                }
                let (a, b) = (self.real(node, 0)?, self.real(node, 1)?);
                return self.push_real(Add { a, b });
            }
            ([false, true], _) => (0, 1),
            ([true, false], "Add" | "Sub" | "Mul") => (1, 0),
            ([true, false], _) => return Err("a constant cannot be divided by a map".into()),
            _ => return Err("of two maps, only the sum is supported".into()),
        };
        let mut affine = self.affine(node, at)?;
        let numbers =
            per_channel(self.constant(node, constant)?, affine.shape, self.is_row(node, at))?;
        for ((scale, bias), number) in affine.scale.iter_mut().zip(&mut affine.bias).zip(numbers) {
            match op {
                "Add" => *bias += number,
                "Sub" if at == 0 => *bias -= number,
                "Sub" => (*scale, *bias) = (-*scale, number - *bias),
                "Mul" => (*scale, *bias) = (*scale * number, *bias * number),
                _ => (*scale, *bias) = (*scale / number, *bias / number),
            }
        }
        Ok(Value::Real(affine))
    }

    /// `Relu`, `LeakyRelu` and `PRelu`, as one operation with a slope per channel.
    pub(super) fn relu(&mut self, node: &NodeProto) -> Result<Value, String> {
        let affine = self.affine(node, 0)?;
        let slope = match node.op_type.as_str() {
            "PRelu" => per_channel(self.constant(node, 1)?, affine.shape, self.is_row(node, 0))?,
            "LeakyRelu" => vec![f64::from(node.float("alpha", 0.01)); affine.shape.c],
            _ => vec![0.0; affine.shape.c],
        };
        let x = self.settle(affine)?;
        let slope = self.floats(&slope);
        self.push_real(Prelu { x, slope })
    }
}

/// The values per channel of a constant that ONNX broadcasts over the channels of a map: one number, or one for each channel in
/// the shape ([1,] C, 1, 1); over a `row`, which has no height and width, in ([1,] C).
pub(super) fn per_channel(
    constant: &Constant,
    shape: Shape,
    row: bool,
) -> Result<Vec<f64>, String> {
    let (dims, c) = (&constant.dims, shape.c);
    let full = if row { vec![1, c] } else { vec![1, c, 1, 1] };
    let numbers = constant.values.iter().map(|&v| f64::from(v));
    if dims.len() <= full.len() && dims.iter().all(|&d| d == 1) {
        Ok(numbers.cycle().take(c).collect())
    } else if dims[..] == full[..] || dims[..] == full[1..] {
        Ok(numbers.collect())
    } else {
        Err(format!(
            "a constant of shape {dims:?} is not broadcast over the {c} channels of a map of shape {}: give it the shape {:?}",
            if row { format!("[1, {c}]") } else { format!("[1, {c}, {}, {}]", shape.h, shape.w) },
            &full[1..]
        ))
    }
}
