//! Runs a `cloud.onnx` on any number of maps.
//!
//! tract optimises a model for one batch size, so there is one plan per size in [`BATCHES`]: the plan for a single sample
//! from the start, the others from the first request that can use them. A request is split into the largest batches that
//! it fills, without padding. Exporters often hard-code a batch of one in a reshape. Such a model, and any whose batched
//! scores differ from those of its single samples, runs one sample at a time.

use core::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing::info;
use tract_onnx::prelude::{
    DatumExt, DatumType, Framework, InferenceModel, InferenceModelExt, IntoRunnable, Tensor,
    TractError, TractResult, TypedModel, TypedRunnableModel, tvec,
};
use tract_onnx::tract_core::internal::{Cost, DimLike};
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_hir::infer::Factoid;

use crate::batch;
use crate::winograd::{self, Kernels};

/// The batch sizes that have their own plan, in ascending order.
pub const BATCHES: [usize; 3] = [1, 4, 16];

/// Tolerance between batched scores and those of single samples, relative above 1: sums run in another order.
const TOLERANCE: f32 = 1e-3;

const F32: DatumType = DatumType::F32;

type Runnable = Arc<TypedRunnableModel>;

/// A model with one plan per batch size.
pub struct Runner {
    model: InferenceModel,
    /// Channels, height, width.
    shape: [usize; 3],
    classes: usize,
    /// One per entry of [`BATCHES`]; `None` if the model cannot run at that size.
    plans: [OnceLock<Option<Runnable>>; BATCHES.len()],
    kernels: Kernels,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({:?} to {})", self.shape, self.classes)
    }
}

/// Why [`Runner::run`] failed.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The deadline passed before the last batch started.
    Deadline {
        /// Number of samples already computed.
        done: usize,
    },
    /// tract failed to run the model.
    Model(TractError),
}

impl From<TractError> for RunError {
    fn from(error: TractError) -> Self {
        Self::Model(error)
    }
}

impl Runner {
    /// Reads and optimises a model with one input (N, C, H, W) and scores (N, `classes`). Runs it once on a map of zeros, so
    /// that every runner that exists works.
    ///
    /// # Errors
    /// If tract cannot read or run the model, or the output is not `classes` finite numbers.
    pub fn new(onnx: &[u8], shape: [usize; 3], classes: usize) -> TractResult<Self> {
        // PyTorch describes intermediate values with a named batch, which tract would hold against the batch that it is given.
        let reader = tract_onnx::onnx().with_ignore_value_info(true);
        let model = reader.model_for_read(&mut &*onnx)?;
        let inputs = model.input_outlets()?.len();
        if inputs != 1 {
            return Err(TractError::msg(format!(
                "it has {inputs} inputs; the map is the only one"
            )));
        }
        if let Some(other) = model.input_fact(0)?.datum_type.concretize().filter(|&is| is != F32) {
            return Err(TractError::msg(format!(
                "its input is {other:?}; export the model in single precision: model.float()"
            )));
        }
        let (plans, kernels) = Default::default();
        let runner = Self { model, shape, classes, plans, kernels };
        let one = runner.optimised(1)?;
        runner.scores(&one, 1, &vec![0.0; runner.map_len()])?;
        let _ = runner.plans[0].set(Some(one));
        Ok(runner)
    }

    /// Computes the scores of the maps concatenated in `maps`. Blocks the thread.
    ///
    /// # Errors
    /// If the model fails, or `until` passes before the last batch starts.
    pub fn run(&self, maps: &[f32], until: Option<Instant>) -> Result<Vec<Vec<f32>>, RunError> {
        let mut left = maps;
        let mut all = Vec::with_capacity(maps.len() / self.map_len());
        while !left.is_empty() {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Err(RunError::Deadline { done: all.len() });
            }
            let samples = left.len() / self.map_len();
            let mut fitting = (0..BATCHES.len()).rev().filter(|&at| BATCHES[at] <= samples);
            let (batch, plan) = fitting
                .find_map(|at| Some((BATCHES[at], self.plan(at)?)))
                .ok_or_else(|| TractError::msg("the last map is incomplete"))?;
            let (now, later) = left.split_at(batch * self.map_len());
            all.extend(self.scores(plan, batch, now)?);
            left = later;
        }
        Ok(all)
    }

    fn map_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The plan for `BATCHES[at]`, made on first use.
    fn plan(&self, at: usize) -> Option<&Runnable> {
        let make = || {
            let (batch, start) = (BATCHES[at], Instant::now());
            let plan = self.optimised(batch).and_then(|plan| self.verified(plan, batch));
            let ms = start.elapsed().as_secs_f64() * 1e3;
            match &plan {
                Ok(_) => info!(batch, ms, "made the plan for this batch size"),
                Err(error) => info!(batch, ms, %error, "no plan for this batch size"),
            }
            plan.ok()
        };
        self.plans[at].get_or_init(make).as_ref()
    }

    /// The number of samples in the largest batch that the model can run. Makes the plans for all batch sizes.
    pub fn largest_batch(&self) -> usize {
        let running = (0..BATCHES.len()).rev().find(|&at| self.plan(at).is_some());
        running.map_or(1, |at| BATCHES[at])
    }

    /// The multiply-accumulates per sample of convolutions and matrix products, and the weights and map elements that
    /// they read.
    ///
    /// # Errors
    /// If tract cannot optimise the model.
    pub fn cost(&self) -> TractResult<(u64, u64)> {
        let model = self.typed(1)?;
        let (mut macs, mut reads) = (0, 0);
        for node in &model.nodes {
            if !(node.op_is::<Conv>() || node.op_is::<Deconv>() || node.op_is::<EinSum>()) {
                continue;
            }
            let facts = model.node_input_facts(node.id)?;
            for (cost, count) in node.op.cost(&facts)? {
                if matches!(cost, Cost::FMA(_)) {
                    macs += count.to_usize()? as u64;
                }
            }
            // The third input of a convolution is its bias.
            for fact in facts.iter().take(2) {
                reads += fact.shape.volume().to_usize()? as u64;
            }
        }
        Ok((macs, reads))
    }

    /// The model for this batch size, simplified but not yet optimised for the processor.
    fn typed(&self, batch: usize) -> TractResult<TypedModel> {
        let [channels, height, width] = self.shape;
        let fact = f32::fact([batch, channels, height, width]);
        let model = self.model.clone().with_input_fact(0, fact.into())?;
        model.into_typed()?.into_decluttered()
    }

    fn optimised(&self, batch: usize) -> TractResult<Runnable> {
        let mut model = self.typed(batch)?;
        winograd::transform(&mut model, &self.kernels)?;
        batch::fold(&mut model)?;
        model.into_optimized()?.into_runnable()
    }

    /// Returns the plan if a batch has the same scores as its samples one by one.
    fn verified(&self, plan: Runnable, batch: usize) -> TractResult<Runnable> {
        let one =
            self.plan(0).ok_or_else(|| TractError::msg("the model cannot run a single sample"))?;
        let len = self.map_len();
        // Pseudo-random signs (Knuth's multiplicative hash): a regular pattern could cancel out in a layer.
        let sign =
            |i: usize| if (i as u32).wrapping_mul(2_654_435_761) >> 31 == 0 { 1.0 } else { -1.0 };
        let maps: Vec<f32> = (0..batch * len).map(sign).collect();
        let together = self.scores(&plan, batch, &maps)?;
        for (map, scores) in maps.chunks_exact(len).zip(&together) {
            let alone = self.scores(one, 1, map)?;
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * b.abs().max(1.0);
            if !scores.iter().zip(&alone[0]).all(close) {
                return Err(TractError::msg("batched scores differ from those of single samples"));
            }
        }
        Ok(plan)
    }

    fn scores(&self, plan: &Runnable, batch: usize, maps: &[f32]) -> TractResult<Vec<Vec<f32>>> {
        let [channels, height, width] = self.shape;
        let input = Tensor::from_shape(&[batch, channels, height, width], maps)?;
        let outputs = plan.run(tvec!(input.into()))?;
        let output = outputs.first().ok_or_else(|| TractError::msg("the model has no output"))?;
        if output.datum_type() != F32 {
            let other = output.datum_type();
            return Err(TractError::msg(format!(
                "its output is {other:?}; export the model in single precision: model.float()"
            )));
        }
        let scores: Vec<f32> = output.to_plain_array_view::<f32>()?.iter().copied().collect();
        if scores.len() != batch * self.classes {
            let (got, classes) = (output.shape(), self.classes);
            return Err(TractError::msg(format!(
                "its output for a batch of {batch} has shape {got:?} instead of [{batch}, {classes}], a score per class"
            )));
        }
        if !scores.iter().all(|score| score.is_finite()) {
            return Err(TractError::msg("the model returned a score that is not finite"));
        }
        Ok(scores.chunks_exact(self.classes).map(<[f32]>::to_vec).collect())
    }
}
