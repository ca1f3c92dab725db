//! The fields of an operation in a packed model's JSON.
//!
//! By hand: what serde derives for the operations, a visitor each, was a sixth of the engine that a page downloads.

use serde_json::Value;

use crate::tensor::Blob;

/// An object's fields. Their readers are called from many places: each would else carry a copy of its errors' texts.
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a Value);

impl<'a> Fields<'a> {
    /// A field.
    ///
    /// # Errors
    /// Where it is missing, or is none.
    #[inline(never)]
    pub fn get(self, name: &str) -> Result<&'a Value, String> {
        self.0.get(name).ok_or_else(|| format!("'{name}' is missing"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// Where it is missing, or is none.
    #[inline(never)]
    pub fn whole(self, name: &str) -> Result<i64, String> {
        self.get(name)?.as_i64().ok_or_else(|| format!("'{name}' is no whole number"))
    }

    /// A whole number of any type.
    ///
    /// # Errors
    /// Where it is missing, or is none.
    #[inline(never)]
    pub fn number<T: TryFrom<i64>>(self, name: &str) -> Result<T, String> {
        T::try_from(self.whole(name)?).map_err(|_| format!("'{name}' is out of range"))
    }

    /// A whole number; 0 where it is missing.
    ///
    /// # Errors
    /// Where it is none.
    #[inline(never)]
    pub fn or_zero(self, name: &str) -> Result<u8, String> {
        if self.0.get(name).is_some() { self.number(name) } else { Ok(0) }
    }

    /// A list.
    ///
    /// # Errors
    /// Where it is missing, or is none.
    #[inline(never)]
    pub fn list(self, name: &str) -> Result<&'a [Value], String> {
        self.get(name)?.as_array().map(Vec::as_slice).ok_or_else(|| format!("'{name}' is no list"))
    }

    /// A list of indices of operations.
    ///
    /// # Errors
    /// Where it is missing, or is none.
    #[inline(never)]
    pub fn indices(self, name: &str) -> Result<Vec<usize>, String> {
        let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
        let all = self.list(name)?.iter().map(index).collect::<Option<_>>();
        all.ok_or_else(|| format!("'{name}' are no indices"))
    }

    /// A tensor.
    ///
    /// # Errors
    /// Where it is missing, or is none.
    #[inline(never)]
    pub fn blob(self, name: &str) -> Result<Blob, String> {
        let of = Fields(self.get(name)?);
        Ok(Blob { at: of.number("at")?, len: of.number("len")? })
    }

    /// A real number.
    ///
    /// # Errors
    /// Where it is missing, or is none.
    #[inline(never)]
    pub fn real(self, name: &str) -> Result<f32, String> {
        let number = self.get(name)?.as_f64().ok_or_else(|| format!("'{name}' is no number"))?;
        Ok(number as f32)
    }
}
