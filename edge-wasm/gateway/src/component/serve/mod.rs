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
//! The work of a client that has left goes on, and its request counts no more: `-O pooling-total-component-instances` bounds
//! how many instances there are, and `-W max-memory-size` what each may take. Who is at work, and what is counted, has to add
//! up over all of them: it lies in a folder.
//!
//! There are no arguments: options come from the environment and the file that it names, as the commands' do.

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
use crate::component::{Args, Command, config};

/// Answer over HTTP, under `wasmtime serve`.
///
/// POST /classify takes a picture (image/png, image/jpeg, image/webp), several (multipart/form-data), or pixels
/// (application/octet-stream: RGB of the pair's size, one picture after the other). There are /health, /ready, /metrics, and a
/// page at /. Options come from the environment or FOGLINE_CONFIG. Nobody is asked who they are: choose an address that only those who may ask can reach.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  wasmtime serve -S cli --addr 127.0.0.1:8080 --max-instance-reuse-count 1000000 \\\n      \
        --idle-instance-timeout 8s --max-concurrent-requests 20 -H host:gateway \\\n      \
        -O pooling-allocator=y,pooling-total-component-instances=28 -W max-memory-size=117440512 --dir . \\\n      \
        --env FOGLINE_MODEL=onnx-models/cifar10-w1/3.0.0 --env FOGLINE_METRICS=metrics --env FOGLINE_CLOUD=URL fogline.wasm\n  \
        curl --data-binary @cat.jpg -H 'content-type: image/jpeg' 127.0.0.1:8080/classify"
)]
pub struct Options {
    #[command(flatten)]
    setup: Setup,
    /// Folder in which instances keep what they count, for /metrics to add up, and who of them is at work. One server at a
    /// time may use it.
    #[arg(long, value_name = "DIR")]
    metrics: Option<PathBuf>,
    /// The most requests for /classify that are worked on at once, also for clients that have left. As many wait for them;
    /// others are refused as busy. Needs --metrics. Give wasmtime more than twice as many by --max-concurrent-requests, and
    /// /health never waits for work.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=256))]
    max_work: u32,
    /// The most of a request's body.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=50))]
    max_body_mib: u64,
    /// Which requests are a line of their own on standard error: those that failed here (5xx), those that were refused as
    /// well (4xx and 503), or all.
    #[arg(long, value_enum, default_value_t = Level::Error)]
    log: Level,
}

/// Which requests are logged.
#[derive(Clone, Copy, PartialEq, PartialOrd, clap::ValueEnum)]
enum Level {
    Error,
    Warn,
    Info,
}

impl Level {
    /// That of a request with this status.
    fn of(status: u16) -> Self {
        match status {
            // What is busy or not ready yet refuses, and says why elsewhere.
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
    /// A place among those at work, where these are counted. As many as work may wait for one; beyond them it is refused.
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
        let why = format!("{most} requests are worked on, as many as may be: ask again in a while");
        Err(Fault::new(http::BUSY, why))
    }

    /// A free slot of these, if there is one, and a folder for them.
    fn slot(&self, numbers: Range<u32>) -> Result<Option<Slot>, Fault> {
        let Some(folder) = &self.metrics else { return Ok(None) };
        Slot::take(folder, numbers, self.longest_work())
    }

    /// How long work may take; what takes longer is not done by anybody any more.
    fn longest_work(&self) -> Duration {
        self.setup.cloud.deadline() + http::PATIENCE * 4
    }
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
        Command::Serve(options) => {
            if let Some(folder) = &options.metrics {
                slot::make_folder(folder)?;
            }
            Ok(options)
        }
        _ => unreachable!("the line above names the command"),
    }
}
