//! `GET /v2/models/NAME`: a model's inputs and outputs in the format of the Open Inference Protocol
//! (KServe's version 2), for clients that know that protocol. Inference itself uses `/infer`.

use std::sync::Arc;

use fogline::manifest::{Manifest, compare_versions};
use fogline::refusal::{Refusal, UNKNOWN_PAIR};
use serde::Serialize;

use crate::index::{Index, Pair, REFRESH_AT_MOST_EVERY};

/// The protocol's model metadata response.
#[derive(Debug, Serialize)]
pub struct Metadata {
    name: String,
    versions: Vec<String>,
    platform: &'static str,
    inputs: [MetadataTensor; 1],
    outputs: [MetadataTensor; 1],
    parameters: Parameters,
}

/// The protocol's `metadata_tensor`.
#[derive(Debug, Serialize)]
struct MetadataTensor {
    name: &'static str,
    datatype: &'static str,
    /// -1 is the batch.
    shape: Vec<i64>,
}

/// What the protocol has no field for.
#[derive(Debug, Serialize)]
struct Parameters {
    /// The pair's version that this metadata describes.
    version: String,
    /// The pair's digest in hexadecimal, which a request must carry.
    pair: String,
    /// Bits per input element in a request.
    bits: u8,
    classes: Vec<String>,
}

impl Metadata {
    /// Returns the metadata of a pair, by default of its newest version.
    ///
    /// # Errors
    /// `unknown_pair` if there is no such pair, `store_unreachable` if the bucket cannot be listed.
    pub async fn find(
        index: &Arc<Index>,
        name: &str,
        version: Option<&str>,
    ) -> Result<Self, Refusal> {
        let known = || Self::of(&index.pairs(), name, version);
        // A function that has loaded only one pair does not know its other versions yet.
        if let Some(metadata) = known()
            && index.is_listed().await
        {
            return Ok(metadata);
        }
        let listed = index.refresh(REFRESH_AT_MOST_EVERY).await;
        // If the store is down, use what the last listing found.
        if let Some(metadata) = known() {
            return Ok(metadata);
        }
        listed?;
        let version = version.map(|version| format!("/{version}")).unwrap_or_default();
        Err(Refusal::new(UNKNOWN_PAIR, format!("the cloud has no pair '{name}{version}'")))
    }

    fn of(pairs: &[Arc<Pair>], name: &str, version: Option<&str>) -> Option<Self> {
        let mut versions: Vec<&Manifest> = pairs
            .iter()
            .map(|pair| &pair.manifest)
            .filter(|manifest| manifest.name == name)
            .collect();
        versions.sort_by(|a, b| compare_versions(&a.version, &b.version));
        let manifest = match version {
            Some(version) => versions.iter().find(|manifest| manifest.version == version)?,
            None => versions.last()?,
        };
        let tensor = |name, shape: &[u32]| MetadataTensor {
            name,
            datatype: "FP32",
            shape: [-1].into_iter().chain(shape.iter().map(|&n| i64::from(n))).collect(),
        };
        Some(Self {
            name: name.to_owned(),
            versions: versions.iter().map(|manifest| manifest.version.clone()).collect(),
            platform: "onnx_tract",
            inputs: [tensor("split", &manifest.split.shape)],
            outputs: [tensor("logits", &[manifest.classes.len() as u32])],
            parameters: Parameters {
                version: manifest.version.clone(),
                pair: hex::encode(manifest.pair_digest()),
                bits: manifest.split.bits,
                classes: manifest.classes.clone(),
            },
        })
    }
}
