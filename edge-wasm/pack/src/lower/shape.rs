//! Nodes that change a map's shape: pools, concatenation, flattening.

use super::lowering::Lowering;
use super::value::Value;
use crate::onnx::NodeProto;
use fogline_edge::ops::{AveragePool, Concat, MaxPool};

impl Lowering<'_> {
    /// `AveragePool`, `MaxPool` and `GlobalAveragePool`, with square windows and without padding.
    pub(super) fn pool(&mut self, node: &NodeProto) -> Result<Value, String> {
        let x = self.real(node, 0)?;
        let shape = self.shapes[x];
        if node.op_type == "GlobalAveragePool" {
            if shape.h != shape.w {
                return Err("the map is not square".into());
            }
            return self.push_real(AveragePool { x, k: shape.h as u32, stride: 1 });
        }
        let kernel = node.ints("kernel_shape", &[]);
        let strides = node.ints("strides", &[1, 1]);
        let plain = node.ints("pads", &[0; 4]).iter().all(|&p| p == 0)
            && node.ints("dilations", &[1, 1]) == [1, 1]
            && node.int("ceil_mode", 0) == 0;
        match (&kernel[..], &strides[..]) {
            (&[k, wide], &[stride, across]) if plain && k == wide && stride == across => {
                let number = |v: i64| u32::try_from(v).map_err(|_| "a negative size".to_owned());
                let (k, stride) = (number(k)?, number(stride)?);
                match node.op_type.as_str() {
                    "AveragePool" => self.push_real(AveragePool { x, k, stride }),
                    _ => self.push_real(MaxPool { x, k, stride }),
                }
            }
            _ => {
                Err("only square windows without pads, dilation and ceil_mode are supported".into())
            }
        }
    }

    /// `Concat` of two or more maps along their channels.
    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Value, String> {
        if node.int("axis", 1) != 1 || node.input.len() < 2 {
            return Err("only maps of the same size can be joined, along their channels".into());
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
        let flat = match node.op_type.as_str() {
            "Flatten" => node.int("axis", 1) == 1,
            _ => {
                matches!(self.constant(node, 1)?.values[..], [batch, rest] if batch <= 1.0 && rest != 0.0)
            }
        };
        if flat {
            Ok(Value::Flat(self.real(node, 0)?))
        } else {
            Err("only flattening to one row per sample is supported".into())
        }
    }
}
