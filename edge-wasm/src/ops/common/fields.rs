//! The fields of an operation in a packed model's JSON.
//!
//! They are read by hand: serde's derived visitors for the operations made up a sixth of the engine that a page downloads.

use serde_json::Value;

use crate::tensor::Blob;

/// The fields of a JSON object. The readers are functions of their own, or each caller would have a copy of their error texts.
#[derive(Clone, Copy)]
pub struct Fields<'a>(pub &'a Value);

impl<'a> Fields<'a> {
    /// The field `name`.
    ///
    /// # Errors
    /// If it is missing.
    #[inline(never)]
    pub fn get(self, name: &str) -> Result<&'a Value, String> {
        self.0.get(name).ok_or_else(|| format!("'{name}' is missing"))
    }

    /// An integer.
    ///
    /// # Errors
    /// If it is missing, or not an integer.
    #[inline(never)]
    pub fn whole(self, name: &str) -> Result<i64, String> {
        self.get(name)?.as_i64().ok_or_else(|| format!("'{name}' is no integer"))
    }

    /// An integer of any type.
    ///
    /// # Errors
    /// If it is missing, not an integer, or out of the type's range.
    #[inline(never)]
    pub fn number<T: TryFrom<i64>>(self, name: &str) -> Result<T, String> {
        T::try_from(self.whole(name)?).map_err(|_| format!("'{name}' is out of range"))
    }

    /// An integer of any type; 0 if it is missing.
    ///
    /// # Errors
    /// If it is not an integer, or out of the type's range.
    #[inline(never)]
    pub fn or_zero<T: TryFrom<i64> + Default>(self, name: &str) -> Result<T, String> {
        if self.0.get(name).is_some() { self.number(name) } else { Ok(T::default()) }
    }

    /// Whether a flag is set; false if it is missing.
    ///
    /// # Errors
    /// If it is neither true nor false.
    #[inline(never)]
    pub fn flag(self, name: &str) -> Result<bool, String> {
        match self.0.get(name) {
            Some(value) => value.as_bool().ok_or_else(|| format!("'{name}' is no flag")),
            None => Ok(false),
        }
    }

    /// A list.
    ///
    /// # Errors
    /// If it is missing, or not a list.
    #[inline(never)]
    pub fn list(self, name: &str) -> Result<&'a [Value], String> {
        self.get(name)?.as_array().map(Vec::as_slice).ok_or_else(|| format!("'{name}' is no list"))
    }

    /// A list of operations' indices.
    ///
    /// # Errors
    /// If it is missing, or not a list of indices.
    #[inline(never)]
    pub fn indices(self, name: &str) -> Result<Vec<usize>, String> {
        let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
        let all = self.list(name)?.iter().map(index).collect::<Option<_>>();
        all.ok_or_else(|| format!("'{name}' are no indices"))
    }

    /// The place of a tensor in the data.
    ///
    /// # Errors
    /// If it is missing, or not two integers.
    #[inline(never)]
    pub fn blob(self, name: &str) -> Result<Blob, String> {
        let of = Fields(self.get(name)?);
        Ok(Blob { at: of.number("at")?, len: of.number("len")? })
    }

    /// A real number.
    ///
    /// # Errors
    /// If it is missing, or not a number.
    #[inline(never)]
    pub fn real(self, name: &str) -> Result<f32, String> {
        let number = self.get(name)?.as_f64().ok_or_else(|| format!("'{name}' is no number"))?;
        Ok(number as f32)
    }
}
