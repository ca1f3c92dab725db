//! `fogline`, the command for gateways: a WASI 0.2 component that runs under the wasmtime CLI.

#[cfg(not(target_os = "wasi"))]
compile_error!("the gateway is a WASI component: build it with --target wasm32-wasip2");

mod transport;

use std::fmt::Display;
use std::fs;
use std::io::{ErrorKind, Write, stderr, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, Subcommand};
use fogline::manifest::EDGE_FOG;
use fogline::policy::Policy;
use fogline_edge::cloud::{Client, Outcome as Asked};
use fogline_edge::kernel::Backend;
use fogline_edge::picture::{self, PictureError};
use fogline_edge::session::{Answer, LoadError, Session};
use serde::Serialize;

use transport::WasiHttp;

/// Larger files are not read: no picture within the limits needs more.
const MOST_BYTES: u64 = 50 << 20;

/// Classifies pictures on this device; hard ones finish in the cloud.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Classify JPEG and PNG files.
    ///
    /// A picture that an exit is sure of is answered here. Any other sends its packed feature map, about
    /// 1 KiB and not the picture, to the cloud. Without a cloud, or when it is out of reach, the best exit
    /// answers and the answer is marked degraded. The exit status is 0 when every picture was answered, else 1.
    #[command(
        after_help = "Example:\n  wasmtime run -S http --dir . fogline.wasm classify cat.jpg \\\n      \
        --model onnx-models/cifar10-w1/1.0.0 --cloud http://127.0.0.1:9000/lambda-url/fogline-cloud"
    )]
    Classify(Classify),
}

#[derive(Parser)]
struct Classify {
    /// The pictures.
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    /// Folder of the pair: manifest.json and edge.fog.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Base URL of the cloud function; frames are posted to URL/infer.
    #[arg(long, value_name = "URL")]
    cloud: Option<String>,
    /// How exits decide: entropy, max_probability or margin [default: the manifest's].
    #[arg(long)]
    policy: Option<Policy>,
    /// One JSON object a line, for machines, instead of a table.
    #[arg(long)]
    json: bool,
}

/// An error with its machine word.
#[derive(Serialize)]
struct Fault {
    error: String,
    message: String,
}

impl Fault {
    fn new(error: &str, message: impl Display) -> Self {
        Self { error: error.to_owned(), message: message.to_string() }
    }

    /// The same, saying what file it is about.
    fn of(self, path: &Path) -> Self {
        Self { message: format!("{}: {}", shown(path), self.message), ..self }
    }
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        Self::new(error.word(), error)
    }
}

impl From<PictureError> for Fault {
    fn from(error: PictureError) -> Self {
        Self::new(error.word(), error)
    }
}

/// What is printed of one picture.
#[derive(Serialize)]
struct Line<'a> {
    picture: String,
    #[serde(flatten)]
    outcome: Outcome<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome<'a> {
    Answer(&'a Answer),
    Fault(&'a Fault),
}

fn main() -> ExitCode {
    let Command::Classify(args) = Args::parse().command;
    match wstd::runtime::block_on(classify(&args)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            if args.json {
                // Where this cannot be said, the line below is all there is.
                let _ = say(&json(&fault));
            }
            complain(&fault);
            ExitCode::FAILURE
        }
    }
}

/// A line on standard output. `println!` would end a full disk or a closed pipe in a trap.
fn say(line: &str) -> Result<(), Fault> {
    writeln!(stdout(), "{line}").map_err(|error| Fault::new("output_closed", error))
}

fn complain(fault: &Fault) {
    let _ = writeln!(stderr(), "fogline: error[{}]: {}", fault.error, fault.message);
}

/// A path that is fit for a terminal: a file's name may hold any character.
fn shown(path: &Path) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    path.display().to_string().chars().map(plain).collect()
}

/// Whether every picture was answered.
async fn classify(args: &Classify) -> Result<bool, Fault> {
    let mut session = load(&args.model)?;
    if let Some(policy) = args.policy {
        session.set_policy(policy)?;
    }
    let cloud = match &args.cloud {
        Some(url) => {
            let http = WasiHttp::new(url).map_err(|why| Fault::new("cloud_url", why))?;
            Some(Client::new(http))
        }
        None => None,
    };
    let mut all = true;
    if !args.json {
        say(&format!(
            "{:<24} {:<12} {:>10}  {:<8} {:>7} {:>8} {:>9}",
            "picture", "answer", "confidence", "origin", "sent", "edge ms", "cloud ms"
        ))?;
    }
    for path in &args.pictures {
        let outcome = classify_one(&mut session, path, cloud.as_ref()).await;
        all &= outcome.is_ok();
        let picture = path.display().to_string();
        match (&outcome, args.json) {
            (Ok(answer), true) => {
                say(&json(&Line { picture, outcome: Outcome::Answer(answer) }))?;
            }
            (Err(fault), true) => say(&json(&Line { picture, outcome: Outcome::Fault(fault) }))?,
            (Ok(answer), false) => say(&row(&shown(path), answer))?,
            (Err(_), false) => {}
        }
        if let Err(fault) = outcome {
            complain(&fault.of(path));
        }
    }
    Ok(all)
}

async fn classify_one(
    session: &mut Session,
    path: &Path,
    cloud: Option<&Client<WasiHttp>>,
) -> Result<Answer, Fault> {
    let rgb = picture::decode(&read(path)?, session.manifest().input.size)?;
    let began = Instant::now();
    let pass = session.run_edge(&rgb);
    let edge_ms = began.elapsed().as_secs_f64() * 1e3;
    let outcome = match (&pass.map, cloud) {
        (None, _) => None,
        (Some(_), None) => Some(Asked::not_configured()),
        (Some(map), Some(cloud)) => {
            let request = session.request(map.clone(), transport::request_id());
            cloud.ask(&request, session.manifest().classes.len()).await.pop()
        }
    };
    Ok(session.answer(&pass, outcome, edge_ms))
}

fn load(folder: &Path) -> Result<Session, Fault> {
    let read = |name| {
        let path = folder.join(name);
        read(&path).map_err(|fault| fault.of(&path))
    };
    Ok(Session::load(&read("manifest.json")?, &read(EDGE_FOG)?, Backend::fastest())?)
}

fn read(path: &Path) -> Result<Vec<u8>, Fault> {
    let unreadable = |error: std::io::Error| {
        let hint = match error.kind() {
            ErrorKind::NotFound | ErrorKind::PermissionDenied => {
                " (wasmtime shows a component only folders given with --dir)"
            }
            _ => "",
        };
        Fault::new("file_unreadable", format!("{error}{hint}"))
    };
    let size = fs::metadata(path).map_err(unreadable)?.len();
    if size > MOST_BYTES {
        return Err(Fault::new(
            "file_too_large",
            format!("{size} bytes, where {MOST_BYTES} are the most"),
        ));
    }
    fs::read(path).map_err(unreadable)
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always has a JSON form")
}

fn row(picture: &str, answer: &Answer) -> String {
    format!(
        "{picture:<24} {:<12} {:>9.1}%  {:<8} {:>7} {:>8.2} {:>9.1}{}",
        answer.label,
        answer.confidence * 100.0,
        answer.origin,
        answer.bytes_sent,
        answer.timings.edge_ms,
        answer.timings.cloud_ms,
        answer.degraded.as_ref().map(|d| format!("  degraded: {}", d.message)).unwrap_or_default(),
    )
}
