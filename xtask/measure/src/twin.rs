//! The full-precision twin: one ONNX file from picture to scores, which tract runs like the cloud part.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use fogline::manifest::{Input, Manifest};
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor, TypedRunnableModel, tvec,
};

/// A twin that is ready to run.
pub struct Twin {
    runnable: Arc<TypedRunnableModel>,
    input: Input,
    classes: usize,
}

impl Twin {
    /// Loads `path` as the twin of the pair with this manifest.
    pub fn load(path: &Path, manifest: &Manifest) -> Result<Self> {
        let side = manifest.input.size as usize;
        let runnable = tract_onnx::onnx()
            .model_for_path(path)?
            .with_input_fact(0, f32::fact([1, 3, side, side]).into())?
            .into_optimized()?
            .into_runnable()?;
        Ok(Self { runnable, input: manifest.input.clone(), classes: manifest.classes.len() })
    }

    /// Computes the logits of a picture, given as RGB bytes in row order.
    pub fn logits(&self, rgb: &[u8]) -> Result<Vec<f32>> {
        let side = self.input.size as usize;
        let mut picture = Vec::with_capacity(rgb.len());
        for channel in 0..3 {
            let (mean, std) = (self.input.mean[channel], self.input.std[channel]);
            let plane = rgb.iter().skip(channel).step_by(3);
            picture.extend(plane.map(|&byte| (f32::from(byte) / 255.0 - mean) / std));
        }
        let outputs =
            self.runnable.run(tvec!(Tensor::from_shape(&[1, 3, side, side], &picture)?.into()))?;
        let scores = outputs[0].to_plain_array_view::<f32>()?;
        ensure!(
            scores.len() == self.classes,
            "the twin returns {} scores for {} classes",
            scores.len(),
            self.classes
        );
        Ok(scores.iter().copied().collect())
    }
}
