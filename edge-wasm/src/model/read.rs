//! Decoding a program from its JSON.

use serde_json::{Value, from_slice};

use super::program::{Program, Stretch};
use crate::ops::{Fields, Op};

/// Decodes a program.
///
/// # Errors
/// What is wrong in the JSON, and where.
pub fn program(json: &[u8]) -> Result<Program, String> {
    let value: Value = from_slice(json).map_err(|error| error.to_string())?;
    let all = Fields(&value);
    let ops = all.list("ops")?.iter().enumerate();
    let ops = ops
        .map(|(index, value)| Op::read(value).map_err(|why| format!("operation {index}: {why}")));
    let stretch = |value| {
        let of = Fields(value);
        Ok(Stretch { way: of.number("way")?, from: of.number("from")?, to: of.number("to")? })
    };
    let stretches = if value["stretches"].is_null() { &[] } else { all.list("stretches")? };
    let coder = (!value["coder"].is_null()).then(|| all.blob("coder")).transpose()?;
    Ok(Program {
        ops: ops.collect::<Result<_, String>>()?,
        exits: all.indices("exits")?,
        split: all.number("split")?,
        stretches: stretches.iter().map(stretch).collect::<Result<_, String>>()?,
        coder,
    })
}
