//! A built function that is given one event, as Lambda would.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use fogline_stack::models::Models;
use fogline_stack::store;

use crate::cloud::event;
use crate::cloud::function::Function;

/// Options of the chore behind `cargo xtask release`.
#[derive(clap::Args)]
pub struct Options {
    /// The function's program.
    bootstrap: PathBuf,
    /// Runs the program, where it is another processor's.
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
            Some(runner) => (runner, vec![options.bootstrap.as_path()]),
            None => (&options.bootstrap, vec![]),
        };
        let start = Instant::now();
        let pair = model.place().replace("models/", "");
        let function = Function::start(program, &arguments, &store, &pair).await?;
        function.sample(&event(model, 1)?).await?;
        let (seconds, name) = (start.elapsed().as_secs_f64(), options.bootstrap.display());
        println!("{name} answers for {pair}, {seconds:.1} s after its start");
        function.kill().await
    })
}
