//! `QuantizeLinear` and `DequantizeLinear`, with or without a `Clip` between them: the formats QDQ and QCDQ.

use super::affine::per_channel;
use super::lowering::Lowering;
use super::quant::{Grid, fit_byte};
use super::value::{Value, Weights};
use crate::constant::{Constant, Element};
use crate::onnx::NodeProto;

/// The scale and the integers of a node.
pub struct Step {
    /// The value of an integer: one number, or one for each place along an axis, in a shape that broadcasts so.
    pub scale: Constant,
    /// The axis along which scales differ.
    axis: usize,
    /// The lowest integer.
    low: f32,
    /// The highest integer.
    high: f32,
}

impl Lowering<'_> {
    /// The scale and the integers of a `QuantizeLinear` or `DequantizeLinear` over a tensor of shape `dims`.
    ///
    /// # Errors
    /// If its zero points are not 0, or its scales do not lie along one axis.
    pub(super) fn step(&self, node: &NodeProto, dims: &[usize]) -> Result<Step, String> {
        if let Some(zeros) = self.optional(node, 2)?
            && zeros.values.iter().any(|&zero| zero != 0.0)
        {
            return Err(
                "its zero point is not 0: quantise symmetrically (onnxruntime: ActivationSymmetric and WeightSymmetric)"
                    .into(),
            );
        }
        // Without a zero point, QuantizeLinear gives uint8.
        let (low, high) = match self.optional(node, 2)? {
            Some(zeros) => zeros.element.range().unwrap_or((f32::MIN, f32::MAX)),
            None => (0.0, 255.0),
        };
        let scale = self.constant(node, 1)?;
        if scale.values.iter().any(|&scale| scale <= 0.0) {
            return Err("a scale is not positive".into());
        }
        let axis = node.int("axis", 1);
        let axis = if axis < 0 { axis + dims.len() as i64 } else { axis };
        let axis = usize::try_from(axis).unwrap_or(usize::MAX);
        let mut along = vec![1; dims.len()];
        let scale = match (&scale.dims[..], dims.get(axis)) {
            ([] | [1], _) => Constant::new(vec![], scale.values.clone()),
            ([n], Some(side)) if n == side => {
                along[axis] = *n;
                Constant::new(along, scale.values.clone())
            }
            _ => {
                return Err(format!(
                    "a scale of shape {:?} does not lie along axis {axis} of a tensor of shape {dims:?}",
                    scale.dims
                ));
            }
        };
        Ok(Step { scale, axis, low, high })
    }

    /// `QuantizeLinear` over a map: the integers are known, but not computed before their `DequantizeLinear`.
    pub(super) fn quantize_linear(&mut self, node: &NodeProto) -> Result<Value, String> {
        let map = self.affine(node, 0)?;
        let step = self.step(node, &self.dims(node, &map.shape))?;
        let (scale, low, high) = (step.scale, step.low, step.high);
        Ok(Value::Integers(map, Grid { scale, low, high, bits: 8, beside: 0.0 }))
    }

    /// `DequantizeLinear` over integers of a map, or over constant weights.
    pub(super) fn dequantize_linear(&mut self, node: &NodeProto) -> Result<Value, String> {
        if let Ok(integers) = self.constant(node, 0) {
            return weights(integers, &self.step(node, &integers.dims)?);
        }
        let Value::Integers(map, grid) = self.value(node, 0)? else {
            return Err("its input is not from a QuantizeLinear".into());
        };
        if !fit_byte(grid.low, grid.high) {
            return Err(format!(
                "integers from {} to {} do not fit 8 bits: quantise to fewer",
                grid.low, grid.high
            ));
        }
        let (row, shape) = (self.is_row(node, 0), map.shape);
        let step = self.step(node, &self.dims(node, &shape))?;
        let levels = self.levels_of(map, &grid, row)?;
        let Value::Quantised { op, .. } = levels else { return Ok(levels) };
        let scale = per_channel(&step.scale, shape, row)?.into_iter().map(|s| s as f32).collect();
        Ok(Value::Quantised { op, scale })
    }

    /// The shape in ONNX of a node's first input, a map of this shape.
    fn dims(&self, node: &NodeProto, shape: &fogline_edge::tensor::Shape) -> Vec<usize> {
        if self.is_row(node, 0) { vec![1, shape.len()] } else { vec![1, shape.c, shape.h, shape.w] }
    }
}

/// The integers of constants.
pub fn integers(x: &Constant, step: &Step) -> Constant {
    let each: usize = x.dims.iter().skip(step.axis + 1).product();
    let of = |at: usize| step.scale.values[at / each.max(1) % step.scale.values.len()];
    let level =
        |(at, value): (usize, &f32)| (value / of(at)).round_ties_even().clamp(step.low, step.high);
    let values = x.values.iter().enumerate().map(level).collect();
    Constant { element: Element::Whole, ..Constant::new(x.dims.clone(), values) }
}

/// Constant integers as weights, with a scale for each output.
fn weights(integers: &Constant, step: &Step) -> Result<Value, String> {
    let dims = integers.dims.clone();
    if dims.contains(&0) {
        return Err(format!("its weights of shape {dims:?} are empty"));
    }
    if integers.values.iter().any(|level| level.fract() != 0.0 || !(-128.0..=127.0).contains(level))
    {
        return Err("its weights are not integers from -128 to 127".into());
    }
    let levels: Vec<i8> = integers.values.iter().map(|&level| level as i8).collect();
    let holds = |bits: &u8| {
        levels.iter().all(|&level| {
            let half = 1_i16 << (bits - 1);
            (-half..half).contains(&i16::from(level))
        })
    };
    let signs = levels.iter().all(|&level| level == 1 || level == -1);
    let bits = if signs { 1 } else { [2, 4].into_iter().find(holds).unwrap_or(8) };
    let (scale, nested) = (step.scale.values.clone(), None);
    match (&dims[..], scale.len(), step.axis) {
        (&[outputs, ..], 1, _) => Ok(Value::Weights(Weights {
            dims,
            levels,
            bits,
            scale: vec![scale[0]; outputs],
            nested,
        })),
        (_, _, 0) => Ok(Value::Weights(Weights { dims, levels, bits, scale, nested })),
        (&[inputs, outputs], _, 1) => {
            let turned =
                (0..inputs * outputs).map(|at| levels[at % inputs * outputs + at / inputs]);
            let levels = turned.collect();
            let dims = vec![outputs, inputs];
            Ok(Value::Transposed(Weights { dims, levels, bits, scale, nested }))
        }
        _ => Err(format!("weights of shape {dims:?} need a scale for each output, along axis 0")),
    }
}
