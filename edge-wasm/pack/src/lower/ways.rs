//! The maps of several ways, one of which the graph's second input chooses.

use std::collections::BTreeMap;

use super::lowering::Lowering;
use super::value::Value;
use crate::onnx::NodeProto;
use fogline_edge::ops::Either;

impl Lowering<'_> {
    /// One element of the graph's second input.
    pub(super) fn way(&self, node: &NodeProto) -> Result<Value, String> {
        let (name, ways) = self.graph.way.as_ref().ok_or("only the input 'way' can be indexed")?;
        match (node.input.first() == Some(name), &self.constant(node, 1)?.values[..]) {
            (true, &[index]) if (0.0..*ways as f32).contains(&index) => {
                Ok(Value::Way(index as usize))
            }
            _ => Err(format!("it needs one element of '{name}', which has {ways}")),
        }
    }

    /// The product of a map and its way, or the sum of such products. The sum over all ways becomes [`Either`].
    pub(super) fn ways(&mut self, node: &NodeProto) -> Result<Option<Value>, String> {
        let of = |index| self.value(node, index);
        let maps = match (node.op_type.as_str(), of(0), of(1)) {
            ("Mul", Ok(Value::Way(way)), Ok(Value::Real(map)))
            | ("Mul", Ok(Value::Real(map)), Ok(Value::Way(way))) => {
                BTreeMap::from([(way, self.settle(map)?)])
            }
            ("Add", Ok(Value::Ways(mut some)), Ok(Value::Ways(others))) => {
                some.extend(others);
                some
            }
            _ => return Ok(None),
        };
        let all = self.graph.way.as_ref().is_some_and(|(_, ways)| *ways == maps.len());
        Ok(Some(if all {
            self.push_real(Either { of: maps.into_values().collect() })?
        } else {
            Value::Ways(maps)
        }))
    }
}
