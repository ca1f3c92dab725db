//! A packed model's program, read from its JSON.
//!
//! By hand: what serde derives for the operations, a visitor each, was a sixth of the engine that a page downloads.

use serde_json::{Value, from_slice};

use crate::conv::Conv;
use crate::fog::{Program, Stretch};
use crate::op::{Blob, Op};

/// Reads a program.
///
/// # Errors
/// Says what is not one, and where.
pub fn program(json: &[u8]) -> Result<Program, String> {
    let value: Value = from_slice(json).map_err(|error| error.to_string())?;
    let all = Fields(&value);
    let ops = all.list("ops")?.iter().enumerate();
    let ops =
        ops.map(|(index, value)| op(value).map_err(|why| format!("operation {index}: {why}")));
    let stretch = |value| {
        let of = Fields(value);
        Ok(Stretch { way: of.number("way")?, from: of.number("from")?, to: of.number("to")? })
    };
    let stretches = if value["stretches"].is_null() { &[] } else { all.list("stretches")? };
    Ok(Program {
        ops: ops.collect::<Result<_, String>>()?,
        exits: all.indices("exits")?,
        split: all.number("split")?,
        stretches: stretches.iter().map(stretch).collect::<Result<_, String>>()?,
    })
}

/// `{"name": {…}}`.
fn op(value: &Value) -> Result<Op, String> {
    let named = value.as_object().filter(|map| map.len() == 1).and_then(|map| map.iter().next());
    let (name, value) = named.ok_or("it is not one name with its fields")?;
    let of = Fields(value);
    let x = || of.number("x");
    Ok(match name.as_str() {
        "input" => Op::Input { size: of.number("size")?, table: of.blob("table")? },
        "sign" => Op::Sign { x: x()?, threshold: of.blob("threshold")? },
        "quantise" => Op::Quantise {
            x: x()?,
            scale: of.get("scale")?.as_f64().ok_or("'scale' is no number")? as f32,
            low: of.number("low")?,
            high: of.number("high")?,
        },
        "conv" => {
            Op::Conv { x: x()?, conv: of.conv()?, scale: of.blob("scale")?, bias: of.blob("bias")? }
        }
        "conv_sign" => Op::ConvSign {
            x: x()?,
            conv: of.conv()?,
            threshold: of.blob("threshold")?,
            flip: of.blob("flip")?,
        },
        "affine" => Op::Affine { x: x()?, scale: of.blob("scale")?, bias: of.blob("bias")? },
        "add" => Op::Add { a: of.number("a")?, b: of.number("b")? },
        "prelu" => Op::Prelu { x: x()?, slope: of.blob("slope")? },
        "average_pool" => {
            Op::AveragePool { x: x()?, k: of.number("k")?, stride: of.number("stride")? }
        }
        "max_pool" => Op::MaxPool { x: x()?, k: of.number("k")?, stride: of.number("stride")? },
        "either" => Op::Either { of: of.indices("of")? },
        "concat" => Op::Concat { a: of.number("a")?, b: of.number("b")? },
        "dense" => Op::Dense {
            x: x()?,
            outputs: of.number("outputs")?,
            bits: of.number("bits")?,
            weights: of.blob("weights")?,
            scale: of.blob("scale")?,
            bias: of.blob("bias")?,
        },
        _ => return Err(format!("'{name}' is not known")),
    })
}

/// An object's fields. Their readers are called from many places: each would else carry a copy of its errors' texts.
#[derive(Clone, Copy)]
struct Fields<'a>(&'a Value);

impl<'a> Fields<'a> {
    #[inline(never)]
    fn get(self, name: &str) -> Result<&'a Value, String> {
        self.0.get(name).ok_or_else(|| format!("'{name}' is missing"))
    }

    #[inline(never)]
    fn whole(self, name: &str) -> Result<i64, String> {
        self.get(name)?.as_i64().ok_or_else(|| format!("'{name}' is no whole number"))
    }

    #[inline(never)]
    fn number<T: TryFrom<i64>>(self, name: &str) -> Result<T, String> {
        T::try_from(self.whole(name)?).map_err(|_| format!("'{name}' is out of range"))
    }

    /// 0 where it is missing.
    #[inline(never)]
    fn or_zero(self, name: &str) -> Result<u8, String> {
        if self.0.get(name).is_some() { self.number(name) } else { Ok(0) }
    }

    #[inline(never)]
    fn list(self, name: &str) -> Result<&'a [Value], String> {
        self.get(name)?.as_array().map(Vec::as_slice).ok_or_else(|| format!("'{name}' is no list"))
    }

    #[inline(never)]
    fn indices(self, name: &str) -> Result<Vec<usize>, String> {
        let index = |value: &Value| value.as_u64().and_then(|index| usize::try_from(index).ok());
        let all = self.list(name)?.iter().map(index).collect::<Option<_>>();
        all.ok_or_else(|| format!("'{name}' are no indices"))
    }

    #[inline(never)]
    fn blob(self, name: &str) -> Result<Blob, String> {
        let of = Fields(self.get(name)?);
        Ok(Blob { at: of.number("at")?, len: of.number("len")? })
    }

    #[inline(never)]
    fn conv(self) -> Result<Conv, String> {
        let of = Fields(self.get("conv")?);
        Ok(Conv {
            k: of.number("k")?,
            stride: of.number("stride")?,
            pad: of.number("pad")?,
            outputs: of.number("outputs")?,
            bits: of.number("bits")?,
            weights: of.blob("weights")?,
            nested: of.or_zero("nested")?,
            share: of.or_zero("share")?,
        })
    }
}
