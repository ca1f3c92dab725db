//! From QONNX to `edge.fog`.
//!
//! The edge model is a QONNX file: standard ONNX with `Quant` and `BipolarQuant` nodes of the
//! domain `qonnx.custom_op.general`. Its input is the picture. Its last output is the map at the split
//! point, and every other output is an exit's logits; one named `extension` is for the hard classes
//! only. If blocks have several ways, a second input holds 1 for the way that the sample takes and 0
//! for the others; the ways' maps are multiplied by their elements and added up. Packing
//!
//! - reads the graph (`onnx`),
//! - lowers it to operations (`lower`), folding batch-norms and scales into one affine operation or,
//!   if a sign follows at once, into integer thresholds,
//! - orders the operations so that none that an exit does not need comes before the exit,
//! - packs weights to bits, and counts the cost of each part.
//!
//! What cannot be represented is refused with the node's name and a reason.
//!
//! ```
//! use fogline::manifest::Manifest;
//!
//! let manifest = Manifest::parse(include_bytes!("../../tests/tiny/manifest.json"))?;
//! let qonnx = include_bytes!("../../tests/tiny/edge.qonnx");
//! let packed = fogline_pack::pack(qonnx, &manifest.input, 1, None)?;
//! assert_eq!(packed.bytes, include_bytes!("../../tests/tiny/edge.fog"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

use fogline::manifest::{Input, Part};
use fogline_edge::model::Model;
use fogline_edge::ops::Op;
use fogline_edge::tensor::Blob;

mod constant;
mod error;
mod lower;
mod onnx;
mod operators;
mod order;
mod parts;
#[cfg(test)]
mod tests;

pub use error::PackError;
pub use lower::Explained;
pub use operators::{OPERATORS, table};

/// The most operations that are put in order; the engine allows fewer.
const MOST_OPERATIONS: usize = 10_000;

/// The name of an extension's output.
const EXTENSION: &str = "extension";

/// A packed edge model, with what the manifest states about it.
pub struct Packed {
    /// The contents of `edge.fog`.
    pub bytes: Vec<u8>,
    /// The model, parsed from those bytes.
    pub model: Model,
    /// The value of one level of the split map in the cloud's input.
    pub split_scale: f32,
    /// The cost of the edge's parts.
    pub parts: Vec<Part>,
}

/// Checks that a cloud model is ONNX and contains all of its constants: a pair has no place for a second file.
///
/// # Errors
/// The first constant that is in another file, or that the bytes are not ONNX.
pub fn check_whole(onnx: &[u8]) -> Result<(), PackError> {
    onnx::check_whole(onnx)
}

/// The side in pixels of the square picture that a QONNX file takes.
///
/// # Errors
/// If the file cannot be read, or does not state a square picture's shape.
pub fn picture_size(qonnx: &[u8]) -> Result<u32, PackError> {
    let graph = onnx::Graph::read(qonnx)?;
    let size = match graph.input_dims[..] {
        [_, _, height, width] if height == width => u32::try_from(height).ok(),
        _ => None,
    };
    size.filter(|&size| size > 0).ok_or_else(|| {
        PackError::Graph(format!(
            "the input '{}' has shape {:?}, which does not state the size of a square picture",
            graph.input, graph.input_dims
        ))
    })
}

/// What each node of a QONNX file becomes, in the file's order, even if some are refused.
///
/// # Errors
/// If the file cannot be read, or its input is not the picture of the manifest.
pub fn explain(qonnx: &[u8], input: &Input, share: u8) -> Result<Vec<Explained>, PackError> {
    let mut explained = vec![];
    let graph = onnx::Graph::read(qonnx)?;
    match lower::lower(&graph, input, share, Some(&mut explained)) {
        Err(error) if explained.is_empty() => Err(error),
        _ => Ok(explained),
    }
}

/// Packs a QONNX file for pictures that are normalised as `input` states. If `share` is above 1, each sign that this many
/// 1-bit weights share by hashing is stored once ([`fogline_edge::ops::Filter`]). A `coder`, the contents of `split.coder`, is
/// stored with the model, so that devices code their maps.
///
/// # Errors
/// If the file cannot be read or has a node that the edge cannot represent, or no convolution's weights are shared this way.
pub fn pack(
    qonnx: &[u8],
    input: &Input,
    share: u8,
    coder: Option<&[u8]>,
) -> Result<Packed, PackError> {
    let graph = onnx::Graph::read(qonnx)?;
    let lowered = lower::lower(&graph, input, share, None)?;
    if lowered.ops.len() > MOST_OPERATIONS {
        return Err(PackError::Graph(format!(
            "it needs {} operations, which is too many",
            lowered.ops.len()
        )));
    }
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
    for (names, exits) in graph.outputs.windows(2).zip(program.exits.windows(2)) {
        if exits[0] >= exits[1] {
            return Err(PackError::Graph(format!(
                "output '{}' is computed before output '{}', or is the same: list each exit once, in the order in which they are reached",
                names[1], names[0]
            )));
        }
    }
    program.stretches = order::stretches(&program, extension.map(|exit| program.exits[exit]));
    let mut data = lowered.data;
    if let Some(coder) = coder {
        let at = data.len().next_multiple_of(64);
        data.resize(at, 0);
        data.extend(coder);
        program.coder = Some(Blob { at: at as u32, len: coder.len() as u32 });
    }
    let bytes = Model::write(&program, &data, source).map_err(PackError::Fog)?;
    let model = Model::parse(&bytes).map_err(PackError::Fog)?;
    let parts = parts::count_costs(&model, &heads);
    Ok(Packed { bytes, model, split_scale: lowered.split_scale, parts })
}
