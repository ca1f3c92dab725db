//! A trial of a pair's cloud part, before it is packed or published.
//!
//! A published version never changes, and a model that loads may still answer wrongly or slowly. The trial therefore loads
//! the cloud part as the function does and runs pseudo-random maps through it.

use fogline::frame::Tensor;
use fogline::manifest::Manifest;
use fogline::refusal::{INTERNAL, Refusal};
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::runner::BATCHES;

/// How far a sum of probabilities may be from 1.
const TOLERANCE: f32 = 1e-3;

/// What a trial finds out about a cloud part that works.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Multiply-accumulates per sample, of convolutions and matrix products.
    pub macs: u64,
    /// Weights and map elements that these read, per sample.
    pub reads: u64,
    /// The number of samples that run together. It is 1 if the model has a fixed batch.
    pub batch: usize,
}

/// Loads `onnx` as the function does and runs as many maps through it as the largest batch has samples.
///
/// # Errors
/// If the function could not serve the model, or if its scores are probabilities: devices expect logits.
pub fn try_cloud(manifest: Manifest, onnx: &[u8]) -> Result<Trial, Refusal> {
    let plan = Plan::new(manifest, onnx)?;
    let (manifest, runner) = (plan.manifest(), plan.runner());
    let refused = |why: &str| {
        let pair = format!("{}/{}", manifest.name, manifest.version);
        Refusal::new(INTERNAL, format!("the cloud of {pair} {why}"))
    };
    let largest = BATCHES[BATCHES.len() - 1] as u32;
    let maps: Vec<Tensor> = (0..largest).map(|seed| noise(manifest, seed)).collect();
    let scores = plan.logits(&maps, None)?.scores;
    if scores.iter().all(|scores| are_probabilities(scores)) {
        return Err(refused(
            "gives probabilities, not logits: export it without the softmax at its end, which Fogline applies itself",
        ));
    }
    let (macs, reads) = runner.cost().map_err(|error| refused(&format!("{error:#}")))?;
    Ok(Trial { macs, reads, batch: runner.largest_batch() })
}

/// A map of pseudo-random levels at the pair's split.
fn noise(manifest: &Manifest, seed: u32) -> Tensor {
    let split = &manifest.split;
    // Knuth's multiplicative hash.
    let byte = |at: usize| ((seed << 20 | at as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    let bytes = (0..manifest.payload_bytes()).map(byte).collect();
    Tensor { shape: split.shape, bits: split.bits, bytes }
}

/// Whether the scores are in 0..=1 and add up to 1.
fn are_probabilities(scores: &[f32]) -> bool {
    let sum: f32 = scores.iter().sum();
    scores.iter().all(|score| (0.0..=1.0).contains(score)) && (sum - 1.0).abs() <= TOLERANCE
}
