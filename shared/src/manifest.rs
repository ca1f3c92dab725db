//! `manifest.json`: the description of a pair of models that edge, cloud and page all rely on.
//!
//! The *pair digest* identifies a pair in requests. It is the SHA-256 of the lines `NAME SHA256\n`
//! of the manifest's files, sorted by name. Two manifests that differ only in other fields
//! therefore name the same pair.

mod check;
#[cfg(test)]
mod tests;

use core::cmp::Ordering;
use core::fmt;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::packed::{self, PackedError};
use crate::policy::Policy;

/// The newest manifest format that this crate reads. Format 1 has no unsigned split, which readers of it would take for a
/// signed one; a pair whose split is signed keeps it.
pub const FORMAT: u32 = 2;
/// The file name of the packed edge model.
pub const EDGE_FOG: &str = "edge.fog";
/// The file name of the edge model in QONNX, the format for exchange.
pub const EDGE_QONNX: &str = "edge.qonnx";
/// The file name of the cloud model.
pub const CLOUD_ONNX: &str = "cloud.onnx";
/// The file name of the coder of the pair's maps ([`crate::coding`]). A pair without one sends plain maps.
pub const SPLIT_CODER: &str = "split.coder";

/// A pair of models, with everything that edge and cloud must know about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// The manifest format; [`Manifest::parse`] accepts 1 to [`FORMAT`].
    pub format: u32,
    /// The pair's name, as in `onnx-models/NAME/VERSION`.
    pub name: String,
    /// The version of the pair, such as `1.2.0`.
    pub version: String,
    /// Class names in label order.
    pub classes: Vec<String>,
    /// The picture that the edge model takes.
    pub input: Input,
    /// The exits, in the order in which a sample reaches them.
    pub exits: Vec<Exit>,
    /// The policy that decides unless the user chooses another.
    pub policy: Policy,
    /// The feature map that is sent to the cloud.
    pub split: Split,
    /// MACs and memory reads of the network's parts, in the order in which a sample passes them.
    #[serde(default)]
    pub parts: Vec<Part>,
    /// How many of the edge's 1-bit weights share each stored value by hashing (HashedNets, arXiv 1504.04788). `None` if
    /// every weight has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<u8>,
    /// The path, relative to the manifest, of the index of the pair's own sample pictures for the page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<String>,
    /// Digest and size of each file of the pair, by file name.
    pub files: BTreeMap<String, File>,
    /// Accuracies that the recipe measured in PyTorch on the test pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measured: Option<Measured>,
    /// For each policy, what its thresholds lead to on held-out pictures, from all samples in the cloud to all at the edge.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub curves: BTreeMap<Policy, Vec<Point>>,
}

/// The picture that the edge takes: RGB, `size` x `size`, normalised as `(value / 255 - mean) / std`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Input {
    /// Side of the square picture, in pixels.
    pub size: u32,
    /// Mean per channel, in 0..=1.
    pub mean: [f32; 3],
    /// Standard deviation per channel, above 0.
    pub std: [f32; 3],
}

/// An early exit: a classifier at some depth of the edge model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Exit {
    /// `exit-1`, `exit-2`, …: the `origin` of this exit's answers.
    pub name: String,
    /// The number of blocks before the exit.
    pub after_block: u32,
    /// The softmax is taken of the logits divided by this.
    #[serde(default = "one")]
    pub temperature: f32,
    /// The threshold for each policy. An exit with a threshold for `appeal` gives one score more than there are classes.
    #[serde(default)]
    pub thresholds: BTreeMap<Policy, f32>,
    /// The hard classes, if this is an *extension*; otherwise empty. An extension is the last exit. It answers when an
    /// earlier exit is sure of a hard class, and never offloads a sample (MEANet, Long et al. 2021, arXiv 2109.06440).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub extends: Vec<String>,
    /// If the blocks after this exit have several ways: which way a sample takes, by this exit's confidence in it. It takes
    /// the last way whose `from` is at most that confidence (after USDN, Jeon et al. 2024, WACV).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<WayFrom>,
}

/// A way through the blocks, and the lowest confidence at which a sample takes it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WayFrom {
    /// The lowest confidence, in 0..=1.
    pub from: f32,
    /// The way's index, from 0.
    pub way: u8,
}

impl Exit {
    /// Whether the exit predicts if its own answer is right, as [`Policy::Appeal`] needs.
    pub fn appeals(&self) -> bool {
        self.thresholds.contains_key(&Policy::Appeal)
    }

    /// The way for a sample in which this exit had `confidence`, or `None` if there is only one.
    pub fn way(&self, confidence: f32) -> Option<u8> {
        self.ways.iter().rev().find(|way| way.from <= confidence).map(|way| way.way)
    }
}

fn yes() -> bool {
    true
}

fn one() -> f32 {
    1.0
}

/// The feature map at the split point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Split {
    /// Channels, height, width.
    pub shape: [u32; 3],
    /// The width of an element: 1, 2, 4 or 8 bits.
    pub bits: u8,
    /// Whether levels may be negative; if not, those of b bits go from 0 to 2^b - 1.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub signed: bool,
    /// The value of one level: the cloud's input is `level * scale`.
    #[serde(default = "one")]
    pub scale: f32,
}

/// Numbers of operations or elements by the bit width of their operands; 32 means full precision.
pub type Counts = BTreeMap<u8, u64>;

/// A part of the network between two points where the edge decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `trunk-1`, `exit-1`, …, `cloud`.
    pub name: String,
    /// Trunk, exit head or cloud.
    pub role: Role,
    /// The way whose samples run it, or `None` if all samples do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub way: Option<u8>,
    /// The number of multiply-accumulates per sample, by bit width.
    pub macs: Counts,
    /// Elements of weights and input maps that the layers read, by bit width.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub reads: Counts,
}

/// A part's place in the network, which decides the samples that pay for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Edge layers that every sample runs unless an earlier exit answered it.
    Trunk,
    /// An exit's own layers, which a network without exits does not have.
    Head,
    /// Full-precision layers that run in the cloud.
    Cloud,
}

/// Digest and size of a file of the pair.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// The file's SHA-256 in lower-case hexadecimal.
    pub sha256: String,
    /// The file's size in bytes.
    pub bytes: u64,
}

/// Accuracies that the recipe measured, as fractions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// The data set that they were measured on.
    pub data: String,
    /// The number of pictures in it.
    pub samples: u64,
    /// The accuracy of each exit if every sample is answered there.
    pub exits: Vec<f64>,
    /// The accuracy of the final head if every sample goes to the cloud.
    #[serde(rename = "final")]
    pub final_head: f64,
}

/// A point of a calibration curve.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// The threshold of each exit that decides.
    pub thresholds: Vec<f32>,
    /// The share of all samples that each exit answers, including an extension.
    pub shares: Vec<f64>,
    /// For each way, the shares of all samples that took it and were answered at each exit, then in the cloud. Empty if
    /// there is only one way. Samples answered before the ways part count as the first way's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ways: Vec<Vec<f64>>,
    /// The accuracy of edge and cloud together, as a fraction.
    pub accuracy: f64,
}

/// Why a manifest is invalid. The message names the field.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ManifestError {
    /// Not JSON, or not the fields of a manifest.
    Json(String),
    /// The manifest has another format version, given here.
    Format(u32),
    /// A field has a value that is not allowed.
    Field {
        /// The field's path, such as `input.size`.
        field: &'static str,
        /// What is wrong with the value.
        why: String,
    },
    /// The split's shape or bit width cannot be packed.
    Split(PackedError),
}

impl ManifestError {
    /// The stable error code, such as `manifest_invalid`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Format(_) => "manifest_format",
            _ => "manifest_invalid",
        }
    }
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Json(why) => write!(f, "the manifest is not valid: {why}"),
            Self::Format(n) => {
                write!(
                    f,
                    "the manifest has format {n}, this version of Fogline reads 1 to {FORMAT}"
                )
            }
            Self::Field { field, why } => write!(f, "the manifest's field '{field}': {why}"),
            Self::Split(error) => write!(f, "the manifest's split: {error}"),
        }
    }
}

impl std::error::Error for ManifestError {}

impl Manifest {
    /// Parses and checks a manifest.
    ///
    /// # Errors
    /// If it is not JSON, has another format, or a field has a value that is not allowed.
    pub fn parse(json: &[u8]) -> Result<Self, ManifestError> {
        let manifest: Self =
            serde_json::from_slice(json).map_err(|error| ManifestError::Json(error.to_string()))?;
        manifest.check()?;
        Ok(manifest)
    }

    /// The digest that identifies this pair in requests.
    pub fn pair_digest(&self) -> [u8; 32] {
        let mut hasher = Sha256::new();
        for (name, file) in &self.files {
            hasher.update(format!("{name} {}\n", file.sha256.to_ascii_lowercase()));
        }
        hasher.finalize().into()
    }

    /// The exits that decide whether a sample ends there: all except an extension.
    pub fn deciding(&self) -> &[Exit] {
        &self.exits[..self.exits.len() - usize::from(self.extension().is_some())]
    }

    /// The extension, which answers for the hard classes, if the pair has one. It is the last exit.
    pub fn extension(&self) -> Option<&Exit> {
        self.exits.last().filter(|exit| !exit.extends.is_empty())
    }

    /// The number of scores that each exit gives: one per class, and one more with [`Policy::Appeal`].
    pub fn exit_scores(&self) -> usize {
        self.classes.len() + usize::from(self.exits[0].appeals())
    }

    /// The length of one packed map in bytes.
    pub fn payload_bytes(&self) -> usize {
        packed::packed_len(self.split.shape, self.split.bits).unwrap_or(0)
    }
}

/// Whether `bytes` have the size and SHA-256 that `file` states.
pub fn verify(bytes: &[u8], file: &File) -> bool {
    bytes.len() as u64 == file.bytes && sha256_hex(bytes) == file.sha256.to_ascii_lowercase()
}

/// Compares versions part by part, and numbers as numbers: 1.10.0 is newer than 1.9.0.
pub fn compare_versions(a: &str, b: &str) -> Ordering {
    let part = |part: &str| (part.parse::<u64>().ok(), part.to_owned());
    a.split('.').map(part).cmp(b.split('.').map(part))
}

/// The SHA-256 of `bytes` in lower-case hexadecimal.
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}
