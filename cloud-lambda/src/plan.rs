//! One pair's cloud part, verified and ready to run.

use std::time::{Duration, Instant};

use fogline::frame::Tensor;
use fogline::manifest::{CLOUD_ONNX, Manifest, verify};
use fogline::packed;
use fogline::refusal::{DEADLINE, INTERNAL, MODEL_CORRUPT, Refusal, WRONG_SHAPE};

use crate::runner::{BATCHES, RunError, Runner};

/// What the cloud says of some maps.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Logits {
    /// One score a class, for each map.
    pub scores: Vec<Vec<f32>>,
    /// How long tract took, without unpacking.
    pub took: Duration,
}

/// A `cloud.onnx` whose digest was right and that has answered once.
#[derive(Debug)]
pub struct Plan {
    manifest: Manifest,
    digest: [u8; 32],
    bytes: u64,
    optimised_in: Duration,
    runner: Runner,
}

impl Plan {
    /// Verifies `onnx` against the manifest, optimises it for the split's shape, and runs it once.
    ///
    /// # Errors
    /// With `model_corrupt` when the bytes are not the manifest's, with `internal` when they
    /// are but cannot be run.
    pub fn new(manifest: Manifest, onnx: &[u8]) -> Result<Self, Refusal> {
        let pair = format!("{}/{}", manifest.name, manifest.version);
        let file = manifest.files.get(CLOUD_ONNX).ok_or_else(|| {
            Refusal::new(INTERNAL, format!("the manifest of {pair} lists no {CLOUD_ONNX}"))
        })?;
        if !verify(onnx, file) {
            return Err(Refusal::new(
                MODEL_CORRUPT,
                format!("the stored {CLOUD_ONNX} of {pair} has not the SHA-256 of its manifest"),
            ));
        }
        let shape = manifest.split.shape.map(|n| n as usize);
        let start = Instant::now();
        let runner = Runner::new(onnx, shape, manifest.classes.len()).map_err(|error| {
            Refusal::new(INTERNAL, format!("{CLOUD_ONNX} of {pair} cannot be run: {error:#}"))
        })?;
        Ok(Self {
            digest: manifest.pair_digest(),
            manifest,
            bytes: onnx.len() as u64,
            optimised_in: start.elapsed(),
            runner,
        })
    }

    /// The pair's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pair's digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// How long tract took to read and optimise the model, and to run it once.
    pub fn optimised_in(&self) -> Duration {
        self.optimised_in
    }

    /// What it takes of memory at most, about: its weights as they are, and laid out for each batch size.
    pub fn memory(&self) -> u64 {
        self.bytes * (1 + BATCHES.len() as u64)
    }

    /// Whether these maps are of this pair's split.
    ///
    /// # Errors
    /// With `wrong_shape`, naming the first sample that is not.
    pub fn check(&self, tensors: &[Tensor]) -> Result<(), Refusal> {
        let split = &self.manifest.split;
        for (sample, tensor) in tensors.iter().enumerate() {
            if (tensor.shape, tensor.bits) != (split.shape, split.bits) {
                let message = format!(
                    "sample {sample} is {:?} at {} bits, the split of {}/{} is {:?} at {} bits",
                    tensor.shape,
                    tensor.bits,
                    self.manifest.name,
                    self.manifest.version,
                    split.shape,
                    split.bits
                );
                return Err(Refusal::new(WRONG_SHAPE, message));
            }
        }
        Ok(())
    }

    /// The logits of maps that [`Plan::check`] has passed, in their order. Takes its time, and the
    /// thread with it.
    ///
    /// # Errors
    /// With `internal` when the model fails on them, with `deadline` when `until` comes before
    /// the last of them runs.
    pub fn logits(&self, tensors: &[Tensor], until: Option<Instant>) -> Result<Logits, Refusal> {
        let failed = |error: String| Refusal::new(INTERNAL, format!("the model failed: {error}"));
        let mut maps =
            Vec::with_capacity(tensors.len() * tensors[0].shape.iter().product::<u32>() as usize);
        for tensor in tensors {
            let map = packed::unpack(&tensor.bytes, tensor.shape, tensor.bits);
            maps.extend(map.map_err(|error| failed(error.to_string()))?);
        }
        for level in &mut maps {
            *level *= self.manifest.split.scale;
        }
        let start = Instant::now();
        let scores = self.runner.run(&maps, until).map_err(|error| match error {
            RunError::Model(error) => failed(format!("{error:#}")),
            RunError::Deadline { done } => Refusal::new(
                DEADLINE,
                format!(
                    "time was over after {done} of {} samples; send fewer at once",
                    tensors.len()
                ),
            ),
        })?;
        Ok(Logits { scores, took: start.elapsed() })
    }
}
