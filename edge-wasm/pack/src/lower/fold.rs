//! Nodes whose inputs are constants, and shapes: what exporters leave unfolded around weights and flattening.

use super::lowering::{Lowering, from_first};
use super::qdq;
use crate::constant::{Constant, Element};
use crate::onnx::NodeProto;
use fogline_edge::tensor::Shape;

/// The most numbers that a folded constant may have, many times what a network's largest weights have.
const MOST: usize = 1 << 24;

impl Lowering<'_> {
    /// The result of a node as a constant; `None` if the node does not have a constant result that is known here.
    ///
    /// # Errors
    /// If its inputs are constants that do not fit.
    pub(super) fn fold(&self, node: &NodeProto) -> Result<Option<Constant>, String> {
        if node.op_type == "Shape" {
            return self.shape(node).map(Some);
        }
        let named = || node.input.iter().filter(|name| !name.is_empty());
        let Ok(x) = self.constant(node, 0) else { return Ok(None) };
        if !named().all(|name| self.named_constant(name).is_some()) {
            return Ok(None);
        }
        let unary = |f: fn(f32) -> f32| {
            Constant::new(x.dims.clone(), x.values.iter().map(|&v| f(v)).collect()).finite()
        };
        let binary = |f: fn(f32, f32) -> f32| broadcast(x, self.constant(node, 1)?, f);
        Ok(Some(match node.op_type.as_str() {
            "Identity" => x.clone(),
            "Cast" => {
                let to = node.int("to", 1);
                let element =
                    Element::of(to).ok_or_else(|| format!("to = {to} is not supported"))?;
                x.cast(element)?
            }
            "Sqrt" => unary(f32::sqrt)?,
            "Reciprocal" => unary(f32::recip)?,
            "Neg" => unary(|v| -v)?,
            "Abs" => unary(f32::abs)?,
            "Add" => binary(|a, b| a + b)?,
            "Sub" => binary(|a, b| a - b)?,
            "Mul" => binary(|a, b| a * b)?,
            // Integers are divided without a remainder.
            "Div" if x.element == Element::Whole => binary(|a, b| (a / b).trunc())?,
            "Div" => binary(|a, b| a / b)?,
            "Pow" if x.element == Element::Whole => binary(|a, b| a.powf(b).trunc())?,
            "Pow" => binary(f32::powf)?,
            "Transpose" => transposed(x, &node.ints("perm", &[]))?,
            "Quant" | "IntQuant" if x.dims.len() == 1 => self.quantised_list(node)?,
            "QuantizeLinear" => qdq::integers(x, &self.step(node, &x.dims)?),
            "DequantizeLinear" if x.dims.len() < 2 => {
                let step = self.step(node, &x.dims)?;
                broadcast(x, &step.scale, |a, b| a * b)?
            }
            "Clip" => {
                let (low, high) = self.bounds(node)?;
                let values = x.values.iter().map(|&v| v.max(low).min(high)).collect();
                Constant { values, ..x.clone() }
            }
            "Gather" if x.dims.len() == 1 => {
                let index = self.number(node, 1, "index", None)?;
                let at = if index < 0.0 { index + x.values.len() as f32 } else { index };
                let value = x.values.get(at as usize).filter(|_| at >= 0.0);
                let values = vec![*value.ok_or_else(|| format!("it has no element {index}"))?];
                let dims = self.constant(node, 1)?.dims.clone();
                Constant { dims, values, element: x.element }
            }
            "Unsqueeze" | "Squeeze" => {
                Constant { dims: self.squeezed(node, &x.dims)?, ..x.clone() }
            }
            "Reshape" => Constant { dims: self.reshaped(node, x)?, ..x.clone() },
            "Slice" if x.dims.len() == 1 => {
                let end = x.values.len() as f32;
                let place =
                    |at: f32| (if at < 0.0 { at + end } else { at }).clamp(0.0, end) as usize;
                let of = |index, what| self.number(node, index, what, None).map(place);
                let (start, end) = (of(1, "start")?, of(2, "end")?);
                if self.number(node, 4, "step", Some(1.0))? != 1.0 || start > end {
                    return Ok(None);
                }
                let values = x.values[start..end].to_vec();
                Constant { dims: vec![values.len()], values, element: x.element }
            }
            "Concat" if x.dims.len() == 1 && node.int("axis", 0) == 0 => {
                let mut values = vec![];
                for index in 0..node.input.len() {
                    values.extend(&self.constant(node, index)?.values);
                    if values.len() > MOST {
                        return Err("it gives too large a constant".into());
                    }
                }
                Constant { dims: vec![values.len()], values, element: x.element }
            }
            _ => return Ok(None),
        }))
    }

    /// The shape of a constant behind a `Reshape`, in which -1 stands for what is left and 0 for the side that is there.
    fn reshaped(&self, node: &NodeProto, x: &Constant) -> Result<Vec<usize>, String> {
        let to = &self.constant(node, 1)?.values;
        let kept = |(at, &side): (usize, &f32)| match side {
            0.0 if node.int("allowzero", 0) == 0 => x.dims.get(at).copied(),
            side if side < 0.0 => Some(1),
            side => Some(side as usize),
        };
        let dims: Option<Vec<usize>> = to.iter().enumerate().map(kept).collect();
        let known = |dims: &[usize]| dims.iter().try_fold(1_usize, |n, &side| n.checked_mul(side));
        let refused = || format!("{} numbers do not fit the shape {to:?}", x.values.len());
        let mut dims = dims.ok_or_else(refused)?;
        let rest: Vec<usize> = (0..to.len()).filter(|&at| to[at] < 0.0).collect();
        if let ([at], Some(known @ 1..)) = (&rest[..], known(&dims)) {
            dims[*at] = x.values.len() / known;
        }
        if rest.len() > 1 || known(&dims) != Some(x.values.len()) {
            return Err(refused());
        }
        Ok(dims)
    }

    /// The shape of a constant of shape `dims` behind `Unsqueeze` or `Squeeze`.
    fn squeezed(&self, node: &NodeProto, dims: &[usize]) -> Result<Vec<usize>, String> {
        let axes = self.axes(node, 1)?;
        let adds = node.op_type == "Unsqueeze";
        let rank = dims.len() + if adds { axes.len() } else { 0 };
        let axes = from_first(&axes, rank);
        let named = |axis: &usize| axes.contains(&(*axis as i64));
        // Without axes, Squeeze drops every side of 1.
        let dropped = |axis: &usize| if axes.is_empty() { dims[*axis] == 1 } else { named(axis) };
        if axes.iter().any(|axis| !(0..rank as i64).contains(axis))
            || (!adds && (0..rank).any(|axis| named(&axis) && dims[axis] != 1))
        {
            return Err(format!("axes {axes:?} do not fit a constant of shape {dims:?}"));
        }
        let mut own = dims.iter().copied();
        let added = |axis| if named(&axis) { Some(1) } else { own.next() };
        Ok(if adds {
            (0..rank).filter_map(added).collect()
        } else {
            (0..rank).filter(|axis| !dropped(axis)).map(|axis| dims[axis]).collect()
        })
    }

    /// `Shape`: that of a constant, or of one sample of a tensor.
    fn shape(&self, node: &NodeProto) -> Result<Constant, String> {
        let dims = if let Ok(constant) = self.constant(node, 0) {
            constant.dims.clone()
        } else {
            let shape = self.shape_of(&self.value(node, 0)?);
            let Shape { h, w, c, .. } = shape.ok_or("the shape of its input is not known")?;
            if self.is_row(node, 0) { vec![1, h * w * c] } else { vec![1, c, h, w] }
        };
        let end = dims.len() as i64;
        let place = |at: i64| (if at < 0 { at + end } else { at }).clamp(0, end) as usize;
        let (start, end) = (place(node.int("start", 0)), place(node.int("end", end)));
        let dims = dims.get(start..end).unwrap_or_default();
        Ok(Constant::whole(dims.iter().map(|&side| side as f32).collect()))
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
    Ok(Constant { dims, values, element: x.element })
}

/// `f` of each pair of numbers, as ONNX broadcasts the shapes.
fn broadcast(a: &Constant, b: &Constant, f: fn(f32, f32) -> f32) -> Result<Constant, String> {
    let rank = a.dims.len().max(b.dims.len());
    let padded = |x: &Constant| [vec![1; rank - x.dims.len()], x.dims.clone()].concat();
    let (of_a, of_b) = (padded(a), padded(b));
    let mut dims = vec![];
    for (&one, &other) in of_a.iter().zip(&of_b) {
        match (one, other) {
            (one, other) if one == other || other == 1 => dims.push(one),
            (1, other) => dims.push(other),
            _ => return Err(format!("shapes {:?} and {:?} do not fit each other", a.dims, b.dims)),
        }
    }
    let count = dims.iter().try_fold(1_usize, |count, &side| count.checked_mul(side));
    let Some(count) = count.filter(|&count| count <= MOST) else {
        return Err(format!("it gives too large a constant, of shape {dims:?}"));
    };
    let at = |of: &[usize], mut index: usize| {
        let (mut from, mut step) = (0, 1);
        for (&own, &all) in of.iter().zip(&dims).rev() {
            from += index % all % own * step;
            step *= own;
            index /= all;
        }
        from
    };
    let value = |index| f(a.values[at(&of_a, index)], b.values[at(&of_b, index)]);
    let values: Vec<f32> = (0..count).map(value).collect();
    let element = if a.element == b.element { a.element } else { Element::Real };
    Constant { dims, values, element }.finite()
}
