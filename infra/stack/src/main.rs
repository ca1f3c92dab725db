//! Fogline on one machine: the model store, the function in cargo-lambda's emulator, and the page, each on its own port of
//! 127.0.0.1.
//!
//! When everything is ready, prints the addresses as one JSON line on stdout. Everything stops on Ctrl-C, SIGTERM, a closed
//! terminal, the end of stdin with `--until-stdin-closes`, the exit of any part, or when this process is killed.

#![forbid(unsafe_code)]

use std::io::{Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use hyper::Uri;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use fogline_stack::function::{Function, Start};
use fogline_stack::models::{Model, Models};
use fogline_stack::page::Site;
use fogline_stack::{bound, server, store};

/// Start the store, the function and the page. Run it in the workspace's root.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Folder of pairs, laid out as NAME/VERSION/manifest.json.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// Folder of the page's files.
    #[arg(long, value_name = "DIR", default_value = "web-demo")]
    page: PathBuf,
    /// Folder of the built browser engine, served under /pkg/.
    #[arg(long, value_name = "DIR", default_value = "edge-wasm/pkg")]
    pkg: PathBuf,
    /// Folder of pictures with an index.json that lists them, for the page to show as well.
    #[arg(long, value_name = "DIR")]
    gallery: Option<PathBuf>,
    /// The pair that the page opens with: NAME or NAME/VERSION [default: the first].
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The cargo-lambda binary [default: the one on PATH].
    #[arg(long, value_name = "FILE", default_value = "cargo-lambda", hide_default_value = true)]
    cargo_lambda: PathBuf,
    /// A built fogline-cloud to run in the emulator [default: build it with cargo].
    #[arg(long, value_name = "FILE")]
    function: Option<PathBuf>,
    /// The page's port [default: a free one].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Timeout in seconds for building the function and getting it ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    deadline: u32,
    /// Stop when stdin closes, so that nothing is left behind if the caller dies.
    #[arg(long)]
    until_stdin_closes: bool,
}

fn main() -> ExitCode {
    if let Some(error) = bound::become_program() {
        eprintln!("fogline-stack: {error}");
        return ExitCode::FAILURE;
    }
    let options = Options::parse();
    let runtime = tokio::runtime::Runtime::new().context("starting threads");
    match runtime.and_then(|runtime| runtime.block_on(run(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fogline-stack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<()> {
    // Install the signal handlers first: a signal with its default action would leave orphans.
    let ended = ended(options.until_stdin_closes)?;
    tokio::pin!(ended);

    let models = Models::find(&options.models)?;
    let opened = models.choose(options.model.as_deref())?;
    let config = models.config(opened, options.gallery.is_some());
    let listener = server::bind(options.port).await?;
    let store = store::start(&models.usable).await?;
    for (_, why) in &models.refused {
        eprintln!("skipped: {why:#}");
    }
    eprintln!("store: {} pairs in {}", models.usable.len(), store.url);

    let mut function = Function::start(Start {
        cargo_lambda: &options.cargo_lambda,
        prebuilt: options.function.as_deref(),
        store: &store,
    })
    .await?;
    let ready = tokio::select! {
        ready = function.ready(Duration::from_secs(options.deadline.into())) => ready.map(|()| true),
        () = &mut ended => Ok(false),
    };
    let result = match ready {
        Ok(true) => {
            let site = Site::new(&options.page, &options.pkg, &options.models, &config)
                .with_gallery(options.gallery);
            let upstream: Uri = function.url.parse().context("the function's address")?;
            match server::listen(listener, site, upstream) {
                Ok(page) => {
                    announce(&page, &function, &store, opened)?;
                    tokio::select! {
                        failure = function.failure() => Err(failure),
                        () = &mut ended => Ok(()),
                    }
                }
                Err(error) => Err(error),
            }
        }
        Ok(false) => Ok(()),
        Err(error) => Err(error),
    };
    function.stop().await;
    result
}

fn announce(
    page: &str,
    function: &Function,
    store: &store::LocalStore,
    opened: &Model,
) -> Result<()> {
    let line = serde_json::json!({
        "page": format!("{page}/"),
        "model": opened.folder,
        "cloud": format!("{page}/cloud"),
        "function": function.url,
        "function_pid": function.pid(),
        "store": store.url,
        "bucket": store::BUCKET,
        "store_dir": store.folder(),
    });
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}")?;
    stdout.flush().context("cannot write to stdout")
}

/// Resolves when the stack should stop.
fn ended(until_stdin_closes: bool) -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let (closed, stdin) = oneshot::channel();
    if until_stdin_closes {
        // A separate thread, because its read may block for ever and tokio must not wait for it.
        std::thread::spawn(move || {
            let mut void = [0; 1024];
            while matches!(std::io::stdin().read(&mut void), Ok(1..)) {}
            let _ = closed.send(());
        });
    }
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => eprintln!("interrupted; stopping"),
            _ = terminate.recv() => eprintln!("terminated; stopping"),
            // Sent when the terminal closes, or when its first process exits, such as cargo on Ctrl-C.
            _ = hangup.recv() => eprintln!("terminal closed; stopping"),
            _ = quit.recv() => eprintln!("quit; stopping"),
            Ok(()) = stdin => eprintln!("stdin closed; stopping"),
        }
    })
}
