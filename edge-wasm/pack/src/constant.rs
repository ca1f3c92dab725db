//! Constant tensors.

use crate::onnx::{ELSEWHERE, NodeProto, TensorProto};

/// A constant tensor, converted from any element type that is supported.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// The shape.
    pub dims: Vec<usize>,
    /// The values in row-major order.
    pub values: Vec<f32>,
    /// The lowest and the highest value of its element type, if that is an integer of 8 bits.
    pub range: Option<(f32, f32)>,
}

/// The element types that are supported, by their number in `onnx.TensorProto.DataType`.
mod types {
    pub const FLOAT: i32 = 1;
    pub const UINT8: i32 = 2;
    pub const INT8: i32 = 3;
    pub const INT32: i32 = 6;
    pub const INT64: i32 = 7;
    pub const BOOL: i32 = 9;
    pub const DOUBLE: i32 = 11;
}

impl Constant {
    /// Numbers in this shape.
    pub fn new(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self { dims, values, range: None }
    }

    /// A list of numbers.
    pub fn list(values: Vec<f32>) -> Self {
        Self::new(vec![values.len()], values)
    }

    /// The value of a `Constant` node: a tensor, one number, or a list of numbers.
    ///
    /// # Errors
    /// If it has no such value, or its tensor cannot be decoded.
    pub fn of_node(node: &NodeProto) -> Result<Self, String> {
        let [value] = &node.attribute[..] else { return Err("it needs one value".into()) };
        let constant = match (value.name.as_str(), &value.t) {
            ("value", Some(tensor)) => Self::decode(tensor)?,
            ("value_float", _) => Self::new(vec![], vec![value.f]),
            ("value_int", _) => Self::new(vec![], vec![value.i as f32]),
            ("value_floats", _) => Self::list(value.floats.clone()),
            ("value_ints", _) => Self::list(value.ints.iter().map(|&v| v as f32).collect()),
            (name, _) => return Err(format!("the attribute '{name}' is not supported")),
        };
        constant.finite()
    }

    /// Decodes a tensor.
    ///
    /// # Errors
    /// If its data are in another file, of another element type, or do not fit its shape.
    pub fn decode(tensor: &TensorProto) -> Result<Self, String> {
        if tensor.data_location != 0 {
            return Err(ELSEWHERE.into());
        }
        let raw = &tensor.raw_data;
        let ints = || tensor.int32_data.iter().map(|&v| v as f32).collect();
        let (values, range): (Vec<f32>, _) = match tensor.data_type {
            types::FLOAT if raw.is_empty() => (tensor.float_data.clone(), None),
            types::FLOAT => (each(raw, f32::from_le_bytes).collect(), None),
            types::DOUBLE => (each(raw, f64::from_le_bytes).map(|v| v as f32).collect(), None),
            types::INT8 if raw.is_empty() => (ints(), Some((-128.0, 127.0))),
            types::INT8 => {
                (raw.iter().map(|&b| f32::from(b.cast_signed())).collect(), Some((-128.0, 127.0)))
            }
            types::UINT8 if raw.is_empty() => (ints(), Some((0.0, 255.0))),
            types::UINT8 => (raw.iter().map(|&b| f32::from(b)).collect(), Some((0.0, 255.0))),
            types::INT32 | types::BOOL if raw.is_empty() => (ints(), None),
            types::INT32 => (each(raw, i32::from_le_bytes).map(|v| v as f32).collect(), None),
            types::BOOL => (raw.iter().map(|&b| f32::from(b)).collect(), None),
            types::INT64 if raw.is_empty() => {
                (tensor.int64_data.iter().map(|&v| v as f32).collect(), None)
            }
            types::INT64 => (each(raw, i64::from_le_bytes).map(|v| v as f32).collect(), None),
            other => {
                return Err(format!(
                    "its element type {other} is not float, double, an integer of 8, 32 or 64 bits, or bool"
                ));
            }
        };
        let dims: Option<Vec<usize>> =
            tensor.dims.iter().map(|&d| usize::try_from(d).ok()).collect();
        let dims = dims.ok_or("it has a negative dimension")?;
        let count = dims.iter().try_fold(1_usize, |n, &d| n.checked_mul(d));
        if count != Some(values.len()) {
            return Err(format!(
                "it has {} values, which do not fit its shape {dims:?}",
                values.len()
            ));
        }
        Self { dims, values, range }.finite()
    }

    /// The same, if all values are finite.
    fn finite(self) -> Result<Self, String> {
        if self.values.iter().all(|value| value.is_finite()) {
            Ok(self)
        } else {
            Err("it has a value that is not a finite number".into())
        }
    }
}

/// The numbers of N bytes each.
fn each<const N: usize, T>(raw: &[u8], number: fn([u8; N]) -> T) -> impl Iterator<Item = T> {
    raw.as_chunks::<N>().0.iter().map(move |bytes| number(*bytes))
}
