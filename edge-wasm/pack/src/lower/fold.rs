//! Nodes whose inputs are constants, and shapes: what exporters leave unfolded around weights and flattening.

use super::lowering::Lowering;
use super::value::Value;
use crate::onnx::{Constant, NodeProto};

impl Lowering<'_> {
    /// The result of a node as a constant; `None` if the node does not have a constant result that is known here.
    ///
    /// # Errors
    /// If its inputs are constants that do not fit.
    pub(super) fn fold(&self, node: &NodeProto) -> Result<Option<Constant>, String> {
        if node.op_type == "Shape" {
            return self.shape_of(node).map(Some);
        }
        let Ok(x) = self.constant(node, 0) else { return Ok(None) };
        let list = |values: Vec<f32>| Constant { dims: vec![values.len()], values };
        Ok(Some(match node.op_type.as_str() {
            "Identity" => x.clone(),
            "Transpose" => transposed(x, &node.ints("perm", &[]))?,
            "Quant" | "IntQuant" if x.dims.len() == 1 => self.quantised_list(node)?,
            "Gather" if x.dims.len() == 1 => {
                let index = self.number(node, 1, "index", None)?;
                let at = if index < 0.0 { index + x.values.len() as f32 } else { index };
                let value = x.values.get(at as usize).filter(|_| at >= 0.0);
                let values = vec![*value.ok_or_else(|| format!("it has no element {index}"))?];
                Constant { dims: self.constant(node, 1)?.dims.clone(), values }
            }
            // One number stays one number.
            "Unsqueeze" if x.values.len() == 1 => list(x.values.clone()),
            "Concat" if x.dims.len() == 1 && node.int("axis", 0) == 0 => {
                let mut values = vec![];
                for index in 0..node.input.len() {
                    values.extend(&self.constant(node, index)?.values);
                }
                list(values)
            }
            _ => return Ok(None),
        }))
    }

    /// `Shape`: that of a constant, or of one sample of a tensor.
    fn shape_of(&self, node: &NodeProto) -> Result<Constant, String> {
        let dims = if let Ok(constant) = self.constant(node, 0) {
            constant.dims.clone()
        } else {
            let size = self.input.size as usize;
            let [h, w, c] = match self.value(node, 0)? {
                Value::Picture => [size, size, 3],
                Value::Real(map) => [map.shape.h, map.shape.w, map.shape.c],
                Value::Flat(op) | Value::Quantised { op, .. } => {
                    [self.shapes[op].h, self.shapes[op].w, self.shapes[op].c]
                }
                _ => return Err("the shape of its input is not known".into()),
            };
            if self.is_row(node, 0) { vec![1, h * w * c] } else { vec![1, c, h, w] }
        };
        let values: Vec<f32> = dims.into_iter().map(|side| side as f32).collect();
        Ok(Constant { dims: vec![values.len()], values })
    }
}

/// A constant with its axes in the order `perm`; in reverse order if that is empty.
fn transposed(x: &Constant, perm: &[i64]) -> Result<Constant, String> {
    let rank = x.dims.len();
    let order: Vec<usize> = match perm {
        [] => (0..rank).rev().collect(),
        perm => perm.iter().filter_map(|&axis| usize::try_from(axis).ok()).collect(),
    };
    if order.len() != rank || (0..rank).any(|axis| !order.contains(&axis)) {
        return Err(format!("perm = {perm:?} does not order the axes of shape {:?}", x.dims));
    }
    let step = |axis: usize| x.dims[axis + 1..].iter().product::<usize>();
    let dims: Vec<usize> = order.iter().map(|&axis| x.dims[axis]).collect();
    let from = |mut at: usize| {
        let mut from = 0;
        for &axis in order.iter().rev() {
            from += at % x.dims[axis] * step(axis);
            at /= x.dims[axis];
        }
        from
    };
    let values = (0..x.values.len()).map(|at| x.values[from(at)]).collect();
    Ok(Constant { dims, values })
}
