//! A plan: one pair's cloud part, verified and ready to run.

use std::time::{Duration, Instant};

use fogline::coding::Coder;
use fogline::frame::{Arrived, Request, Tensor};
use fogline::manifest::{CLOUD_ONNX, File, Manifest, SPLIT_CODER, verify};
use fogline::packed;
use fogline::refusal::{DEADLINE, INTERNAL, MALFORMED, MODEL_CORRUPT, Refusal, WRONG_SHAPE};
use tract_onnx::prelude::TractResult;

use crate::half::{self, CLOUD_HALF};
use crate::runner::{RunError, Runner};

/// Checks that `bytes` are those of the pair's file `name`.
///
/// # Errors
/// `internal` if the manifest does not list the file, `model_corrupt` if size or SHA-256 differ.
fn verified(manifest: &Manifest, name: &str, bytes: &[u8]) -> Result<(), Refusal> {
    let file = manifest.files.get(name).ok_or_else(|| {
        let Manifest { name: pair, version, .. } = manifest;
        Refusal::new(INTERNAL, format!("the manifest of {pair}/{version} lists no {name}"))
    })?;
    matching(manifest, name, file, bytes)
}

fn matching(manifest: &Manifest, name: &str, file: &File, bytes: &[u8]) -> Result<(), Refusal> {
    if verify(bytes, file) {
        return Ok(());
    }
    let Manifest { name: pair, version, .. } = manifest;
    Err(Refusal::new(
        MODEL_CORRUPT,
        format!("the stored {name} of {pair}/{version} does not match the SHA-256 in its manifest"),
    ))
}

/// Verifies and reads the coder of a pair's maps.
///
/// # Errors
/// `model_corrupt` if the bytes do not match the manifest's SHA-256, `internal` if they do but are no coder of the pair's maps.
pub fn coder(manifest: &Manifest, bytes: &[u8]) -> Result<Coder, Refusal> {
    verified(manifest, SPLIT_CODER, bytes)?;
    let Manifest { name, version, split, .. } = manifest;
    let refused = |why: String| {
        Refusal::new(INTERNAL, format!("{SPLIT_CODER} of {name}/{version} cannot be used: {why}"))
    };
    let coder = Coder::read(bytes).map_err(|error| refused(error.to_string()))?;
    if (coder.shape(), coder.bits(), coder.signed()) == (split.shape, split.bits, split.signed) {
        Ok(coder)
    } else {
        Err(refused("it is for other maps".into()))
    }
}

/// The cloud part's output for a batch of maps.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Logits {
    /// For each map, one logit per class.
    pub scores: Vec<Vec<f32>>,
    /// Time spent in tract, without unpacking the maps.
    pub took: Duration,
}

/// A `cloud.onnx` that matched its digest and has run once.
#[derive(Debug)]
pub struct Plan {
    manifest: Manifest,
    digest: [u8; 32],
    memory: u64,
    optimised_in: Duration,
    runner: Runner,
    coder: Option<Coder>,
    cores: usize,
}

impl Plan {
    /// Verifies `onnx` against the manifest, optimises it for the shape at the split point, and runs it once.
    ///
    /// # Errors
    /// `model_corrupt` if the bytes do not match the manifest's SHA-256, `internal` if they do but cannot be run.
    pub fn new(manifest: Manifest, onnx: &[u8]) -> Result<Self, Refusal> {
        verified(&manifest, CLOUD_ONNX, onnx)?;
        Self::with(manifest, onnx.len(), |shape, classes| Runner::new(onnx, shape, classes))
    }

    /// The plan of the same model in half precision, which `file` describes.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of_half(manifest: Manifest, file: &File, onnx: &[u8]) -> Result<Self, Refusal> {
        matching(&manifest, CLOUD_HALF, file, onnx)?;
        let model = half::widened(onnx).map_err(|error| {
            Refusal::new(INTERNAL, format!("{CLOUD_HALF} cannot be used: {error}"))
        })?;
        // In single precision, every number takes twice the bytes.
        Self::with(manifest, 2 * onnx.len(), |shape, classes| {
            Runner::of_proto(&model, shape, classes)
        })
    }

    /// [`Plan::new`] with tract's own convolutions, to compare with.
    ///
    /// # Errors
    /// As [`Plan::new`].
    pub fn of_tract_alone(manifest: Manifest, onnx: &[u8]) -> Result<Self, Refusal> {
        verified(&manifest, CLOUD_ONNX, onnx)?;
        Self::with(manifest, onnx.len(), |shape, classes| {
            Runner::of_tract_alone(onnx, shape, classes)
        })
    }

    fn with(
        manifest: Manifest,
        bytes: usize,
        runner: impl FnOnce([usize; 3], usize) -> TractResult<Runner>,
    ) -> Result<Self, Refusal> {
        let pair = format!("{}/{}", manifest.name, manifest.version);
        let shape = manifest.split.shape.map(|n| n as usize);
        let start = Instant::now();
        let runner = runner(shape, manifest.classes.len()).map_err(|error| {
            Refusal::new(INTERNAL, format!("{CLOUD_ONNX} of {pair} cannot be run: {error:#}"))
        })?;
        Ok(Self {
            digest: manifest.pair_digest(),
            manifest,
            memory: runner.memory(bytes) as u64,
            optimised_in: start.elapsed(),
            runner,
            coder: None,
            cores: 1,
        })
    }

    /// The plan with the pair's coder, as [`coder`] reads it.
    #[must_use]
    pub fn with_coder(self, coder: Option<Coder>) -> Self {
        Self { coder, ..self }
    }

    /// The plan on so many cores instead of one.
    #[must_use]
    pub fn with_cores(self, cores: usize) -> Self {
        Self { cores, ..self }
    }

    /// The manifest that the plan was made from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The model itself.
    pub fn runner(&self) -> &Runner {
        &self.runner
    }

    /// The pair's digest, which requests carry.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// Time that tract took to read and optimise the model and to run it once.
    pub fn optimised_in(&self) -> Duration {
        self.optimised_in
    }

    /// Upper estimate of the plan's memory in bytes.
    pub fn memory(&self) -> u64 {
        self.memory
    }

    /// The request with packed maps.
    ///
    /// # Errors
    /// `malformed`, which names the first sample whose map cannot be decoded, or if the pair has no coder.
    pub fn decoded(&self, frame: Arrived) -> Result<Request, Refusal> {
        match (frame, &self.coder) {
            (Arrived::Packed(request), _) => Ok(request),
            (Arrived::Coded(coded), Some(coder)) => {
                coded.request(self.digest, coder).map_err(|error| Refusal::from(&error))
            }
            (Arrived::Coded(_), None) => {
                let Manifest { name, version, .. } = &self.manifest;
                Err(Refusal::new(
                    MALFORMED,
                    format!(
                        "{name}/{version} has no {SPLIT_CODER}: send packed maps, in version 1"
                    ),
                ))
            }
        }
    }

    /// Checks that the maps have the shape and bits of this pair's split point.
    ///
    /// # Errors
    /// `wrong_shape`, which names the first sample that does not.
    pub fn check(&self, tensors: &[Tensor]) -> Result<(), Refusal> {
        let split = &self.manifest.split;
        for (sample, tensor) in tensors.iter().enumerate() {
            if (tensor.shape, tensor.bits) != (split.shape, split.bits) {
                let message = format!(
                    "sample {sample} has shape {:?} at {} bits; {}/{} takes {:?} at {} bits",
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

    /// Computes the logits of maps that passed [`Plan::check`], in order. Blocks the thread.
    ///
    /// # Errors
    /// `internal` if the model fails, `deadline` if `until` passes before the last batch starts.
    pub fn logits(&self, tensors: &[Tensor], until: Option<Instant>) -> Result<Logits, Refusal> {
        let failed = |error: String| Refusal::new(INTERNAL, format!("the model failed: {error}"));
        let mut maps =
            Vec::with_capacity(tensors.len() * tensors[0].shape.iter().product::<u32>() as usize);
        let split = &self.manifest.split;
        for tensor in tensors {
            let map = packed::unpack(&tensor.bytes, tensor.shape, tensor.bits, split.signed);
            maps.extend(map.map_err(|error| failed(error.to_string()))?);
        }
        for level in &mut maps {
            *level *= self.manifest.split.scale;
        }
        let start = Instant::now();
        let scores = self.runner.run(&maps, self.cores, until).map_err(|error| match error {
            RunError::Model(error) => failed(format!("{error:#}")),
            RunError::Deadline { done } => Refusal::new(
                DEADLINE,
                format!(
                    "the deadline passed after {done} of {} samples; send fewer per request",
                    tensors.len()
                ),
            ),
        })?;
        Ok(Logits { scores, took: start.elapsed() })
    }
}
