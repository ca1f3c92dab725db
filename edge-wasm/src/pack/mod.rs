//! QONNX to `edge.fog`.
//!
//! The edge model comes as QONNX: standard ONNX with `Quant` and `BipolarQuant` nodes of the
//! domain `qonnx.custom_op.general`. Its only input is the picture, its last output the map at
//! the split, every other output an exit's logits. Packing
//!
//! - reads the graph ([`onnx`]),
//! - turns it into operations, folding batch-norms and scales into one affine or, where a sign
//!   follows at once, into whole-number thresholds ([`lower`]),
//! - orders them so that nothing is computed before an exit that the exit does not need,
//! - packs weights to bits, and counts what each part costs.
//!
//! What cannot be represented is refused by the node's name.

use core::fmt;

use fogline::energy::Counts;
use fogline::manifest::{Input, Part, Role};

use crate::fog::{FogError, Model, Program};
use crate::kernel::Geometry;
use crate::op::Op;

mod lower;
mod onnx;

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

/// Packs a QONNX file for pictures that are normalised as `input` says.
///
/// # Errors
/// When the file cannot be read, or holds what the edge cannot represent.
pub fn pack(qonnx: &[u8], input: &Input) -> Result<Packed, PackError> {
    let graph = onnx::Graph::read(qonnx)?;
    let lowered = lower::lower(&graph, input)?;
    let digest = fogline::manifest::sha256_hex(qonnx);
    let mut source = [0; 32];
    for (byte, pair) in source.iter_mut().zip(digest.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(&String::from_utf8_lossy(pair), 16).expect("hexadecimal digits");
    }
    let (program, heads) = in_order_of_need(lowered.ops, &lowered.exits, lowered.split);
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
    (Program { ops, exits, split: place(split) }, heads)
}

/// MACs, and elements read, of trunk and head up to each exit, then of the trunk up to the split.
///
/// A convolution counts at the width of its weights; an exit's linear layer, whose inputs are
/// real, at 32 bits. Taps over the padding count, as in the usual formula. Weights and input map
/// are read once.
fn count_costs(model: &Model, heads: &[bool]) -> Vec<Part> {
    let mut parts: Vec<Part> = vec![];
    let mut stretch = 1;
    let new = |name: String, role| Part { name, role, macs: Counts::new(), reads: Counts::new() };
    let mut trunk = new("trunk-1".into(), Role::Trunk);
    let mut head = new("exit-1".into(), Role::Head);
    for (index, op) in model.program.ops.iter().enumerate() {
        let part = if heads[index] { &mut head } else { &mut trunk };
        let cost = match op {
            Op::Conv { x, conv, .. } | Op::ConvSign { x, conv, .. } => {
                let g = Geometry::new(model.shapes[*x], conv);
                let weights = g.outputs * g.k * g.k * g.x.c;
                Some((conv.bits, g.out.0 * g.row_len() * g.k * g.k * g.x.c, weights + g.x.len()))
            }
            Op::Dense { x, outputs, .. } => {
                let inputs = model.shapes[*x].len();
                let macs = inputs * *outputs as usize;
                Some((32, macs, macs + inputs))
            }
            _ => None,
        };
        if let Some((bits, macs, reads)) = cost {
            *part.macs.entry(bits).or_default() += macs as u64;
            *part.reads.entry(bits).or_default() += reads as u64;
        }
        if model.program.exits.contains(&index) {
            stretch += 1;
            parts
                .push(core::mem::replace(&mut trunk, new(format!("trunk-{stretch}"), Role::Trunk)));
            parts.push(core::mem::replace(&mut head, new(format!("exit-{stretch}"), Role::Head)));
        }
    }
    parts.push(trunk);
    parts
}
