//! Writes a list with an entry a line, which people can read and compare, even where the rest is indented.

use serde::ser::Error;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};

/// Serialises each row on one line.
pub fn each<T: Serialize, S: Serializer>(rows: &[T], serializer: S) -> Result<S::Ok, S::Error> {
    let lines = rows.iter().map(to_raw_value).collect::<serde_json::Result<Vec<Box<RawValue>>>>();
    serializer.collect_seq(lines.map_err(S::Error::custom)?)
}
