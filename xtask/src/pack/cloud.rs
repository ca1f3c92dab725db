//! The trial of a pair's cloud part by fogline-measure, which contains tract.

use std::path::Path;

use anyhow::{Context, Result};
use fogline::manifest::{Counts, Part, Role};
use fogline::refusal::Refusal;
use serde::Deserialize;

use crate::{step, target};

/// What fogline-measure finds out about a model that works.
#[derive(Deserialize)]
pub struct Trial {
    macs: u64,
    reads: u64,
    batch: usize,
}

/// How a trial ends.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Outcome {
    /// The function can serve the model.
    Works(Trial),
    /// It cannot, for this reason.
    Refused(Refusal),
}

/// Runs the `cloud.onnx` that lies beside `manifest` as the function would.
pub fn outcome(manifest: &Path) -> Result<Outcome> {
    step::build()?;
    let mut program = step::command(target().join("debug/fogline-measure"), &["try-cloud"]);
    // Steps run in the workspace.
    program.arg(std::path::absolute(manifest)?);
    let said = step::run("trying cloud.onnx as the function runs it", &mut program)?;
    serde_json::from_str(said.lines().last().unwrap_or_default()).context(said)
}

impl Trial {
    /// The cloud's part of the manifest.
    pub fn part(&self) -> Part {
        let counts = |count| Counts::from([(32, count)]);
        let (macs, reads) = (counts(self.macs), counts(self.reads));
        Part { name: "cloud".into(), role: Role::Cloud, way: None, macs, reads }
    }

    /// A warning, if the model is slower than it need be.
    pub fn warning(&self) -> Option<&'static str> {
        let why = "warning: cloud.onnx runs one sample at a time, because its batch is fixed, as by a Reshape to [1, …]. \
                   Export it with a dynamic batch, and reshape to [-1, …] or use Flatten";
        (self.batch == 1).then_some(why)
    }
}
