//! `cargo xtask bench cloud`: benchmarks the function as Lambda runs it, and onnxruntime on the same model.
//!
//! The function's release build runs in its own process between a runtime API and a store, all on this machine. Its
//! samples and onnxruntime's are taken in turn, on one thread each: compare the ratios, not the absolute times.

mod arrivals;
pub mod function;
mod load;
mod profile;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fogline::manifest::{CLOUD_ONNX, Manifest};
use fogline_cloud::half;
use fogline_cloud::plan::Plan;
use fogline_cloud::runner::Profile;
use fogline_edge::device::folder::Folder;
use fogline_edge::kernel::Backend;
use fogline_stack::models::{MANIFEST, Model, Models};
use fogline_stack::store::{self, LocalStore};
use serde::Serialize;
use serde_json::json;
use tokio::process::Command;

use arrivals::Arrivals;
use function::{Function, Sample, number};
use load::Load;

use crate::labels::Labels;
use crate::subject::Subject;
use crate::times::{ms, quantile};

/// Options of `cargo xtask bench cloud`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair: NAME or NAME/VERSION in the models folder.
    #[arg(long, default_value = "cifar10-w1")]
    model: String,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// Number of rounds in which function and onnxruntime take turns.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Then run a load test of this length: one function per processor, single samples, as fast as possible.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    load: u64,
    /// Then send requests at random times for this long, to check the simulation of `cargo xtask plan`.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    arrivals: u64,
    /// A dataset as for `cargo xtask eval`: also compare the answers to its test pictures with those of tract's own convolutions.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Also write the table and the times to the pair's folder, for `cargo xtask figures` and `cargo xtask plan`.
    #[arg(long)]
    keep: bool,
    /// Also write all figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The function's release build.
    #[arg(long, value_name = "FILE", hide = true)]
    function: PathBuf,
    /// The program that times each operation, compiled with it.
    #[arg(long, value_name = "FILE", hide = true)]
    profile: PathBuf,
    /// The recipe's Python, which has onnxruntime.
    #[arg(long, value_name = "FILE", hide = true)]
    python: PathBuf,
}

/// File name of the table in the pair's folder, from where `cargo xtask figures` copies it to docs/results.md.
pub const KEPT: &str = "bench-cloud.txt";
/// File name of the times that `cargo xtask plan` uses.
const TIMES: &str = "bench-cloud.json";

/// Numbers of samples per request.
const BATCHES: [usize; 5] = [1, 4, 16, 32, 64];

/// The results. Times are in milliseconds.
#[derive(Default, Serialize)]
struct Figures {
    /// The date in UTC, as YYYY-MM-DD.
    date: String,
    pair: String,
    binary_bytes: u64,
    starts: Starts,
    /// Starts with the weights in half precision on the store, and how many bytes they take there.
    half: Starts,
    function: BTreeMap<usize, Vec<Sample>>,
    profiles: Vec<Profile>,
    /// onnxruntime's times, by batch size.
    onnxruntime: BTreeMap<usize, Vec<f64>>,
    /// Resident memory in MiB after all requests.
    resident: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    labels: Option<Labels>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bounded_load: Option<Load>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arrivals: Option<Arrivals>,
}

/// Times of cold starts.
#[derive(Default, Serialize)]
struct Starts {
    /// Size of the model on the store.
    bytes: u64,
    /// From the start of the process to its first request for work. The next two are parts of it: tract loading the model, and
    /// the store sending it.
    init: Vec<f64>,
    load: Vec<f64>,
    store: Vec<f64>,
    /// From the start of the process to its first answer.
    first_answer: Vec<f64>,
}

impl Starts {
    /// Starts a function and has it answer a single sample.
    async fn add(
        &mut self,
        options: &Options,
        store: &LocalStore,
        pair: &str,
        event: &Bytes,
    ) -> Result<Function> {
        let start = Instant::now();
        let function = Function::start(&options.function, &[], store, pair).await?;
        function.lambda.asked().await;
        self.init.push(ms(start));
        let loaded = function.logged("tract_ms").await?;
        self.load.push(number(&loaded, "tract_ms"));
        self.store.push(number(&loaded, "store_ms"));
        function.sample(event).await?;
        self.first_answer.push(ms(start));
        Ok(function)
    }
}

/// Runs the benchmark and prints the table.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let models = Models::find(&options.models)?;
    let model = models.choose(Some(&options.model))?;
    let mut figures = runtime.block_on(measure(options, &models.usable, model))?;
    if let Some(data) = &options.data {
        let onnx = fs::read(model.folder.join(CLOUD_ONNX))?;
        let tract = Plan::of_tract_alone(model.manifest.clone(), &onnx);
        let tract = tract.map_err(|refusal| anyhow!(refusal.message))?;
        figures.labels = Some(Labels::compare(&Subject::load(&model.folder)?, &tract, data)?);
    }
    let table = table::table(&figures)?;
    print!("{table}");
    if options.keep {
        let path = model.folder.join(KEPT);
        fs::write(&path, table).with_context(|| path.display().to_string())?;
        let times = model.folder.join(TIMES);
        fs::write(&times, serde_json::to_string(&figures.times())? + "\n")
            .with_context(|| times.display().to_string())?;
        println!("written to {} and {}", path.display(), times.display());
    }
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string_pretty(&figures)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

async fn measure(options: &Options, models: &[Model], model: &Model) -> Result<Figures> {
    let store = store::start(models).await?;
    let (onnx, halved) = (model.folder.join(CLOUD_ONNX), store::start(models).await?);
    let half_bytes = halve(&halved, model).await?;
    let Manifest { name, version, .. } = &model.manifest;
    let mut figures = Figures {
        date: time::OffsetDateTime::now_utc().date().to_string(),
        pair: format!("{name}/{version}"),
        binary_bytes: fs::metadata(&options.function)?.len(),
        ..Figures::default()
    };
    (figures.starts.bytes, figures.half.bytes) = (fs::metadata(&onnx)?.len(), half_bytes);
    let events: BTreeMap<usize, Bytes> =
        BATCHES.iter().map(|&batch| Ok((batch, event(model, batch)?))).collect::<Result<_>>()?;
    for round in 0..options.rounds {
        eprint!("\r  round {} of {}", round + 1, options.rounds);
        // A new process per round: a cold start, then warm requests.
        let half = figures.half.add(options, &halved, &figures.pair, &events[&1]).await?;
        half.kill().await?;
        let function = figures.starts.add(options, &store, &figures.pair, &events[&1]).await?;
        for (&batch, event) in &events {
            // The first request makes the plan for its batch size.
            function.sample(event).await?;
            for _ in 0..if batch == 1 { 100 } else { 10 } {
                let sample = function.sample(event).await?;
                figures.function.entry(batch).or_default().push(sample);
            }
        }
        figures.resident = function.resident()?;
        function.kill().await?;
        figures.profiles.push(profile::profile(&options.profile, &model.folder).await?);
        for (batch, samples) in onnxruntime(&options.python, &onnx).await? {
            figures.onnxruntime.entry(batch).or_default().extend(samples);
        }
    }
    eprintln!();
    if options.load > 0 {
        let time = Duration::from_secs(options.load);
        figures.bounded_load =
            Some(load::load(options, &store, &figures.pair, &events[&1], time).await?);
    }
    if options.arrivals > 0 {
        let time = Duration::from_secs(options.arrivals);
        figures.arrivals =
            Some(arrivals::arrivals(options, &store, &figures.pair, &events[&1], time).await?);
    }
    Ok(figures)
}

impl Figures {
    /// Quantiles (0 to 100%) of single warm samples, and the start times.
    fn times(&self) -> serde_json::Value {
        let quantiles = |of: &dyn Fn(&Sample) -> f64| -> Vec<f64> {
            let times: Vec<f64> = self.function[&1].iter().map(of).collect();
            let each = (0..=100).map(|percent| quantile(&times, f64::from(percent) / 100.0));
            each.map(|ms| (ms * 1e3).round() / 1e3).collect()
        };
        json!({
            "date": self.date, "pair": self.pair,
            "whole": quantiles(&|sample| sample.whole), "tract": quantiles(&|sample| sample.tract), "init": self.starts.init,
        })
    }
}

/// Adds the model in half precision to a store, as `publish --half` does, and returns its size.
async fn halve(store: &LocalStore, model: &Model) -> Result<u64> {
    let read = |name| fs::read(model.folder.join(name));
    let (bytes, file) = half::narrowed(&read(CLOUD_ONNX)?)?;
    let key = |name| format!("{}/{name}", model.place());
    store.put(&key(half::CLOUD_HALF), bytes).await?;
    store.put(&key(MANIFEST), half::naming(&read(MANIFEST)?, &file)).await?;
    Ok(file.bytes)
}

/// A function URL's event with this many samples, as the edge sends it: coded, if the pair has a coder.
pub fn event(model: &Model, batch: usize) -> Result<Bytes> {
    let mut session = Folder::at(&model.folder).load(Backend::fastest())?;
    let maps = (0..batch).map(|sample| session.run_through(&waves(&model.manifest, sample)).1);
    let maps = maps.collect();
    let frame = session.request(maps, [7; 16]).encode_with(session.coder().map(AsRef::as_ref))?;
    let event = json!({
        "version": "2.0", "routeKey": "$default", "rawPath": "/infer", "rawQueryString": "",
        "headers": {"host": "localhost", "content-type": "application/vnd.fogline.frame"},
        "requestContext": {
            "accountId": "anonymous", "apiId": "local", "domainName": "localhost", "domainPrefix": "local",
            "http": {"method": "POST", "path": "/infer", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                     "userAgent": "bench"},
            "requestId": "local", "routeKey": "$default", "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000", "timeEpoch": 0,
        },
        "isBase64Encoded": true, "body": BASE64.encode(frame),
    });
    Ok(event.to_string().into())
}

/// A picture whose colours rise and fall, other for each `sample`: a map of noise would take more bytes than one of a picture.
fn waves(manifest: &Manifest, sample: usize) -> Vec<u8> {
    let size = manifest.input.size as usize;
    let value = |at: usize| {
        let (x, y, channel) = (at / 3 % size, at / 3 / size, at % 3);
        let phase = (x * (1 + sample % 5) + y * (1 + sample / 5) + 11 * channel) as f64;
        (128.0 + 120.0 * (phase / 6.0).sin()) as u8
    };
    (0..size * size * 3).map(value).collect()
}

/// Times the same model in onnxruntime on one thread, by batch size.
async fn onnxruntime(python: &Path, onnx: &Path) -> Result<BTreeMap<usize, Vec<f64>>> {
    let mut command = Command::new(python);
    command.args(["-m", "fogline_recipe", "time-cloud", "--batches"]);
    command.args(BATCHES.map(|batch| batch.to_string()));
    command.arg("--onnx").arg(onnx.canonicalize()?).current_dir("onnx-models/recipe");
    let output = command.output().await.with_context(|| python.display().to_string())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}
