//! Scales and biases per channel, which are carried along, and element-wise operations.

use super::lowering::Lowering;
use super::value::Value;
use crate::onnx::{Constant, NodeProto};
use fogline_edge::ops::{Add, Prelu};
use fogline_edge::tensor::Shape;

impl Lowering<'_> {
    /// `BatchNormalization`: folded into the carried scale and bias, `gamma / sqrt(variance + epsilon)`.
    pub(super) fn batch_norm(&mut self, node: &NodeProto) -> Result<Value, String> {
        let mut affine = self.affine(node, 0)?;
        let epsilon = f64::from(node.float("epsilon", 1e-5));
        let [gamma, beta, mean, variance] = [1, 2, 3, 4].map(|index| self.constant(node, index));
        let (gamma, beta, mean, variance) = (gamma?, beta?, mean?, variance?);
        if [gamma, beta, mean, variance].iter().any(|c| c.values.len() != affine.shape.c) {
            return Err(format!("its parameters need {} numbers each", affine.shape.c));
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
                let (a, b) = (self.real(node, 0)?, self.real(node, 1)?);
                return self.push_real(Add { a, b });
            }
            ([false, true], _) => (0, 1),
            ([true, false], "Add" | "Mul") => (1, 0),
            _ => return Err("only one constant, or the sum of two maps, is supported".into()),
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

    /// `Relu`, `LeakyRelu` and `PRelu`, as one operation with a slope per channel.
    pub(super) fn relu(&mut self, node: &NodeProto) -> Result<Value, String> {
        let affine = self.affine(node, 0)?;
        let slope = match node.op_type.as_str() {
            "PRelu" => per_channel(self.constant(node, 1)?, affine.shape)?,
            "LeakyRelu" => vec![f64::from(node.float("alpha", 0.01)); affine.shape.c],
            _ => vec![0.0; affine.shape.c],
        };
        let x = self.settle(affine)?;
        let slope = self.floats(&slope);
        self.push_real(Prelu { x, slope })
    }
}

/// The values per channel of a constant that has one number, or one per channel.
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
            "a constant of shape {:?} does not fit {} channels",
            constant.dims, shape.c
        )),
    }
}
