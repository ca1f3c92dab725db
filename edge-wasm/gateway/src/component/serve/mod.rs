//! `wasmtime serve`: classification over HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `POST /classify` | the result of every picture in the body, as `classify --json` prints it |
//! | `GET /health`, `GET /ready` | whether the gateway is alive; which pair is loaded, and the state of the cloud |
//! | `GET /metrics` | metrics for Prometheus |
//! | `GET /` | a page with pair and metrics |
//!
//! This is the export `wasi:http/incoming-handler` of the same component as the commands, and not a command that listens on a
//! socket. Wasmtime's server speaks HTTP outside the sandbox, and a picture that breaks one instance does not affect others.
//! The price is that state belongs to an instance. Wasmtime gives an instance one request at a time and creates another one
//! when all are busy, so that no request waits while another asks the cloud, and all processors are used. With
//! `--max-instance-reuse-count` and `--idle-instance-timeout` an instance stays for later requests. It then loads the pair
//! once, and has its own circuit breaker, quota and rate limit. Without these options, every request starts from scratch.
//! When a client leaves, its work goes on, but wasmtime no longer counts its request. `-O pooling-total-component-instances`
//! therefore limits the number of instances, and `-W max-memory-size` the memory of each. The requests in progress and the
//! metrics must add up over all instances, so they are kept in a folder.
//!
//! There are no arguments: options come from the environment and from the file that it names, as for the commands.

mod counted;
mod gateway;
mod handler;
mod http;
mod page;
mod pictures;
mod slot;

use std::ops::Range;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use clap::{CommandFactory, FromArgMatches};
use fogline::refusal::NOT_READY;

use self::slot::Slot;
use crate::component::classifier::Setup;
use crate::component::fault::Fault;
use crate::component::hard::Keeping;
use crate::component::{Args, Command, config};

/// Classify over HTTP, under `wasmtime serve`.
///
/// POST /classify takes one picture (image/png, image/jpeg, image/webp), several (multipart/form-data), or pixels
/// (application/octet-stream: RGB of the pair's input size, one picture after the other). There are also /health, /ready,
/// /metrics, and a page at /. Options come from the environment or the file in FOGLINE_CONFIG. There is no authentication of
/// clients: listen on an address that only they can reach.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  TOKIO_WORKER_THREADS=20 wasmtime serve -S cli --addr 127.0.0.1:8080 --max-instance-reuse-count 1000000 \\\n      \
        --idle-instance-timeout 8s --max-concurrent-requests 20 -H host:gateway \\\n      \
        -O pooling-allocator=y,pooling-total-component-instances=40 -W max-memory-size=117440512 --dir . \\\n      \
        --env FOGLINE_MODEL=onnx-models/cifar10-w1/3.2.0 --env FOGLINE_MAX_PIXELS=4000000 --env FOGLINE_MAX_BODY_MIB=16 \\\n      \
        --env FOGLINE_METRICS=metrics --env FOGLINE_CLOUD=URL fogline.wasm\n  \
        curl --data-binary @cat.jpg -H 'content-type: image/jpeg' 127.0.0.1:8080/classify"
)]
pub struct Options {
    #[command(flatten)]
    setup: Setup,
    #[command(flatten)]
    keeping: Keeping,
    /// Folder for the metrics of all instances and for the requests in progress. Only one server at a time may use it.
    #[arg(long, value_name = "DIR")]
    metrics: Option<PathBuf>,
    /// Maximum number of /classify requests in progress, including those whose clients have left. As many more wait; any further
    /// ones are refused as busy. Needs --metrics. Set wasmtime's --max-concurrent-requests to more than twice this number, so
    /// that /health never waits for work.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    max_work: u32,
    /// Maximum size of a request's body, in MiB.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=50))]
    max_body_mib: u64,
    /// Which requests to log on standard error: those that failed here (5xx), also those that were refused (4xx and 503), or
    /// all.
    #[arg(long, value_enum, default_value_t = Level::Error)]
    log: Level,
}

/// The lowest level of requests that are logged.
#[derive(Clone, Copy, PartialEq, PartialOrd, clap::ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
}

impl Level {
    /// The level of a request with this status.
    fn of(status: u16) -> Self {
        match status {
            // Busy and not ready are refusals, not failures.
            503 => Self::Warn,
            500.. => Self::Error,
            400.. => Self::Warn,
            _ => Self::Info,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

impl Options {
    /// A slot for a request, if requests in progress are limited. Waits for one, unless as many requests as there are slots
    /// already wait: then the request is refused.
    async fn begin(&self) -> Result<Option<Slot>, Fault> {
        let most = self.max_work;
        let slot = self.slot(0..most)?;
        if slot.is_some() || self.metrics.is_none() {
            return Ok(slot);
        }
        let waiting = self.slot(most..2 * most)?;
        let began = Instant::now();
        while waiting.is_some() && began.elapsed() < http::PATIENCE {
            wstd::task::sleep(wstd::time::Duration::from_millis(10)).await;
            if let Some(slot) = self.slot(0..most)? {
                return Ok(Some(slot));
            }
        }
        let why = format!("{most} requests are in progress, which is the limit: try again later");
        Err(Fault::new(http::BUSY, why))
    }

    /// A free slot with one of these numbers, if there is one. Creates the folder of slots.
    fn slot(&self, numbers: Range<u32>) -> Result<Option<Slot>, Fault> {
        let Some(folder) = &self.metrics else { return Ok(None) };
        Slot::take(folder, numbers, self.longest_work())
    }

    /// The time limit of a request's work, after which its slot counts as abandoned.
    fn longest_work(&self) -> Duration {
        self.setup.cloud.deadline() + http::PATIENCE * 4
    }
}

/// Explains how to serve: a command has no HTTP requests.
pub fn run(_: &Options) -> Result<bool, Fault> {
    let how = "start this with `wasmtime serve`, and set options in the environment: `serve --help` has an example";
    Err(Fault::new("not_a_command", how))
}

/// The options from environment and file, read once per instance.
fn options() -> Result<&'static Options, Fault> {
    static OPTIONS: OnceLock<Result<Options, Fault>> = OnceLock::new();
    OPTIONS.get_or_init(read).as_ref().map_err(Fault::clone)
}

/// The error for clients if options or pair are faulty: the fault may be fixed while the server runs.
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
        Command::Serve(options) => {
            if let Some(folder) = &options.metrics {
                slot::make_folder(folder)?;
            }
            Ok(options)
        }
        _ => unreachable!("the line above names the command"),
    }
}
