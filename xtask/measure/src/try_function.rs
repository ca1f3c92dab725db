//! Sends one event to a built function, as Lambda would.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fogline_stack::models::Models;
use fogline_stack::store;

use crate::cloud::event;
use crate::cloud::function::Function;

/// Where Debian's cross packages install the C library for 64-bit Arm.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";
/// Time limit for loading the pair, also under an emulator.
const START: Duration = Duration::from_mins(1);

/// Options of the check that `cargo xtask release` runs.
#[derive(clap::Args)]
pub struct Options {
    /// The function's executable.
    bootstrap: PathBuf,
    /// The QEMU that runs it, if it is for another processor.
    #[arg(long, value_name = "FILE")]
    runner: Option<PathBuf>,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
}

/// Succeeds if the function answers the event.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let models = Models::find(&options.models)?;
        let model = models.choose(None)?;
        let store = store::start(&models.usable).await?;
        let (program, arguments) = match &options.runner {
            Some(runner) => {
                (runner, vec![Path::new("-L"), Path::new(SYSROOT), options.bootstrap.as_path()])
            }
            None => (&options.bootstrap, vec![]),
        };
        let start = Instant::now();
        let pair = model.place().replace("models/", "");
        let function = Function::start(program, &arguments, &store, &pair).await?;
        tokio::time::timeout(START, function.lambda.asked()).await.context(
            "the function did not ask for work within a minute; did it fail to load the pair?",
        )?;
        function.sample(&event(model, 1)?).await?;
        let (seconds, name) = (start.elapsed().as_secs_f64(), options.bootstrap.display());
        println!("{name} answered for {pair}, {seconds:.1} s after its start");
        function.kill().await
    })
}
