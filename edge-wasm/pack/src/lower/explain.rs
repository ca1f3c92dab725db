//! What each node of a graph becomes, in words.

use fogline_edge::ops::Op;
use fogline_edge::tensor::{Kind, Shape};

use super::lowering::Lowering;
use super::value::{Base, Value, Weights};
use crate::onnx::NodeProto;

/// A node, and what becomes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// The node's name or, if it has none, its output's.
    pub node: String,
    /// The node's operator.
    pub operator: String,
    /// What its result is and which operations it adds, or why it is refused.
    pub becomes: String,
}

impl Lowering<'_> {
    /// Explains a node that was lowered, refused, or, if `done` is `None`, left out because of a refusal before it. `from` is
    /// the number of operations before it.
    pub(super) fn explained(
        &self,
        node: &NodeProto,
        done: Option<&Result<(), String>>,
        from: usize,
    ) -> Explained {
        let becomes = match done {
            None => "left out: what it reads was refused".into(),
            Some(Err(why)) => format!("REFUSED: {why}"),
            Some(Ok(())) => {
                let output = node.output.first().map_or("", String::as_str);
                let result = match (self.values.get(output), self.folded.get(output)) {
                    (Some(value), _) => self.described(value),
                    (_, Some(constant)) => format!("a constant of shape {:?}", constant.dims),
                    _ => "nothing".into(),
                };
                let ops: Vec<String> = self.out.ops[from..].iter().map(name).collect();
                if ops.is_empty() { result } else { format!("{result}; runs {}", ops.join(", ")) }
            }
        };
        Explained { node: node.called(), operator: node.op_type.clone(), becomes }
    }

    fn described(&self, value: &Value) -> String {
        let on = |shape: Shape| format!("{}x{}x{}", shape.h, shape.w, shape.c);
        match value {
            Value::Real(map) => match &map.base {
                Base::Picture if map.is_identity() => "the picture".into(),
                Base::Picture => "the picture, normalised in its table of bytes".into(),
                Base::Sums { filter, .. } => format!(
                    "sums of {0}x{0} kernels of {1} bits, {2}, scaled by what reads them",
                    filter.k,
                    filter.bits,
                    on(map.shape)
                ),
                Base::Op(_) if map.is_identity() => format!("real numbers, {}", on(map.shape)),
                Base::Op(_) => format!(
                    "real numbers, {}, with a scale and a term per channel for what reads them",
                    on(map.shape)
                ),
            },
            Value::Quantised { op, .. } => {
                let (shape, bits) =
                    (self.shapes[*op], self.out.ops[Op::quantiser(&self.out.ops, *op)].bits());
                match shape.kind {
                    Kind::Sign => format!("signs, {}", on(shape)),
                    Kind::Byte => format!("levels from 0 to 255, {}", on(shape)),
                    _ => format!("levels of {bits} bits, {}", on(shape)),
                }
            }
            Value::Integers(map, _) => {
                format!("integers until they are dequantised, {}", on(map.shape))
            }
            Value::Joined(parts) => format!("levels of {} scales side by side", parts.len()),
            Value::Flat(map) => format!("one row of: {}", self.described(map)),
            Value::Weights(Weights { bits, dims, .. })
            | Value::Transposed(Weights { bits, dims, .. }) => {
                format!("weights of {bits} bits, outputs first {dims:?}")
            }
            Value::Way(way) => format!("1 for samples on way {way}"),
            Value::Ways(maps) => format!("the maps of {} ways", maps.len()),
        }
    }
}

/// An operation's name.
fn name(op: &Op) -> String {
    let text = format!("{op:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}
