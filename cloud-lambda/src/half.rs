//! A `cloud.onnx` with its weights in half precision, for the store: half the bytes to download at each start. The function widens
//! them as it loads the model.

use core::fmt;

use fogline::manifest::{File, sha256_hex};
use half::f16;
use half::slice::HalfFloatSliceExt;
use prost::Message;
use serde::{Deserialize, Serialize};
use tract_onnx::pb::tensor_proto::DataType;
use tract_onnx::pb::{ModelProto, TensorProto};

/// File name beside `cloud.onnx` in the bucket.
pub const CLOUD_HALF: &str = "cloud-half.onnx";

/// Why a model could not be narrowed or widened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HalfError {
    /// The bytes are no ONNX model.
    Model(String),
    /// A weight of the named tensor is too large for half precision.
    Weight(String),
}

impl fmt::Display for HalfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Model(why) => write!(f, "it is not an ONNX model: {why}"),
            Self::Weight(tensor) => {
                write!(f, "a weight of '{tensor}' exceeds {}, the most in half precision", f16::MAX)
            }
        }
    }
}

impl std::error::Error for HalfError {}

/// What the bucket's manifest says besides the pair's own.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Stored {
    half: Option<File>,
}

/// The file of half the size that a manifest in the bucket names, if any. The pair's digest does not cover it.
///
/// # Errors
/// If it is named twice, or without its size and SHA-256.
pub fn named(json: &[u8]) -> Result<Option<File>, serde_json::Error> {
    Ok(serde_json::from_slice::<Stored>(json)?.half)
}

/// The manifest `json` with that file named in it. Neither the pair's digest nor any other byte changes.
pub fn naming(json: &[u8], file: &File) -> Vec<u8> {
    let end = json.iter().rposition(|&byte| byte == b'}').unwrap_or(json.len());
    let half = serde_json::json!(file);
    let start = json[..end].trim_ascii_end();
    [start, format!(",\n  \"half\": {half}\n}}\n").as_bytes()].concat()
}

/// The model with its weights in half precision, and how the bucket's manifest names it.
///
/// # Errors
/// If it is no model, or a weight does not fit.
pub fn narrowed(onnx: &[u8]) -> Result<(Vec<u8>, File), HalfError> {
    let mut model = decoded(onnx)?;
    for tensor in weights(&mut model, DataType::Float) {
        let wide: Vec<f32> = if tensor.raw_data.is_empty() {
            std::mem::take(&mut tensor.float_data)
        } else {
            let (numbers, _) = tensor.raw_data.as_chunks::<4>();
            numbers.iter().map(|&number| f32::from_le_bytes(number)).collect()
        };
        let narrow: Vec<f16> = wide.into_iter().map(f16::from_f32).collect();
        if !narrow.iter().all(|weight| weight.is_finite()) {
            return Err(HalfError::Weight(tensor.name.clone()));
        }
        tensor.raw_data = narrow.into_iter().flat_map(f16::to_le_bytes).collect();
        tensor.data_type = DataType::Float16.into();
    }
    let bytes = model.encode_to_vec();
    let file = File { bytes: bytes.len() as u64, sha256: sha256_hex(&bytes) };
    Ok((bytes, file))
}

/// Decodes a model and widens all weights of half precision.
///
/// # Errors
/// If it is no model.
pub fn widened(onnx: &[u8]) -> Result<ModelProto, HalfError> {
    let mut model = decoded(onnx)?;
    for tensor in weights(&mut model, DataType::Float16) {
        let (numbers, _) = tensor.raw_data.as_chunks::<2>();
        let narrow: Vec<f16> = numbers.iter().map(|&number| f16::from_le_bytes(number)).collect();
        tensor.float_data = narrow.to_f32_vec();
        tensor.raw_data.clear();
        tensor.data_type = DataType::Float.into();
    }
    Ok(model)
}

fn decoded(onnx: &[u8]) -> Result<ModelProto, HalfError> {
    ModelProto::decode(onnx).map_err(|error| HalfError::Model(error.to_string()))
}

/// The weights of this type: tensors with several dimensions. Others, such as biases, take no space.
fn weights(model: &mut ModelProto, of: DataType) -> impl Iterator<Item = &mut TensorProto> {
    let tensors = model.graph.iter_mut().flat_map(|graph| &mut graph.initializer);
    tensors.filter(move |tensor| tensor.data_type == i32::from(of) && tensor.dims.len() > 1)
}
