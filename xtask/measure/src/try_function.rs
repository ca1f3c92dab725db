//! A built function that is given one event, as Lambda would.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fogline_stack::models::Models;
use fogline_stack::store;

use crate::cloud::event;
use crate::cloud::function::Function;

/// Where Debian's cross packages put 64-bit Arm's C library.
const SYSROOT: &str = "/usr/aarch64-linux-gnu";
/// How long it may take to load the pair, also under an emulator.
const START: Duration = Duration::from_mins(1);

/// Options of the chore behind `cargo xtask release`.
#[derive(clap::Args)]
pub struct Options {
    /// The function's program.
    bootstrap: PathBuf,
    /// The QEMU that runs the program, where it is another processor's.
    #[arg(long, value_name = "FILE")]
    runner: Option<PathBuf>,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
}

/// An answer, or an error.
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
        tokio::time::timeout(START, function.lambda.asked())
            .await
            .context("it did not ask for work within a minute")?;
        function.sample(&event(model, 1)?).await?;
        let (seconds, name) = (start.elapsed().as_secs_f64(), options.bootstrap.display());
        println!("{name} answers for {pair}, {seconds:.1} s after its start");
        function.kill().await
    })
}
