//! `wasmtime serve`: answers over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /classify` | what becomes of every picture of the body, as `classify --json` prints it |
//! | `GET /health`, `GET /ready` | whether it lives; which pair is loaded, and whether the cloud is left alone |
//! | `GET /metrics` | counts and times, as Prometheus reads them |
//! | `GET /` | a page of the same for people |
//!
//! It is an export of the same component as the commands, `wasi:http/incoming-handler`, and not a command that listens on a
//! socket: wasmtime's own server then speaks HTTP outside of the sandbox, and a picture that breaks an instance breaks no other.
//! The price is that state is an instance's. Wasmtime gives an instance one request at a time; where all are busy, it makes
//! another, so that nobody waits behind a question to the cloud, and processors are used as there are. By
//! `--max-instance-reuse-count` and `--idle-instance-timeout` an instance stays for the requests to come: it loads the pair
//! once, and has a circuit, a quota and a share of the line of its own. Without them all of it is made anew for every request.
//! `--max-concurrent-requests` bounds how many there are. Only what is counted has to add up over them: it lies in a folder.
//!
//! There are no arguments: options come from the environment and the file that it names, as the commands' do.

mod counted;
mod gateway;
mod handler;
mod http;
mod page;
mod pictures;

use std::path::PathBuf;
use std::sync::OnceLock;

use clap::{CommandFactory, FromArgMatches};
use fogline::refusal::NOT_READY;

use crate::component::classifier::Setup;
use crate::component::fault::Fault;
use crate::component::{Args, Command, config};

/// Answer over HTTP, under `wasmtime serve`.
///
/// POST /classify takes a picture (image/png, image/jpeg, image/webp), several (multipart/form-data), or pixels
/// (application/octet-stream: RGB of the pair's size, one picture after the other). There are /health, /ready, /metrics, and a
/// page at /. Options come from the environment or FOGLINE_CONFIG. Nobody is asked who they are: choose an address that only those who may ask can reach.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  wasmtime serve -S cli --addr 127.0.0.1:8080 --max-instance-reuse-count 1000000 \\\n      \
        --idle-instance-timeout 3600s --max-concurrent-requests 16 --dir . \\\n      \
        --env FOGLINE_MODEL=onnx-models/cifar10-w1/3.0.0 --env FOGLINE_METRICS=metrics --env FOGLINE_CLOUD=URL fogline.wasm\n  \
        curl --data-binary @cat.jpg -H 'content-type: image/jpeg' 127.0.0.1:8080/classify"
)]
pub struct Options {
    #[command(flatten)]
    setup: Setup,
    /// Folder in which instances keep what they count, for /metrics to add up. One server at a time may use it.
    #[arg(long, value_name = "DIR")]
    metrics: Option<PathBuf>,
}

/// Says how it is done: a command has no requests.
pub fn run(_: &Options) -> Result<bool, Fault> {
    let how = "`wasmtime serve` runs this, and takes options from the environment: `serve --help` has an example";
    Err(Fault::new("not_a_command", how))
}

/// What environment and file say, read once an instance.
fn options() -> Result<&'static Options, Fault> {
    static OPTIONS: OnceLock<Result<Options, Fault>> = OnceLock::new();
    OPTIONS.get_or_init(read).as_ref().map_err(Fault::clone)
}

/// A fault of pair or options, as whoever asks is told: they may be put right.
fn not_ready(fault: &Fault) -> Fault {
    Fault::new(NOT_READY, format!("error[{}]: {}", fault.error, fault.message))
}

fn read() -> Result<Options, Fault> {
    let refused = |error: clap::Error| {
        let said = error.to_string();
        let said = said.split("\n\n").next().unwrap_or_default().trim_start_matches("error: ");
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        Fault::new("options", format!("{said} (`model` is FOGLINE_MODEL in the environment)"))
    };
    let command = config::layered(Args::command())?;
    let matches = command.try_get_matches_from(["fogline", "serve"]).map_err(refused)?;
    match Args::from_arg_matches(&matches).map_err(refused)?.command {
        Command::Serve(options) => Ok(options),
        _ => unreachable!("the line above names the command"),
    }
}
