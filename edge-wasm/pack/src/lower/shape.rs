//! Nodes that change a map's shape: pools, flattening.

use super::lowering::{Lowering, from_first};
use super::value::{Carried, Value};
use crate::onnx::NodeProto;
use fogline_edge::ops::{AveragePool, MaxPool};
use fogline_edge::tensor::{MAX_WINDOW, Shape};

/// The square windows of a convolution or pool.
pub struct Windows {
    /// Side of a window.
    pub k: u32,
    /// The distance between windows.
    pub stride: u32,
    /// The padding on each side of the map.
    pub pad: u32,
    /// More padding below the map and on its right.
    pub beyond: u32,
}

impl Windows {
    /// The windows of side `k` of a node over a map of shape `x`, from its `strides`, and `pads` or `auto_pad`.
    ///
    /// # Errors
    /// If strides or padding differ by axis or side, or are no sizes.
    pub fn new(node: &NodeProto, x: Shape, k: i64) -> Result<Self, String> {
        let size = |v: i64| u32::try_from(v).ok().filter(|&v| v <= 4096);
        let strides = node.ints("strides", &[1, 1]);
        let (Some(k), &[stride, across]) = (size(k), &strides[..]) else {
            return Err(format!("windows of {k}, strides {strides:?} are not supported"));
        };
        let stride = size(stride).filter(|&s| s > 0 && stride == across);
        let stride = stride.ok_or_else(|| format!("strides {strides:?} are not supported"))?;
        // The padding that makes one window for each `stride` pixels or part of them.
        let same = |side: usize| {
            let covered = (side.div_ceil(stride as usize) - 1) * stride as usize + k as usize;
            covered.saturating_sub(side) as i64
        };
        let (high, wide) = (same(x.h), same(x.w));
        let how = node.text("auto_pad", "NOTSET");
        let pads = match how.as_str() {
            "NOTSET" => node.ints("pads", &[0; 4]),
            "VALID" => vec![0; 4],
            "SAME_UPPER" => vec![high / 2, wide / 2, high - high / 2, wide - wide / 2],
            "SAME_LOWER" => vec![high - high / 2, wide - wide / 2, high / 2, wide / 2],
            _ => return Err(format!("auto_pad = {how} is not supported")),
        };
        let refused = || format!("it pads by {pads:?} ({how}), not by the same on all four sides");
        match pads[..] {
            [top, left, bottom, right] if top == left && bottom == right && bottom >= top => {
                let pad = size(top).ok_or_else(refused)?;
                let beyond = size(bottom - top).ok_or_else(refused)?;
                Ok(Self { k, stride, pad, beyond })
            }
            _ => Err(refused()),
        }
    }

    /// How much further the last window of `ceil_mode` reaches beyond a map of this side.
    fn beyond_by_ceil(&self, side: usize) -> u32 {
        let [k, stride, pad, beyond] =
            [self.k, self.stride, self.pad, self.beyond].map(|n| n as usize);
        let padded = side + 2 * pad + beyond;
        let over = padded.saturating_sub(k) % stride;
        // The window must start inside the map or before it.
        let starts = (padded.saturating_sub(k) - over) + stride < side + pad;
        if over > 0 && starts { (stride - over) as u32 } else { 0 }
    }
}

impl Lowering<'_> {
    /// `AveragePool` and `MaxPool`, with square windows.
    pub(super) fn pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        let value = self.value(node, 0)?;
        let shape = self.shape_of(&value).ok_or("its input is no map")?;
        if self.is_row(node, 0) {
            return Err("its input is flattened: pool it before".into());
        }
        let &[k, wide] = &node.ints("kernel_shape", &[])[..] else {
            return Err("its kernel_shape does not have two sides".into());
        };
        if k != wide {
            return Err(format!("its windows of {k}x{wide} are not square"));
        }
        let windows = Windows::new(node, shape, k)?;
        let zeros = windows.pad + windows.beyond > 0 && node.int("count_include_pad", 0) != 0;
        let ceil = match node.int("ceil_mode", 0) {
            0 => (0, 0),
            _ => (windows.beyond_by_ceil(shape.h), windows.beyond_by_ceil(shape.w)),
        };
        if ceil.0 != ceil.1 || (ceil.0 > 0 && zeros) {
            return Err(format!(
                "ceil_mode adds windows that reach beyond a map of {}x{}, where padding counts or sides differ: use a size that fits, or no ceil_mode",
                shape.h, shape.w
            ));
        }
        let Windows { k, stride, pad, beyond } = windows;
        let beyond = beyond + ceil.0;
        match (node.op_type.as_str(), value) {
            ("MaxPool", Value::Quantised { op: map, scale }) => {
                // The maximum may as well be taken before the rounding, which saves a pass over the map.
                let before = self.before.get(&map).filter(|_| self.reads_alone(node, 0)).cloned();
                let op = if let Some(before) = before {
                    let x = self.settle(before)?;
                    let x = self.push(MaxPool { x, k, stride, pad, beyond })?;
                    self.quantise_like(map, x)?
                } else {
                    self.push(MaxPool { x: map, k, stride, pad, beyond })?
                };
                Ok(Value::Quantised { op, scale })
            }
            ("MaxPool", Value::Joined(parts)) => {
                let pooled = parts.into_iter().map(|(map, scale)| {
                    Ok((self.push(MaxPool { x: map, k, stride, pad, beyond })?, scale))
                });
                Ok(Value::Joined(pooled.collect::<Result<_, String>>()?))
            }
            ("MaxPool", _) => {
                let x = self.real(node, 0)?;
                self.push_real(MaxPool { x, k, stride, pad, beyond })
            }
            _ => self.mean(node, &AveragePool { x: 0, k, stride, pad, beyond, zeros }),
        }
    }

    /// `GlobalAveragePool`, and `ReduceMean` over height and width.
    pub(super) fn global_pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        if node.op_type == "ReduceMean" {
            let axes = self.axes(node, 1)?;
            let mut sorted = from_first(&axes, 4);
            sorted.sort_unstable();
            if self.is_row(node, 0) || sorted != [2, 3] {
                return Err(format!(
                    "its axes are {axes:?}: only the mean over height and width of a map, [2, 3], is supported"
                ));
            }
        }
        let shape = self.shape_of(&self.value(node, 0)?);
        let Shape { h, w, .. } = shape.ok_or("its input is no map")?;
        // Engines before 0 stood for the whole map know windows of up to 64.
        let k = if h == w && h <= MAX_WINDOW as usize { h as u32 } else { 0 };
        self.mean(node, &AveragePool { x: 0, k, stride: 1, pad: 0, beyond: 0, zeros: false })
    }

    /// The means of `pool` over a node's input. Those of levels are taken before their scale, so that their sums are exact.
    fn mean(&mut self, node: &NodeProto, pool: &AveragePool) -> Result<Value, String> {
        if let Value::Quantised { op: x, scale } = self.value(node, 0)? {
            let mean = self.push(AveragePool { x, ..pool.clone() })?;
            let scale = scale.into_iter().map(f64::from).collect();
            return Ok(Value::Real(Carried { scale, ..self.identity(mean) }));
        }
        let x = self.real(node, 0)?;
        self.push_real(AveragePool { x, ..pool.clone() })
    }

    /// `Squeeze`, `Unsqueeze`, `Slice` and `Pad` where they leave all numbers as they are.
    pub(super) fn unchanged(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let Shape { h, w, c, .. } = self.shape_of(&x).ok_or("its input is no map")?;
        let row = self.is_row(node, 0);
        let sides = if row { vec![1, h * w * c] } else { vec![1, c, h, w] };
        let list = |index| self.optional(node, index).map(|list| list.map(|list| &list.values[..]));
        let axes = |index, rank| self.axes(node, index).map(|axes| from_first(&axes, rank));
        let same = match node.op_type.as_str() {
            "Squeeze" => !row && (h, w) == (1, 1) && axes(1, 4)? == [2, 3],
            "Unsqueeze" => row && (h, w) == (1, 1) && axes(1, 4)? == [2, 3],
            "Slice" => {
                let (Some(starts), Some(ends)) = (list(1)?, list(2)?) else {
                    return Err(
                        "its starts and ends must be inputs: export with opset 10 or later".into(),
                    );
                };
                let axes = match axes(3, sides.len())? {
                    axes if axes.is_empty() => (0..starts.len() as i64).collect(),
                    axes => axes,
                };
                let whole = |((start, end), axis): ((&f32, &f32), &i64)| {
                    let side = usize::try_from(*axis).ok().and_then(|axis| sides.get(axis));
                    *start == 0.0 && side.is_some_and(|&side| *end >= side as f32)
                };
                starts.iter().zip(ends).zip(&axes).all(whole)
                    && list(4)?.is_none_or(|steps| steps.iter().all(|&step| step == 1.0))
            }
            _ => match list(1)? {
                Some(pads) => pads.iter().all(|&pad| pad == 0.0),
                None => node.ints("pads", &[]).iter().all(|&pad| pad == 0),
            },
        };
        if same {
            Ok(x)
        } else {
            Err(format!(
                "it changes a map of shape {sides:?}; it is supported only where it leaves all numbers as they are"
            ))
        }
    }

    /// `Flatten` and `Reshape` to one row per sample. Maps keep their layout; the linear layer that follows reorders its
    /// weights.
    pub(super) fn flatten(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.value(node, 0)?;
        let shape = self.shape_of(&x).ok_or("its input is no map")?;
        if node.op_type == "Reshape" && self.constant(node, 1)?.values.len() == 4 {
            return self.same_shape(node, x);
        }
        let flat = if node.op_type == "Flatten" {
            node.int("axis", 1) == 1
        } else {
            let all = shape.len() as f32;
            match self.constant(node, 1)?.values[..] {
                [0.0, rest] => node.int("allowzero", 0) == 0 && [-1.0, all].contains(&rest),
                [1.0, rest] => [-1.0, all].contains(&rest),
                [-1.0, rest] => rest == all,
                _ => false,
            }
        };
        match flat {
            true if (shape.h, shape.w) == (1, 1) || matches!(x, Value::Flat(_)) => Ok(x),
            true => Ok(Value::Flat(Box::new(x))),
            false => Err("only flattening to one row per sample is supported".into()),
        }
    }

    /// `Reshape` to four axes, which may only restore a map that it reads as it is, or as a row of one pixel.
    fn same_shape(&self, node: &NodeProto, x: Value) -> Result<Value, String> {
        let Shape { h, w, c, .. } = self.shape_of(&x).ok_or("its input is no map")?;
        let (sides, to) = ([1, c, h, w], &self.constant(node, 1)?.values);
        let row = self.is_row(node, 0);
        let kept = |(at, (&side, &to)): (usize, (&usize, &f32))| {
            to == side as f32 || to == -1.0 || (to == 0.0 && (!row || at < 2))
        };
        let same = sides.iter().zip(to).enumerate().all(kept);
        match x {
            Value::Flat(map) if same => Ok(*map),
            x if same => Ok(x),
            _ => Err(format!("it changes a map of shape {sides:?}; only flattening is supported")),
        }
    }
}
