//! QONNX to `edge.fog`.
//!
//! The edge model comes as QONNX: standard ONNX with `Quant` and `BipolarQuant` nodes of the
//! domain `qonnx.custom_op.general`. Its input is the picture, its last output the map at
//! the split, every other output an exit's logits; one of the name `extension` is for the hard classes alone. Where blocks
//! have several ways, a second input has 1 at the one that the sample takes and 0 elsewhere, and their maps, each times its
//! element, are added up. Packing
//!
//! - reads the graph (`onnx`),
//! - turns it into operations, folding batch-norms and scales into one affine or, where a sign
//!   follows at once, into whole-number thresholds (`lower`),
//! - orders them so that nothing is computed before an exit that the exit does not need,
//! - packs weights to bits, and counts what each part costs.
//!
//! What cannot be represented is refused by the node's name.

#![warn(missing_docs)]

use fogline::manifest::{Input, Part};
use fogline_edge::model::Model;
use fogline_edge::ops::Op;

mod error;
mod lower;
mod onnx;
mod order;
mod parts;
#[cfg(test)]
mod tests;

pub use error::PackError;

/// The output that is an extension.
const EXTENSION: &str = "extension";

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

/// Whether a pair's cloud model is ONNX and has all of its constants in itself: a pair has no room for a second file.
///
/// # Errors
/// With the first constant that lies in another file, or when the bytes are no ONNX.
pub fn check_whole(onnx: &[u8]) -> Result<(), PackError> {
    onnx::check_whole(onnx)
}

/// Packs a QONNX file for pictures that are normalised as `input` says. Above 1, `share` stores each sign once that as many
/// 1-bit weights share by hashing ([`fogline_edge::ops::Filter`]).
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
    let (mut program, heads) = order::in_order_of_need(lowered.ops, &lowered.exits, lowered.split);
    let extension = graph.outputs.iter().position(|name| name == EXTENSION);
    program.stretches = order::stretches(&program, extension.map(|exit| program.exits[exit]));
    let bytes = Model::write(&program, &lowered.data, source).map_err(PackError::Fog)?;
    let model = Model::parse(&bytes).map_err(PackError::Fog)?;
    let parts = parts::count_costs(&model, &heads);
    Ok(Packed { bytes, model, split_scale: lowered.split_scale, parts })
}
