//! `cargo xtask bench cloud`: the function as Lambda runs it, timed, beside onnxruntime on the same model.
//!
//! The function's own process, built for release, sits behind a runtime API and before a store, all on this
//! machine. Its samples and onnxruntime's are taken in turn, on one thread each: what counts are the ratios.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use fogline::frame::{Request as Frame, Tensor};
use fogline::manifest::{CLOUD_ONNX, Manifest};
use fogline::packed;
use fogline_stack::models::{self, Model};
use fogline_stack::runtime::Lambda;
use fogline_stack::store::{self, BUCKET, KEY, LocalStore};
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// Options of `cargo xtask bench cloud`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair: NAME or NAME/VERSION in the models folder.
    #[arg(long, default_value = "cifar10-w1")]
    model: String,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// How often function and onnxruntime take turns.
    #[arg(long, default_value_t = 7)]
    rounds: u32,
    /// Afterwards, one function a processor takes single samples for so long, as fast as they go.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    load: u64,
    /// Also write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The function, built for release.
    #[arg(long, value_name = "FILE", hide = true)]
    function: PathBuf,
    /// The Python of the recipe, which has onnxruntime.
    #[arg(long, value_name = "FILE", hide = true)]
    python: PathBuf,
}

/// Samples a request.
const BATCHES: [usize; 5] = [1, 4, 16, 32, 64];
/// What Lambda would give a request here.
const TIME: Duration = Duration::from_secs(30);

/// Milliseconds of one request.
#[derive(Clone, Copy, Serialize)]
struct Sample {
    /// From the event's going out to the answer's coming in, at the runtime API.
    whole: f64,
    /// In tract.
    tract: f64,
}

#[derive(Default, Serialize)]
struct Figures {
    pair: String,
    binary_bytes: u64,
    /// From the process's start to its asking for work, and what tract took of it to load the model.
    init: Vec<f64>,
    load: Vec<f64>,
    /// From the process's start to its first answer.
    first_answer: Vec<f64>,
    function: BTreeMap<usize, Vec<Sample>>,
    /// onnxruntime's time for a batch.
    onnxruntime: BTreeMap<usize, Vec<f64>>,
    /// Resident memory after all this, in MiB.
    resident: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    bounded_load: Option<Load>,
}

#[derive(Serialize)]
struct Load {
    seconds: f64,
    functions: usize,
    requests: usize,
    p50: f64,
    p99: f64,
    /// Resident memory of all functions in MiB, every ten seconds.
    resident: Vec<f64>,
}

/// Times, prints.
pub fn run(options: &Options) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let figures = runtime.block_on(measure(options))?;
    print!("{}", table(&figures)?);
    if let Some(path) = &options.json {
        fs::write(path, serde_json::to_string_pretty(&figures)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

async fn measure(options: &Options) -> Result<Figures> {
    let models = models::find(&options.models)?;
    let model = models::choose(&models, Some(&options.model))?;
    let store = store::start(&models).await?;
    let onnx = model.folder.join(CLOUD_ONNX);
    let Manifest { name, version, .. } = &model.manifest;
    let mut figures = Figures {
        pair: format!("{name}/{version}"),
        binary_bytes: fs::metadata(&options.function)?.len(),
        ..Figures::default()
    };
    let events: BTreeMap<usize, Bytes> =
        BATCHES.iter().map(|&batch| Ok((batch, event(model, batch)?))).collect::<Result<_>>()?;
    for round in 0..options.rounds {
        eprint!("\r  round {} of {}", round + 1, options.rounds);
        // A new process each round: a cold start, then warm requests.
        let start = Instant::now();
        let mut function = Function::start(&options.function, &store, &figures.pair).await?;
        function.lambda.asked().await;
        figures.init.push(ms(start));
        figures.load.push(function.logged("tract_ms").await?);
        function.sample(&events[&1]).await?;
        figures.first_answer.push(ms(start));

        for (&batch, event) in &events {
            // The first makes the plan for its batch size.
            function.sample(event).await?;
            for _ in 0..if batch == 1 { 100 } else { 10 } {
                let sample = function.sample(event).await?;
                figures.function.entry(batch).or_default().push(sample);
            }
        }
        figures.resident = resident(&function.process)?;
        function.process.kill().await?;
        for (batch, samples) in onnxruntime(&options.python, &onnx).await? {
            figures.onnxruntime.entry(batch).or_default().extend(samples);
        }
    }
    eprintln!();
    if options.load > 0 {
        let time = Duration::from_secs(options.load);
        figures.bounded_load = Some(load(options, &store, &figures.pair, &events[&1], time).await?);
    }
    Ok(figures)
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// A function URL's event with so many samples, their bits without a pattern.
fn event(model: &Model, batch: usize) -> Result<Bytes> {
    let split = &model.manifest.split;
    let len = packed::packed_len(split.shape, split.bits)?;
    let byte = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 24) as u8;
    let tensors = (0..batch).map(|sample| Tensor {
        shape: split.shape,
        bits: split.bits,
        bytes: (0..len).map(|i| byte(sample * len + i)).collect(),
    });
    let pair = model.manifest.pair_digest();
    let frame = Frame { pair, request_id: [7; 16], tensors: tensors.collect() }.encode()?;
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

/// The function's process.
struct Function {
    lambda: Lambda,
    process: Child,
    /// What it has logged since it was looked at last.
    log: Arc<Mutex<Vec<Value>>>,
}

impl Function {
    async fn start(program: &Path, store: &LocalStore, pair: &str) -> Result<Self> {
        let lambda = Lambda::start().await?;
        let mut process = Command::new(program)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &lambda.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
            .env("AWS_ENDPOINT_URL_S3", &store.url)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", KEY.0)
            .env("AWS_SECRET_ACCESS_KEY", KEY.1)
            .env("FOGLINE_BUCKET", BUCKET)
            .env("FOGLINE_PRELOAD", pair)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let log = Arc::new(Mutex::new(vec![]));
        let (lines, kept) = (process.stdout.take().context("no output")?, Arc::clone(&log));
        tokio::spawn(async move {
            let mut lines = BufReader::new(lines).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or(Value::Null);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { lambda, process, log })
    }

    /// A number that it logs, once it has; what it logged before is forgotten.
    async fn logged(&self, field: &str) -> Result<f64> {
        for _ in 0..2000 {
            {
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(at) = log.iter().position(|line| line[field].is_number()) {
                    let number = log[at][field].as_f64().unwrap_or_default();
                    log.drain(..=at);
                    return Ok(number);
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("the function did not log {field}")
    }

    async fn sample(&self, event: &Bytes) -> Result<Sample> {
        let start = Instant::now();
        let outcome = self.lambda.invoke(event.clone(), TIME).await?;
        let whole = ms(start);
        let answer =
            outcome.map_err(|error| anyhow::anyhow!("{}", String::from_utf8_lossy(&error)))?;
        ensure!(status(&answer) == Some(200), "{}", String::from_utf8_lossy(&answer));
        Ok(Sample { whole, tract: self.logged("InferMs").await? })
    }
}

fn status(answer: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(answer).ok()?["statusCode"].as_u64()
}

/// Resident memory in MiB, as Linux counts it.
fn resident(process: &Child) -> Result<f64> {
    let path = format!("/proc/{}/status", process.id().context("it has ended")?);
    let status = fs::read_to_string(&path).context(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// onnxruntime's samples of the same model on one thread, by batch size.
async fn onnxruntime(python: &Path, onnx: &Path) -> Result<BTreeMap<usize, Vec<f64>>> {
    let mut command = Command::new(python);
    command.args(["-m", "fogline_recipe", "time-cloud", "--batches"]);
    command.args(BATCHES.map(|batch| batch.to_string()));
    command.arg("--onnx").arg(onnx.canonicalize()?).current_dir("onnx-models/recipe");
    let output = command.output().await.with_context(|| python.display().to_string())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Single samples to one function a processor, as fast as each takes them.
async fn load(
    options: &Options,
    store: &LocalStore,
    pair: &str,
    event: &Bytes,
    time: Duration,
) -> Result<Load> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut functions = vec![];
    for _ in 0..processors {
        functions.push(Arc::new(Function::start(&options.function, store, pair).await?));
    }
    let start = Instant::now();
    let workers: Vec<_> = functions
        .iter()
        .map(|function| {
            let (function, event) = (Arc::clone(function), event.clone());
            tokio::spawn(async move {
                let mut samples = vec![];
                while start.elapsed() < time {
                    samples.push(function.sample(&event).await?.whole);
                }
                anyhow::Ok(samples)
            })
        })
        .collect();
    let mut memory = vec![];
    while start.elapsed() + Duration::from_secs(10) <= time {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let all: Result<f64> = functions.iter().map(|function| resident(&function.process)).sum();
        memory.push(all?);
        eprint!("\r  {} s of load", start.elapsed().as_secs());
    }
    let mut samples = vec![];
    for worker in workers {
        samples.extend(worker.await??);
    }
    eprintln!();
    Ok(Load {
        seconds: start.elapsed().as_secs_f64(),
        functions: processors,
        requests: samples.len(),
        p50: quantile(&samples, 0.5),
        p99: quantile(&samples, 0.99),
        resident: memory,
    })
}

fn quantile(samples: &[f64], of: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
        .get((sorted.len().saturating_sub(1) as f64 * of).round() as usize)
        .copied()
        .unwrap_or(f64::NAN)
}

fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}

fn table(figures: &Figures) -> Result<String> {
    let Figures { pair, binary_bytes, init, load, first_answer, resident, .. } = figures;
    let (init, first, tract) = (median(init), median(first_answer), median(load));
    let mut text =
        format!("{pair}; milliseconds, medians; tract and onnxruntime on one thread\n\n");
    writeln!(text, "process started to asking for work (init)  {init:8.1}")?;
    writeln!(text, "process started to its first answer        {first:8.1}")?;
    writeln!(
        text,
        "  tract loading and optimising the model   {tract:8.1}   first answer: {:.1} times",
        first / tract
    )?;
    writeln!(text, "resident memory, MiB                       {resident:8.1}")?;
    writeln!(
        text,
        "binary, MiB                                {:8.1}\n",
        *binary_bytes as f64 / 1_048_576.0
    )?;
    writeln!(
        text,
        "{:>7} {:>9} {:>9} {:>9} {:>9} {:>10} {:>9} {:>12}",
        "samples", "whole p50", "p99", "tract", "other", "samples/s", "ort", "tract / ort"
    )?;
    for (batch, samples) in &figures.function {
        let column = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).collect::<Vec<_>>();
        let (whole, tract) = (column(&|s| s.whole), column(&|s| s.tract));
        let other = median(&column(&|s| s.whole - s.tract));
        let ort = median(figures.onnxruntime.get(batch).context("onnxruntime left a batch out")?);
        writeln!(
            text,
            "{batch:7} {:9.3} {:9.3} {:9.3} {other:9.3} {:10.1} {ort:9.3} {:12.2}",
            median(&whole),
            quantile(&whole, 0.99),
            median(&tract),
            1e3 * *batch as f64 / median(&whole),
            median(&tract) / ort
        )?;
    }
    if let Some(load) = &figures.bounded_load {
        let Load { seconds, functions, requests, p50, p99, resident } = load;
        let rate = *requests as f64 / seconds;
        writeln!(
            text,
            "\n{seconds:.0} s of load on {functions} functions: {requests} requests, none failed, {rate:.1} a second; \
             p50 {p50:.3}, p99 {p99:.3} ({:.2} times)",
            p99 / p50
        )?;
        let settled = resident.get(6..).filter(|later| !later.is_empty()).unwrap_or(resident);
        let (low, high) = (quantile(settled, 0.0), quantile(settled, 1.0));
        writeln!(
            text,
            "resident memory of all, after the first minute: {low:.1} to {high:.1} MiB"
        )?;
    }
    Ok(text)
}
