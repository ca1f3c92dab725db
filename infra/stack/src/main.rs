//! Fogline on one machine: a model store, the function in cargo-lambda's emulator, and the page,
//! all on ports of their own on 127.0.0.1.
//!
//! Once everything answers, one JSON line on stdout says where. Ctrl-C, SIGTERM, a terminal that closes, and with
//! `--until-stdin-closes` the end of stdin, end all of it; so does the end of a part, and this process's own.

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

/// Brings up store, function and page; run it in the workspace's root.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Folder of pairs as NAME/VERSION/manifest.json.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// Folder of the page.
    #[arg(long, value_name = "DIR", default_value = "web-demo")]
    page: PathBuf,
    /// Folder of the built browser engine, served under /pkg/.
    #[arg(long, value_name = "DIR", default_value = "edge-wasm/pkg")]
    pkg: PathBuf,
    /// Folder of pictures and an index.json that names them: the page shows them beside its own samples.
    #[arg(long, value_name = "DIR")]
    gallery: Option<PathBuf>,
    /// The pair that the page opens with: NAME or NAME/VERSION [default: the first].
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The cargo-lambda binary [default: the one on PATH].
    #[arg(long, value_name = "FILE", default_value = "cargo-lambda", hide_default_value = true)]
    cargo_lambda: PathBuf,
    /// A built fogline-cloud to run in the emulator, instead of having it built by `cargo run`.
    #[arg(long, value_name = "FILE")]
    function: Option<PathBuf>,
    /// The page's port [default: a free one].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// How long the function may take to build and become ready.
    #[arg(long, value_name = "SECONDS", default_value_t = 900)]
    deadline: u32,
    /// End when stdin does: a caller that dies then leaves nothing behind.
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
    // Before anything starts, so that no signal finds the default action and leaves orphans.
    let ended = ended(options.until_stdin_closes)?;
    tokio::pin!(ended);

    let models = Models::find(&options.models)?;
    let opened = models.choose(options.model.as_deref())?;
    let config = models.config(opened, options.gallery.is_some());
    let listener = server::bind(options.port).await?;
    let store = store::start(&models.usable).await?;
    for (_, why) in &models.refused {
        eprintln!("left out: {why:#}");
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
    stdout.flush().context("nobody reads stdout")
}

/// Resolves when the stack shall end.
fn ended(until_stdin_closes: bool) -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut quit = signal(SignalKind::quit())?;
    let (closed, stdin) = oneshot::channel();
    if until_stdin_closes {
        // A thread that may hang in a read for ever: it must not be one that tokio waits for.
        std::thread::spawn(move || {
            let mut void = [0; 1024];
            while matches!(std::io::stdin().read(&mut void), Ok(1..)) {}
            let _ = closed.send(());
        });
    }
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => eprintln!("interrupted, ending"),
            _ = terminate.recv() => eprintln!("terminated, ending"),
            // A terminal that closes sends it, and one whose first process ends, such as cargo by Ctrl-C.
            _ = hangup.recv() => eprintln!("hung up, ending"),
            _ = quit.recv() => eprintln!("quit, ending"),
            Ok(()) = stdin => eprintln!("stdin closed, ending"),
        }
    })
}
