//! Nodes that change a map's shape: pools, concatenation, flattening.

use super::lowering::Lowering;
use super::value::Value;
use crate::onnx::NodeProto;
use fogline_edge::ops::{AveragePool, Concat, MaxPool};
use fogline_edge::tensor::{MAX_WINDOW, Shape};

/// The square windows of a convolution or pool.
pub struct Windows {
    /// Side of a window.
    pub k: u32,
    /// The distance between windows.
    pub stride: u32,
    /// The padding on each side of the map.
    pub pad: u32,
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
            "SAME_UPPER" | "SAME_LOWER" => {
                vec![high / 2, wide / 2, high - high / 2, wide - wide / 2]
            }
            _ => return Err(format!("auto_pad = {how} is not supported")),
        };
        match (pads.len(), size(pads.first().copied().unwrap_or(0))) {
            (4, Some(pad)) if pads.iter().all(|p| *p == pads[0]) => Ok(Self { k, stride, pad }),
            _ => Err(format!("it pads by {pads:?} ({how}), not by the same on all four sides")),
        }
    }
}

impl Lowering<'_> {
    /// `AveragePool` and `MaxPool`, with square windows and without padding.
    pub(super) fn pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.real(node, 0)?;
        let shape = self.shapes[x];
        let &[k, wide] = &node.ints("kernel_shape", &[])[..] else {
            return Err("its kernel_shape does not have two sides".into());
        };
        if k != wide {
            return Err(format!("its windows of {k}x{wide} are not square"));
        }
        let Windows { k, stride, pad } = Windows::new(node, shape, k)?;
        if pad > 0 {
            return Err(format!("it pads by {pad}: only pools without padding are supported"));
        }
        let rest = |side: usize| side.saturating_sub(k as usize) % stride as usize;
        if node.int("ceil_mode", 0) != 0 && (rest(shape.h), rest(shape.w)) != (0, 0) {
            return Err(format!(
                "ceil_mode adds a window that reaches beyond a map of {}x{}: use a size that fits, or no ceil_mode",
                shape.h, shape.w
            ));
        }
        match node.op_type.as_str() {
            "AveragePool" => self.push_real(AveragePool { x, k, stride }),
            _ => self.push_real(MaxPool { x, k, stride }),
        }
    }

    /// `GlobalAveragePool`, and `ReduceMean` over height and width.
    pub(super) fn global_pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        if node.op_type == "ReduceMean" {
            // An input since opset 18.
            let axes = match self.optional(node, 1)? {
                Some(constant) => constant.values.iter().map(|&axis| axis as i64).collect(),
                None => node.ints("axes", &[]),
            };
            let from_first = |&axis: &i64| if axis < 0 { axis.saturating_add(4) } else { axis };
            let mut from_first: Vec<i64> = axes.iter().map(from_first).collect();
            from_first.sort_unstable();
            if self.is_row(node, 0) || from_first != [2, 3] {
                return Err(format!(
                    "its axes are {axes:?}: only the mean over height and width of a map, [2, 3], is supported"
                ));
            }
        }
        let x = self.real(node, 0)?;
        let Shape { h, w, .. } = self.shapes[x];
        // Engines before 0 stood for the whole map know windows of up to 64.
        let k = if h == w && h <= MAX_WINDOW as usize { h as u32 } else { 0 };
        self.push_real(AveragePool { x, k, stride: 1 })
    }

    /// `Concat` of two or more maps along their channels.
    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Value, String> {
        let row = |index| self.is_row(node, index);
        let channels = if row(0) { -1 } else { -3 };
        if ![1, channels].contains(&node.int("axis", 1)) || node.input.len() < 2 {
            return Err("only maps of the same size can be joined, along their channels".into());
        }
        if (1..node.input.len()).any(|index| row(index) != row(0)) {
            return Err("some of its maps are flattened: flatten all or none before it".into());
        }
        let mut a = self.real(node, 0)?;
        for index in 1..node.input.len() {
            let b = self.real(node, index)?;
            a = self.push(Concat { a, b })?;
        }
        Ok(Value::Real(self.identity(a)))
    }

    /// `Flatten` and `Reshape` to one row per sample. Maps keep their layout; the linear layer that follows reorders its
    /// weights.
    pub(super) fn flatten(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.affine(node, 0)?;
        let flat = if node.op_type == "Flatten" {
            node.int("axis", 1) == 1
        } else {
            let all = x.shape.len() as f32;
            match self.constant(node, 1)?.values[..] {
                [0.0, rest] => node.int("allowzero", 0) == 0 && [-1.0, all].contains(&rest),
                [1.0, rest] => [-1.0, all].contains(&rest),
                [-1.0, rest] => rest == all,
                _ => false,
            }
        };
        match flat {
            true if (x.shape.h, x.shape.w) == (1, 1) => Ok(Value::Real(x)),
            true => Ok(Value::Flat(self.settle(x)?)),
            false => Err("only flattening to one row per sample is supported".into()),
        }
    }
}
