//! One pair's cloud part, verified and ready to run.

use std::sync::Arc;

use fogline::frame::Tensor;
use fogline::manifest::{CLOUD_ONNX, Manifest, verify};
use fogline::packed;
use fogline::refusal::{INTERNAL, MODEL_CORRUPT, Refusal, WRONG_SHAPE};
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor as Array, TractError, TractResult,
    TypedRunnableModel, tvec,
};

/// A `cloud.onnx` whose digest was right and that has answered once.
#[derive(Debug)]
pub struct Plan {
    manifest: Manifest,
    digest: [u8; 32],
    runnable: Arc<TypedRunnableModel>,
}

impl Plan {
    /// Verifies `onnx` against the manifest, optimises it for the split's shape, and runs it
    /// once on a map of zeros, so that a plan that exists is one that works.
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
        let unusable = |error: TractError| {
            Refusal::new(INTERNAL, format!("{CLOUD_ONNX} of {pair} cannot be run: {error:#}"))
        };
        let runnable = optimised(&manifest, onnx).map_err(unusable)?;
        let digest = manifest.pair_digest();
        let plan = Self { manifest, digest, runnable };
        let zeros = vec![0.0; plan.shape().iter().product()];
        plan.run(&zeros).map_err(unusable)?;
        Ok(plan)
    }

    /// The pair's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The pair's digest.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
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

    /// The logits of one map, which [`Plan::check`] has passed. Takes its time: not for an
    /// async thread.
    ///
    /// # Errors
    /// With `internal` when the model fails on it.
    pub fn logits(&self, tensor: &Tensor) -> Result<Vec<f32>, Refusal> {
        let failed = |error: String| Refusal::new(INTERNAL, format!("the model failed: {error}"));
        let mut map = packed::unpack(&tensor.bytes, tensor.shape, tensor.bits)
            .map_err(|error| failed(error.to_string()))?;
        for level in &mut map {
            *level *= self.manifest.split.scale;
        }
        self.run(&map).map_err(|error| failed(format!("{error:#}")))
    }

    fn shape(&self) -> [usize; 4] {
        batch_of_one(&self.manifest)
    }

    /// Samples run one by one: exporters often freeze a batch of one into a reshape, and a
    /// function's one core gains little from more.
    fn run(&self, map: &[f32]) -> TractResult<Vec<f32>> {
        let input = Array::from_shape(&self.shape(), map)?;
        let outputs = self.runnable.run(tvec!(input.into()))?;
        let output = outputs.first().ok_or_else(|| TractError::msg("it has no output"))?;
        let logits: Vec<f32> = output.to_plain_array_view::<f32>()?.iter().copied().collect();
        if logits.len() != self.manifest.classes.len() {
            let classes = self.manifest.classes.len();
            return Err(TractError::msg(format!("{} scores for {classes} classes", logits.len())));
        }
        if !logits.iter().all(|score| score.is_finite()) {
            return Err(TractError::msg("a score is not a finite number"));
        }
        Ok(logits)
    }
}

fn batch_of_one(manifest: &Manifest) -> [usize; 4] {
    let [channels, height, width] = manifest.split.shape.map(|n| n as usize);
    [1, channels, height, width]
}

fn optimised(manifest: &Manifest, onnx: &[u8]) -> TractResult<Arc<TypedRunnableModel>> {
    tract_onnx::onnx()
        .model_for_read(&mut &*onnx)?
        .with_input_fact(0, f32::fact(batch_of_one(manifest)).into())?
        .into_optimized()?
        .into_runnable()
}
