//! Times the plans of a pair's cloud part, tract's own and Fogline's: `profile DIR SAMPLES…`, where DIR holds `manifest.json` and
//! `cloud.onnx`. Prints a [`Profile`] as JSON for `cargo xtask bench cloud`.
//!
//! A program of its own, so that it is compiled like the function.

use std::error::Error;
use std::path::Path;
use std::time::Instant;
use std::{env, fs};

use fogline::manifest::{CLOUD_ONNX, Manifest};
use fogline::refusal::Refusal;
use fogline_cloud::plan::Plan;
use fogline_cloud::runner::{Profile, Profiled};

/// Runs of each plan.
const ROUNDS: usize = 40;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().ok_or("which pair's folder?")?;
    let samples = arguments.map(|text| text.parse()).collect::<Result<Vec<usize>, _>>()?;
    let folder = Path::new(&folder);
    let manifest = Manifest::parse(&fs::read(folder.join("manifest.json"))?)?;
    let onnx = fs::read(folder.join(CLOUD_ONNX))?;
    let of =
        |make: fn(Manifest, &[u8]) -> Result<Plan, Refusal>| -> Result<Profiled, Box<dyn Error>> {
            let start = Instant::now();
            let plan = make(manifest.clone(), &onnx).map_err(|refusal| refusal.message)?;
            let load_ms = start.elapsed().as_secs_f64() * 1e3;
            let plans = samples
                .iter()
                .map(|&samples| Ok((samples, plan.runner().profile(samples, ROUNDS)?)));
            Ok(Profiled { load_ms, plans: plans.collect::<Result<_, Box<dyn Error>>>()? })
        };
    let profile = Profile { tract: of(Plan::of_tract_alone)?, fogline: of(Plan::new)? };
    println!("{}", serde_json::to_string(&profile)?);
    Ok(())
}
