//! Constant tensors.

use crate::onnx::{ELSEWHERE, NodeProto, TensorProto};

/// A constant tensor, converted from any element type that is supported.
#[derive(Debug, Clone, PartialEq)]
pub struct Constant {
    /// The shape.
    pub dims: Vec<usize>,
    /// The values in row-major order.
    pub values: Vec<f32>,
    /// The type of its elements.
    pub element: Element,
}

/// The type of a constant's elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// Real numbers.
    Real,
    /// Truth values, 0 or 1.
    Bool,
    /// Integers of 32 or 64 bits.
    Whole,
    /// Integers from -128 to 127.
    Int8,
    /// Integers from 0 to 255.
    Uint8,
}

impl Element {
    /// The type with this number in `onnx.TensorProto.DataType`; `None` if it is not supported.
    pub fn of(number: i64) -> Option<Self> {
        Some(match number {
            1 | 11 => Self::Real,
            2 => Self::Uint8,
            3 => Self::Int8,
            6 | 7 => Self::Whole,
            9 => Self::Bool,
            _ => return None,
        })
    }

    /// Its lowest and its highest value, if it has 8 bits.
    pub fn range(self) -> Option<(f32, f32)> {
        match self {
            Self::Int8 => Some((-128.0, 127.0)),
            Self::Uint8 => Some((0.0, 255.0)),
            _ => None,
        }
    }
}

/// The numbers of the element types whose bytes are decoded here.
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
    /// Real numbers in this shape.
    pub fn new(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self { dims, values, element: Element::Real }
    }

    /// A list of integers.
    pub fn whole(values: Vec<f32>) -> Self {
        Self { element: Element::Whole, ..Self::new(vec![values.len()], values) }
    }

    /// The same as elements of another type: integers are cut off, truth is what is not 0.
    ///
    /// # Errors
    /// If a value is out of the type's range.
    pub fn cast(&self, element: Element) -> Result<Self, String> {
        let value = |value: &f32| match element {
            Element::Real => *value,
            Element::Bool => f32::from(*value != 0.0),
            _ => value.trunc(),
        };
        let values: Vec<f32> = self.values.iter().map(value).collect();
        let fits =
            |value: &f32| element.range().is_none_or(|(low, high)| (low..=high).contains(value));
        if !values.iter().all(fits) {
            return Err(format!("a value does not fit {element:?}"));
        }
        Ok(Self { dims: self.dims.clone(), values, element })
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
            ("value_int", _) => {
                Self { element: Element::Whole, ..Self::new(vec![], vec![value.i as f32]) }
            }
            ("value_floats", _) => Self::new(vec![value.floats.len()], value.floats.clone()),
            ("value_ints", _) => Self::whole(value.ints.iter().map(|&v| v as f32).collect()),
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
        let values: Vec<f32> = match tensor.data_type {
            types::FLOAT if raw.is_empty() => tensor.float_data.clone(),
            types::FLOAT => each(raw, f32::from_le_bytes).collect(),
            types::DOUBLE => each(raw, f64::from_le_bytes).map(|v| v as f32).collect(),
            types::INT8 | types::UINT8 | types::INT32 | types::BOOL if raw.is_empty() => {
                tensor.int32_data.iter().map(|&v| v as f32).collect()
            }
            types::INT8 => raw.iter().map(|&b| f32::from(b.cast_signed())).collect(),
            types::UINT8 | types::BOOL => raw.iter().map(|&b| f32::from(b)).collect(),
            types::INT32 => each(raw, i32::from_le_bytes).map(|v| v as f32).collect(),
            types::INT64 if raw.is_empty() => tensor.int64_data.iter().map(|&v| v as f32).collect(),
            types::INT64 => each(raw, i64::from_le_bytes).map(|v| v as f32).collect(),
            _ => vec![],
        };
        let element = Element::of(tensor.data_type.into()).ok_or_else(|| {
            format!(
                "its element type {} is not float, double, an integer of 8, 32 or 64 bits, or bool",
                tensor.data_type
            )
        })?;
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
        Self { dims, values, element }.finite()
    }

    /// The same, if all values are finite.
    pub fn finite(self) -> Result<Self, String> {
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
