//! Tries a pair's cloud part for `cargo xtask pack`, which does not contain tract.

use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result};
use fogline::manifest::{CLOUD_ONNX, Manifest};
use fogline_cloud::trial::try_cloud;

/// Options of the trial.
#[derive(clap::Args)]
pub struct Options {
    /// The pair's manifest; cloud.onnx is in the same folder.
    manifest: PathBuf,
}

/// Prints what the trial finds out, or why the function could not serve the model, as one JSON object.
pub fn run(options: &Options) -> Result<()> {
    let read = |path: &PathBuf| fs::read(path).with_context(|| path.display().to_string());
    let manifest = Manifest::parse(&read(&options.manifest)?)?;
    let onnx = read(&options.manifest.with_file_name(CLOUD_ONNX))?;
    let outcome = match try_cloud(manifest, &onnx) {
        Ok(trial) => serde_json::to_string(&trial)?,
        Err(refusal) => serde_json::to_string(&refusal)?,
    };
    println!("{outcome}");
    Ok(())
}
