//! A `cloud.onnx` that runs any number of maps at once.
//!
//! tract optimises a model for one batch size, so there is a plan for each of [`BATCHES`]: that for one
//! from the start, the others from the first request that has use for them. A request is cut into the
//! largest batches that it fills, and nothing is padded. Exporters often freeze a batch of one into a
//! reshape: such a model, and any whose batch says something else than its samples one by one, runs one
//! sample at a time.

use core::fmt;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing::info;
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModel, InferenceModelExt, IntoRunnable, Tensor, TractError,
    TractResult, TypedRunnableModel, tvec,
};

use crate::batch;

/// The batch sizes that have a plan of their own, the smallest first.
pub const BATCHES: [usize; 3] = [1, 4, 16];

/// How far a batch's scores may lie from those of its samples one by one: sums run in another order.
const TOLERANCE: f32 = 1e-3;

type Runnable = Arc<TypedRunnableModel>;

/// A model with its plans.
pub struct Runner {
    model: InferenceModel,
    /// Channels, height, width.
    shape: [usize; 3],
    classes: usize,
    /// By [`BATCHES`]; `None` where the model cannot.
    plans: [OnceLock<Option<Runnable>>; BATCHES.len()],
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({:?} to {})", self.shape, self.classes)
    }
}

/// Why there are no scores.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The time was over before the last batch began.
    Deadline {
        /// Samples that had their scores by then.
        done: usize,
    },
    /// The model failed.
    Model(TractError),
}

impl From<TractError> for RunError {
    fn from(error: TractError) -> Self {
        Self::Model(error)
    }
}

impl Runner {
    /// Reads and optimises a model of one input (N, C, H, W) and scores (N, `classes`), and runs it once
    /// on a map of zeros, so that a runner that exists is one that works.
    ///
    /// # Errors
    /// When tract cannot read or run it, or its scores are not `classes` finite numbers.
    pub fn new(onnx: &[u8], shape: [usize; 3], classes: usize) -> TractResult<Self> {
        let model = tract_onnx::onnx().model_for_read(&mut &*onnx)?;
        let runner = Self { model, shape, classes, plans: Default::default() };
        let one = runner.optimised(1)?;
        runner.scores(&one, 1, &vec![0.0; runner.map_len()])?;
        let _ = runner.plans[0].set(Some(one));
        Ok(runner)
    }

    /// The scores of maps that lie one behind the other. Takes its time, and the thread with it.
    ///
    /// # Errors
    /// When the model fails, or `until` comes before the last batch begins.
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
                .ok_or_else(|| TractError::msg("a map is cut off"))?;
            let (now, later) = left.split_at(batch * self.map_len());
            all.extend(self.scores(plan, batch, now)?);
            left = later;
        }
        Ok(all)
    }

    fn map_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// The plan for the batch size at `at`, made when it is first asked for.
    fn plan(&self, at: usize) -> Option<&Runnable> {
        let make = || {
            let (batch, start) = (BATCHES[at], Instant::now());
            let plan = self.optimised(batch).and_then(|plan| self.verified(plan, batch));
            let ms = start.elapsed().as_secs_f64() * 1e3;
            match &plan {
                Ok(_) => info!(batch, ms, "plan for a batch"),
                Err(error) => info!(batch, ms, %error, "no plan for this batch size"),
            }
            plan.ok()
        };
        self.plans[at].get_or_init(make).as_ref()
    }

    fn optimised(&self, batch: usize) -> TractResult<Runnable> {
        let [channels, height, width] = self.shape;
        let fact = f32::fact([batch, channels, height, width]);
        let model = self.model.clone().with_input_fact(0, fact.into())?;
        let mut model = model.into_typed()?.into_decluttered()?;
        batch::fold(&mut model)?;
        model.into_optimized()?.into_runnable()
    }

    /// The plan, if it says of a batch what the plan for one says of its samples.
    fn verified(&self, plan: Runnable, batch: usize) -> TractResult<Runnable> {
        let one = self.plan(0).ok_or_else(|| TractError::msg("not even one sample runs"))?;
        let len = self.map_len();
        // Signs without a pattern that a layer could be blind to (Knuth's multiplicative hash).
        let sign =
            |i: usize| if (i as u32).wrapping_mul(2_654_435_761) >> 31 == 0 { 1.0 } else { -1.0 };
        let maps: Vec<f32> = (0..batch * len).map(sign).collect();
        let together = self.scores(&plan, batch, &maps)?;
        for (map, scores) in maps.chunks_exact(len).zip(&together) {
            let alone = self.scores(one, 1, map)?;
            let close = |(a, b): (&f32, &f32)| (a - b).abs() <= TOLERANCE * b.abs().max(1.0);
            if !scores.iter().zip(&alone[0]).all(close) {
                return Err(TractError::msg("in a batch, samples have other scores than alone"));
            }
        }
        Ok(plan)
    }

    fn scores(&self, plan: &Runnable, batch: usize, maps: &[f32]) -> TractResult<Vec<Vec<f32>>> {
        let [channels, height, width] = self.shape;
        let input = Tensor::from_shape(&[batch, channels, height, width], maps)?;
        let outputs = plan.run(tvec!(input.into()))?;
        let output = outputs.first().ok_or_else(|| TractError::msg("it has no output"))?;
        let scores: Vec<f32> = output.to_plain_array_view::<f32>()?.iter().copied().collect();
        if scores.len() != batch * self.classes {
            let (got, classes) = (scores.len(), self.classes);
            return Err(TractError::msg(format!(
                "{got} scores for {batch} samples of {classes} classes"
            )));
        }
        if !scores.iter().all(|score| score.is_finite()) {
            return Err(TractError::msg("a score is not a finite number"));
        }
        Ok(scores.chunks_exact(self.classes).map(<[f32]>::to_vec).collect())
    }
}
