//! Runs a `cloud.onnx` on any number of maps.
//!
//! tract optimises a model for one batch size, so there is one plan per size in [`BATCHES`]: the plan for a single sample
//! from the start, the others from the first request that can use them. A request is split into the largest batches that
//! it fills, without padding, and its batches are spread over the function's cores. Exporters often hard-code a batch of one in a reshape. Such a model, and any whose batched
//! scores differ from those of its single samples, runs one sample at a time.

use core::fmt;
use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tracing::info;
use tract_onnx::Onnx;
use tract_onnx::pb::ModelProto;
use tract_onnx::prelude::{
    DatumExt, DatumType, Framework, InferenceModel, InferenceModelExt, IntoRunnable, Tensor,
    TractError, TractResult, TypedModel, TypedRunnableModel, tvec,
};
use tract_onnx::tract_core::internal::{Cost, DimLike};
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::plan::eval;
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
    /// `None` leaves every convolution to tract.
    kernels: Option<Kernels>,
}

/// An operation of a plan and how long it takes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Timed {
    /// Name of the node in the plan.
    pub node: String,
    /// Name of its operation.
    pub operation: String,
    /// Time of each run in milliseconds.
    pub ms: Vec<f64>,
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Runner({:?} to {})", self.shape, self.classes)
    }
}

/// The operations of a model's plans, by batch size.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Profiled {
    /// Time to read and optimise the model and to run it once, in milliseconds.
    pub load_ms: f64,
    /// In each plan's order.
    pub plans: BTreeMap<usize, Vec<Timed>>,
}

/// A model as tract alone runs it, and as the function does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[allow(clippy::exhaustive_structs)]
pub struct Profile {
    /// With tract's own convolutions.
    pub tract: Profiled,
    /// With those of `fogline_winograd`.
    pub fogline: Profiled,
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
        Self::with(reader().model_for_read(&mut &*onnx)?, shape, classes, Some(Kernels::default()))
    }

    /// [`Runner::new`] for a model that was decoded before.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn of_proto(model: &ModelProto, shape: [usize; 3], classes: usize) -> TractResult<Self> {
        let model = reader().model_for_proto_model(model)?;
        Self::with(model, shape, classes, Some(Kernels::default()))
    }

    /// [`Runner::new`] with tract's own convolutions, to compare with.
    ///
    /// # Errors
    /// As [`Runner::new`].
    pub fn of_tract_alone(onnx: &[u8], shape: [usize; 3], classes: usize) -> TractResult<Self> {
        Self::with(reader().model_for_read(&mut &*onnx)?, shape, classes, None)
    }

    fn with(
        model: InferenceModel,
        shape: [usize; 3],
        classes: usize,
        kernels: Option<Kernels>,
    ) -> TractResult<Self> {
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
        let runner = Self { model, shape, classes, plans: Default::default(), kernels };
        let one = runner.optimised(1)?;
        runner.scores(&one, 1, &vec![0.0; runner.map_len()])?;
        let _ = runner.plans[0].set(Some(one));
        Ok(runner)
    }

    /// Computes the scores of the maps concatenated in `maps`, on so many `cores`, at least one. Blocks the thread.
    ///
    /// # Errors
    /// If the model fails, or `until` passes before the last batch starts.
    pub fn run(
        &self,
        maps: &[f32],
        cores: usize,
        until: Option<Instant>,
    ) -> Result<Vec<Vec<f32>>, RunError> {
        let late = || until.is_some_and(|until| Instant::now() >= until);
        if late() {
            return Err(RunError::Deadline { done: 0 });
        }
        let batches = self.batches(maps, cores.max(1))?;
        let next = AtomicUsize::new(0);
        let work = || {
            let mut done = vec![];
            while !late() {
                let at = next.fetch_add(1, Ordering::Relaxed);
                let Some((batch, plan, maps)) = batches.get(at) else { break };
                // After a failure, the other cores need not go on.
                let scores = self.scores(plan, *batch, maps);
                let scores =
                    scores.inspect_err(|_| next.store(batches.len(), Ordering::Relaxed))?;
                done.push((at, scores));
            }
            TractResult::Ok(done)
        };
        let mut done = thread::scope(|scope| {
            let others: Vec<_> = (1..cores.min(batches.len())).map(|_| scope.spawn(work)).collect();
            let mut done = work()?;
            for other in others {
                done.extend(other.join().unwrap_or_else(|panic| resume_unwind(panic))?);
            }
            TractResult::Ok(done)
        })?;
        done.sort_unstable_by_key(|(at, _)| *at);
        let scores: Vec<Vec<f32>> = done.into_iter().flat_map(|(_, scores)| scores).collect();
        if scores.len() < maps.len() / self.map_len() {
            return Err(RunError::Deadline { done: scores.len() });
        }
        Ok(scores)
    }

    /// Cuts maps into batches: the largest that leave none of the cores idle.
    fn batches<'a>(
        &self,
        maps: &'a [f32],
        cores: usize,
    ) -> TractResult<Vec<(usize, &Runnable, &'a [f32])>> {
        let most = (maps.len() / self.map_len()).div_ceil(cores);
        let (mut batches, mut left) = (vec![], maps);
        while !left.is_empty() {
            let samples = most.min(left.len() / self.map_len());
            let mut fitting = (0..BATCHES.len()).rev().filter(|&at| BATCHES[at] <= samples);
            let (batch, plan) = fitting
                .find_map(|at| Some((BATCHES[at], self.plan(at)?)))
                .ok_or_else(|| TractError::msg("the last map is incomplete"))?;
            let (now, later) = left.split_at(batch * self.map_len());
            batches.push((batch, plan, now));
            left = later;
        }
        Ok(batches)
    }

    /// Times each operation of the plan for one of [`BATCHES`] in `rounds` runs, in the plan's order.
    ///
    /// # Errors
    /// If the model cannot run that many samples together.
    pub fn profile(&self, samples: usize, rounds: usize) -> TractResult<Vec<Timed>> {
        let plan = BATCHES.iter().position(|&batch| batch == samples).and_then(|at| self.plan(at));
        let plan = plan.ok_or_else(|| TractError::msg(format!("no plan for {samples} samples")))?;
        let input = self.input(samples, &noise(samples * self.map_len()))?;
        let (mut all, mut state) = (BTreeMap::new(), plan.spawn()?);
        for _ in 0..rounds {
            let mut place = 0;
            state.run_plan_with_eval(
                tvec!(input.clone().into()),
                |context, state, node, inputs| {
                    let start = Instant::now();
                    let outputs = eval(context, state, node, inputs);
                    let timed = all.entry(place).or_insert_with(|| Timed {
                        node: node.name.clone(),
                        operation: node.op.name().into_owned(),
                        ms: vec![],
                    });
                    timed.ms.push(start.elapsed().as_secs_f64() * 1e3);
                    place += 1;
                    outputs
                },
            )?;
        }
        Ok(all.into_values().collect())
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

    /// Upper estimate of the memory in bytes, for a model of this size: its weights as they are, transformed for tiles of both sizes or
    /// else copied for each batch size.
    pub fn memory(&self, model: usize) -> usize {
        let (before, after) = self.kernels.as_ref().map_or((0, 0), Kernels::bytes);
        model + after + model.saturating_sub(before) * BATCHES.len()
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
        if let Some(kernels) = &self.kernels {
            winograd::transform(&mut model, kernels)?;
        }
        batch::fold(&mut model)?;
        model.into_optimized()?.into_runnable()
    }

    /// Returns the plan if a batch has the same scores as its samples one by one.
    fn verified(&self, plan: Runnable, batch: usize) -> TractResult<Runnable> {
        let one =
            self.plan(0).ok_or_else(|| TractError::msg("the model cannot run a single sample"))?;
        let len = self.map_len();
        let maps = noise(batch * len);
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
        let outputs = plan.run(tvec!(self.input(batch, maps)?.into()))?;
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

    fn input(&self, batch: usize, maps: &[f32]) -> TractResult<Tensor> {
        let [channels, height, width] = self.shape;
        Tensor::from_shape(&[batch, channels, height, width], maps)
    }
}

fn reader() -> Onnx {
    // PyTorch describes intermediate values with a named batch, which tract would hold against the batch that it is given.
    tract_onnx::onnx().with_ignore_value_info(true)
}

/// Pseudo-random signs (Knuth's multiplicative hash): a regular pattern could cancel out in a layer.
fn noise(len: usize) -> Vec<f32> {
    let sign =
        |i: usize| if (i as u32).wrapping_mul(2_654_435_761) >> 31 == 0 { 1.0 } else { -1.0 };
    (0..len).map(sign).collect()
}
