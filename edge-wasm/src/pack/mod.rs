//! QONNX to `edge.fog`.
//!
//! The edge model comes as QONNX: standard ONNX with `Quant` and `BipolarQuant` nodes of the
//! domain `qonnx.custom_op.general`. Its input is the picture, its last output the map at
//! the split, every other output an exit's logits; one of the name `extension` is for the hard classes alone. Where blocks
//! have several ways, a second input has 1 at the one that the sample takes and 0 elsewhere, and their maps, each times its
//! element, are added up. Packing
//!
//! - reads the graph ([`onnx`]),
//! - turns it into operations, folding batch-norms and scales into one affine or, where a sign
//!   follows at once, into whole-number thresholds ([`lower`]),
//! - orders them so that nothing is computed before an exit that the exit does not need,
//! - packs weights to bits, and counts what each part costs.
//!
//! What cannot be represented is refused by the node's name.

use core::fmt;
use std::collections::BTreeSet;

use fogline::energy::Counts;
use fogline::manifest::{Input, Part, Role};

use crate::model::{FogError, Model, Program, Stretch};
use crate::ops::Op;

mod lower;
mod onnx;
#[cfg(test)]
mod tests;

/// The output that is an extension.
const EXTENSION: &str = "extension";

/// Why an edge model cannot be packed.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PackError {
    /// Not an ONNX file.
    NotOnnx(String),
    /// A constant tensor cannot be read.
    Tensor {
        /// Its name.
        tensor: String,
        /// Why.
        why: String,
    },
    /// A node cannot be represented.
    Node {
        /// Its name, or that of its output.
        node: String,
        /// Its operator.
        op_type: String,
        /// Why.
        why: String,
    },
    /// The graph as a whole is no edge model.
    Graph(String),
    /// The packed model does not hold together.
    Fog(FogError),
}

impl PackError {
    fn node(node: &onnx::NodeProto, why: impl Into<String>) -> Self {
        let name = if node.name.is_empty() {
            node.output.first().cloned()
        } else {
            Some(node.name.clone())
        };
        Self::Node {
            node: name.unwrap_or_default(),
            op_type: node.op_type.clone(),
            why: why.into(),
        }
    }

    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::NotOnnx(_) => "not_onnx",
            Self::Tensor { .. } => "unsupported_tensor",
            Self::Node { .. } => "unsupported_node",
            Self::Graph(_) => "unsupported_graph",
            Self::Fog(error) => error.word(),
        }
    }
}

impl fmt::Display for PackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotOnnx(why) => write!(f, "this is not an ONNX file: {why}"),
            Self::Tensor { tensor, why } => write!(f, "tensor '{tensor}': {why}"),
            Self::Node { node, op_type, why } => write!(f, "node '{node}' ({op_type}): {why}"),
            Self::Graph(why) => f.write_str(why),
            Self::Fog(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PackError {}

/// A packed edge model, and what the manifest says of it.
pub struct Packed {
    /// The bytes of `edge.fog`.
    pub bytes: Vec<u8>,
    /// The model, read back from them.
    pub model: Model,
    /// What a level of the split map is worth in the cloud's input.
    pub split_scale: f32,
    /// What the edge's parts cost.
    pub parts: Vec<Part>,
}

/// Packs a QONNX file for pictures that are normalised as `input` says. Above 1, `share` stores each sign once that as many
/// 1-bit weights share by hashing ([`crate::ops::Filter`]).
///
/// # Errors
/// When the file cannot be read, or holds what the edge cannot represent; when no convolution's weights are shared so.
pub fn pack(qonnx: &[u8], input: &Input, share: u8) -> Result<Packed, PackError> {
    let graph = onnx::Graph::read(qonnx)?;
    let lowered = lower::lower(&graph, input, share)?;
    let digest = fogline::manifest::sha256_hex(qonnx);
    let mut source = [0; 32];
    for (byte, pair) in source.iter_mut().zip(digest.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hexadecimal digits");
    }
    let shared = |op: &Op| op.filter().is_some_and(|(_, filter)| filter.share > 0);
    if share > 1 && !lowered.ops.iter().any(shared) {
        return Err(PackError::Graph(format!(
            "no convolution has 1-bit weights that share each value by {share}: train with --share {share}"
        )));
    }
    let (mut program, heads) = in_order_of_need(lowered.ops, &lowered.exits, lowered.split);
    let extension = graph.outputs.iter().position(|name| name == EXTENSION);
    program.stretches = stretches(&program, extension.map(|exit| program.exits[exit]));
    let bytes = Model::write(&program, &lowered.data, source).map_err(PackError::Fog)?;
    let model = Model::parse(&bytes).map_err(PackError::Fog)?;
    let parts = count_costs(&model, &heads);
    Ok(Packed { bytes, model, split_scale: lowered.split_scale, parts })
}

/// Orders operations so that each exit comes before anything that it does not need. Returns
/// the program, and for every operation whether only exits need it.
fn in_order_of_need(ops: Vec<Op>, exits: &[usize], split: usize) -> (Program, Vec<bool>) {
    fn visit(index: usize, ops: &[Op], order: &mut Vec<usize>) {
        if !order.contains(&index) {
            for input in ops[index].inputs() {
                visit(input, ops, order);
            }
            order.push(index);
        }
    }
    let mut order = vec![];
    for &output in exits.iter().chain([&split]) {
        visit(output, &ops, &mut order);
    }
    let mut trunk = vec![];
    visit(split, &ops, &mut trunk);
    let place = |old: usize| order.iter().position(|&o| o == old).expect("every input was visited");
    let heads = order.iter().map(|old| !trunk.contains(old)).collect();
    let mut ops: Vec<Option<Op>> = ops.into_iter().map(Some).collect();
    let reordered = order.iter().map(|&old| {
        let mut op = ops[old].take().expect("every operation stands once in the order");
        op.for_each_input(|input| *input = place(*input));
        op
    });
    let ops = reordered.collect();
    let exits = exits.iter().map(|&exit| place(exit)).collect();
    (Program { ops, exits, split: place(split), stretches: vec![] }, heads)
}

/// The operations that only some samples need: those of an extension, which is way 1, and of one of several ways.
fn stretches(program: &Program, extension: Option<usize>) -> Vec<Stretch> {
    let outputs = program.exits.iter().chain([&program.split]);
    // What each operation is read on: no way where everybody reads it.
    let mut read: Vec<BTreeSet<Option<u8>>> = vec![BTreeSet::new(); program.ops.len()];
    for &output in outputs {
        read[output].insert((Some(output) == extension).then_some(1));
    }
    let mut ways = vec![None; program.ops.len()];
    for (index, op) in program.ops.iter().enumerate().rev() {
        let all: Vec<Option<u8>> = read[index].iter().copied().collect();
        ways[index] = if let [way] = all[..] { way } else { None };
        for (at, input) in op.inputs().into_iter().enumerate() {
            let either = matches!(op, Op::Either(_)).then_some(at as u8);
            read[input].insert(either.or(ways[index]));
        }
    }
    let mut found: Vec<Stretch> = vec![];
    for (index, way) in ways.iter().enumerate().filter_map(|(index, way)| Some((index, (*way)?))) {
        match found.last_mut().filter(|last| last.way == way && last.to == index) {
            Some(last) => last.to += 1,
            None => found.push(Stretch { way, from: index, to: index + 1 }),
        }
    }
    found
}

/// MACs, and elements read, of trunk and head up to each exit, then of the trunk up to the split.
///
/// A convolution counts at the width of its weights; an exit's linear layer, whose inputs are
/// real, at 32 bits. Taps over the padding count, as in the usual formula. Weights and input map
/// are read once. A stretch with several ways is as many parts, each with what all samples pass there.
fn count_costs(model: &Model, heads: &[bool]) -> Vec<Part> {
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

/// Adds what an operation costs.
fn count(model: &Model, op: usize, part: &mut Part) {
    if let Some(cost) = model.program.ops[op].cost(&model.shapes) {
        *part.macs.entry(cost.bits).or_default() += cost.macs;
        *part.reads.entry(cost.bits).or_default() += cost.reads;
    }
}
