//! The nodes `Quant` and `BipolarQuant`: their levels, and constants that they quantise.

use fogline::packed;

use super::lowering::Lowering;
use super::value::{Value, Weights};
use crate::constant::Constant;
use crate::onnx::NodeProto;

/// The levels of a quantiser.
#[derive(Clone)]
pub struct Grid {
    /// The value of a level: one number, or one per channel or output.
    pub scale: Constant,
    /// The lowest level.
    pub low: f32,
    /// The highest level.
    pub high: f32,
    /// The bits that hold any level as a weight: 2, 4 or 8.
    pub bits: u8,
    /// 0, or half a level if levels are beside 0 instead of on it.
    pub beside: f32,
}

impl Grid {
    /// The nearest level of `value`, ties to even, limited to the grid.
    pub fn level(&self, value: f32, scale: f32) -> f32 {
        (value / scale - self.beside).round_ties_even().clamp(self.low, self.high)
    }

    /// The levels of constant weights, and the value of a level per output.
    fn levels(&self, weights: &Constant) -> Result<(Vec<i8>, Vec<f32>), String> {
        let scale = per_output(&self.scale, &weights.dims)?;
        let each = weights.values.len() / weights.dims.first().copied().unwrap_or(1).max(1);
        let level = |(i, &w): (usize, &f32)| self.level(w, scale[i / each.max(1)]) as i8;
        Ok((weights.values.iter().enumerate().map(level).collect(), scale))
    }
}

impl Lowering<'_> {
    /// `BipolarQuant`: the signs of constant weights or, for a map, thresholds: integer ones straight after a convolution, else
    /// real ones.
    pub(super) fn bipolar_quant(&mut self, node: &NodeProto) -> Result<Value, String> {
        let scale = self.constant(node, 1)?.clone();
        if let Ok(weights) = self.constant(node, 0) {
            let dims = weights.dims.clone();
            let scale = per_output(&scale, &dims)?;
            let signs: Vec<i8> = weights.values.iter().map(|&w| i8::from(w >= 0.0)).collect();
            let highest = |signs: &[i8]| signs.iter().map(|sign| sign - 1).collect::<Vec<i8>>();
            if let Some((levels, nested)) = self.nested(node, &highest(&signs), 1)? {
                let nested = Some(nested);
                return Ok(Value::Weights(Weights { dims, levels, bits: 1, scale, nested }));
            }
            let levels = signs.into_iter().map(|sign| 2 * sign - 1).collect();
            return Ok(Value::Weights(Weights { dims, levels, bits: 1, scale, nested: None }));
        }
        let (map, row) = (self.affine(node, 0)?, self.is_row(node, 0));
        self.signs_of(map, &scale, row)
    }

    /// The levels that a `Quant` node allows.
    ///
    /// # Errors
    /// If the bit width, zero point or rounding mode is not supported.
    fn grid(&self, node: &NodeProto) -> Result<Grid, String> {
        let beside = match self.constant(node, 2)?.values[..] {
            [0.0] => 0.0,
            [-0.5] if self.constant(node, 0).is_ok() => 0.5,
            _ => return Err("its zero point must be 0, or -0.5 for weights".into()),
        };
        let bits = self.number(node, 3, "bit width", None)?;
        if !(2.0..=8.0).contains(&bits) || bits.fract() != 0.0 {
            return Err(format!(
                "{bits} bits are not supported: use 2 to 8, or BipolarQuant for 1"
            ));
        }
        let (signed, narrow) = (node.int("signed", 1) == 1, node.int("narrow", 0) == 1);
        rounds(node)?;
        let (low, high) = range(node, bits);
        if high > 127.0 && self.constant(node, 0).is_ok() {
            return Err("weights above 127: use a signed grid or fewer bits".into());
        }
        let bits = if signed { bits as u8 } else { bits as u8 + 1 };
        let bits = packed::WIDTHS.into_iter().find(|&width| width >= bits).unwrap_or(8);
        if beside > 0.0 && !(signed && !narrow && (bits == 2 || bits == 4)) {
            return Err(
                "weights with a zero point of -0.5 must be signed, not narrow, of 2 or 4 bits"
                    .into(),
            );
        }
        Ok(Grid { scale: self.constant(node, 1)?.clone(), low, high, bits, beside })
    }

    /// `Quant` of a constant list, such as a bias: its values, since layers take biases in real numbers.
    pub(super) fn quantised_list(&self, node: &NodeProto) -> Result<Constant, String> {
        let (list, scale) = (self.constant(node, 0)?, self.constant(node, 1)?);
        let (zero, bits) =
            (self.number(node, 2, "zero point", None)?, self.number(node, 3, "bit width", None)?);
        if zero != 0.0 || !(2.0..=32.0).contains(&bits) || bits.fract() != 0.0 {
            return Err(format!(
                "a bias of {bits} bits with a zero point of {zero} is not supported"
            ));
        }
        if scale.dims != list.dims && !matches!(scale.dims[..], [] | [1])
            || scale.values.iter().any(|&scale| scale <= 0.0)
        {
            return Err(format!("its scale does not fit a list of shape {:?}", list.dims));
        }
        rounds(node)?;
        let (low, high) = range(node, bits);
        let numbers = list.values.iter().zip(scale.values.iter().cycle());
        let values = numbers
            .map(|(value, scale)| (value / scale).round_ties_even().clamp(low, high) * scale)
            .collect();
        Ok(Constant::new(list.dims.clone(), values))
    }

    /// The levels of a tensor that several nodes quantise to different bit widths, and its name with the largest width; `None`
    /// if no levels are beside 0. `own` are this node's levels, which must be the highest `bits` of the others.
    #[expect(clippy::type_complexity, reason = "levels, and the tensor's name with its bits")]
    fn nested(
        &self,
        node: &NodeProto,
        own: &[i8],
        bits: u8,
    ) -> Result<Option<(Vec<i8>, (String, u8))>, String> {
        let same = self.graph.nodes.iter().filter(|other| {
            other.op_type != "BipolarQuant" && other.input.first() == node.input.first()
        });
        let grids = same.filter_map(|other| self.grid(other).ok()).filter(|grid| grid.beside > 0.0);
        let Some(widest) = grids.max_by_key(|grid| grid.bits) else { return Ok(None) };
        let (levels, _) = widest.levels(self.constant(node, 0)?)?;
        let shift = widest.bits - bits;
        if own.iter().zip(&levels).any(|(own, level)| *own != level >> shift) {
            return Err(format!(
                "its weights are not the highest {bits} bits of those of {}",
                widest.bits
            ));
        }
        Ok(Some((levels, (node.input[0].clone(), widest.bits))))
    }

    /// `Quant`: the levels of constant weights, of the picture (as a table of its bytes), or of a map.
    pub(super) fn quant(&mut self, node: &NodeProto) -> Result<Value, String> {
        let grid = self.grid(node)?;
        if let Ok(weights) = self.constant(node, 0) {
            if let Some((weights, scale)) = inputs_first(weights, &grid.scale)
                && grid.beside == 0.0
            {
                let grid = Grid { scale, ..grid };
                let (levels, scale) = grid.levels(&weights)?;
                let (dims, bits) = (weights.dims, grid.bits);
                return Ok(Value::Transposed(Weights { dims, levels, bits, scale, nested: None }));
            }
            let (dims, bits) = (weights.dims.clone(), grid.bits);
            let (levels, scale) = grid.levels(weights)?;
            if grid.beside == 0.0 {
                return Ok(Value::Weights(Weights { dims, levels, bits, scale, nested: None }));
            }
            let nested = self.nested(node, &levels, bits)?;
            let (levels, nested) = nested.map_or((levels, None), |(levels, of)| (levels, Some(of)));
            // (q + 1/2) * scale is (2q + 1) * scale / 2.
            let scale = scale.into_iter().map(|scale| scale / 2.0).collect();
            return Ok(Value::Weights(Weights { dims, levels, bits, scale, nested }));
        }
        let (map, row) = (self.affine(node, 0)?, self.is_row(node, 0));
        self.levels_of(map, &grid, row)
    }
}

/// Refuses a `Quant` node that does not round to the nearest level.
fn rounds(node: &NodeProto) -> Result<(), String> {
    let mode = node.text("rounding_mode", "ROUND");
    if mode == "ROUND" {
        Ok(())
    } else {
        Err(format!("rounding mode {mode} is not supported: use ROUND"))
    }
}

/// The lowest and the highest level of a node of so many bits, by its `signed` and `narrow`.
pub(super) fn range(node: &NodeProto, bits: f32) -> (f32, f32) {
    let narrow = if node.int("narrow", 0) == 1 { 1.0 } else { 0.0 };
    match (node.int("signed", 1) == 1, bits.exp2()) {
        (true, n) => (narrow - n / 2.0, n / 2.0 - 1.0),
        (false, n) => (0.0, n - 1.0 - narrow),
    }
}

/// Whether levels from `low` to `high` fit eight bits, signed or unsigned.
pub(super) fn fit_byte(low: f32, high: f32) -> bool {
    (low >= -128.0 && high <= 127.0) || (low >= 0.0 && high <= 255.0)
}

/// The integer threshold of `scale * sum + bias >= 0`, and whether the comparison is inverted.
pub(super) fn threshold(scale: f64, bias: f64) -> (i32, u8) {
    let whole = |value: f64| value.clamp(f64::from(i32::MIN), f64::from(i32::MAX)) as i32;
    if scale > 0.0 {
        (whole((-bias / scale).ceil()), 0)
    } else if scale < 0.0 {
        (whole((-bias / scale).floor() + 1.0), 1)
    } else {
        (if bias >= 0.0 { i32::MIN } else { i32::MAX }, 0)
    }
}

/// A matrix with inputs first and its scales, one per output, both turned; `None` if its scales do not lie so.
fn inputs_first(weights: &Constant, scale: &Constant) -> Option<(Constant, Constant)> {
    let (&[inputs, outputs], &([n] | [1, n])) = (&weights.dims[..], &scale.dims[..]) else {
        return None;
    };
    let order = (0..inputs * outputs).map(|at| weights.values[at % inputs * outputs + at / inputs]);
    (n == outputs && n > 1).then(|| {
        let scale = Constant::new(vec![outputs, 1], scale.values.clone());
        (Constant::new(vec![outputs, inputs], order.collect()), scale)
    })
}

/// The scale of weights: one number, or one per output.
fn per_output(scale: &Constant, dims: &[usize]) -> Result<Vec<f32>, String> {
    let outputs = match dims {
        [outputs, rest @ ..] if !rest.is_empty() && !dims.contains(&0) => *outputs,
        _ => return Err(format!("weights of shape {dims:?} are not supported")),
    };
    let values = match scale.values.len() {
        1 if scale.dims.len() <= dims.len() => vec![scale.values[0]; outputs],
        // ONNX aligns shapes at their last axis, so that [outputs] alone would run along another one.
        n if n == outputs && scale.dims.len() == dims.len() && scale.dims[0] == n => {
            scale.values.clone()
        }
        _ => {
            let mut per_output = vec![1; dims.len()];
            per_output[0] = outputs;
            return Err(format!(
                "a scale of shape {:?} is not one per output of weights of shape {dims:?}: give it the shape {per_output:?}",
                scale.dims
            ));
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
