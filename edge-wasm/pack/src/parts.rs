//! The cost of the edge's parts.

use std::collections::BTreeSet;

use fogline::manifest::{Counts, Part, Role};
use fogline_edge::model::Model;

/// Counts MACs and elements read: for trunk and head up to each exit, then for the trunk up to the split.
///
/// A convolution counts at the bit width of its weights, and an exit's linear layer, whose inputs
/// are real, at 32 bits. Taps over the padding count, as in the usual formula. Weights and input maps
/// are read once. If there are several ways, each is a part of its own, including what all samples run in that stretch.
pub fn count_costs(model: &Model, heads: &[bool]) -> Vec<Part> {
    let program = &model.program;
    let mut parts: Vec<Part> = vec![];
    let new = |name: String, role, way| Part {
        name,
        role,
        way,
        macs: Counts::new(),
        reads: Counts::new(),
    };
    let mut from = 0;
    let ends = program.exits.iter().chain([&program.split]);
    for (number, &end) in (1..).zip(ends) {
        let members = from..=end;
        from = end + 1;
        let trunk = |op: &usize| !heads[*op];
        let mut ways: BTreeSet<Option<u8>> =
            members.clone().filter(trunk).filter_map(|op| program.way_of(op)).map(Some).collect();
        if ways.is_empty() {
            ways.insert(None);
        }
        for way in ways {
            let mut part = new(format!("trunk-{number}"), Role::Trunk, way);
            let on_it = |op: &usize| program.way_of(*op).is_none_or(|own| Some(own) == way);
            members.clone().filter(trunk).filter(on_it).for_each(|op| count(model, op, &mut part));
            parts.push(part);
        }
        if end != program.split {
            let mut head = new(format!("exit-{number}"), Role::Head, None);
            members.filter(|op| heads[*op]).for_each(|op| count(model, op, &mut head));
            parts.push(head);
        }
    }
    parts
}

/// Adds the cost of operation `op` to `part`.
fn count(model: &Model, op: usize, part: &mut Part) {
    if let Some(cost) = model.program.ops[op].cost(&model.shapes) {
        *part.macs.entry(cost.bits).or_default() += cost.macs;
        *part.reads.entry(cost.bits).or_default() += cost.reads;
    }
}
