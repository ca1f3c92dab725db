//! `cargo xtask bench`. This file has `bench edge`: our kernels and the whole edge next to other runtimes, in one run.
//!
//! Machines are never idle and change their clock rate. Each of our samples is therefore taken right next to one of each
//! peer's, and the results are ratios of medians.

mod gateway;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fogline::manifest::compare_versions;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::engines::{INLINE, RELAXED, SIMD};
use crate::{Passed, root, step, target, tools};

/// What to benchmark.
#[derive(clap::Subcommand)]
pub enum What {
    /// Benchmark layers and the whole edge in Chromium, wasmtime and natively against onnxruntime-web, tfjs and tract.
    ///
    /// Everything runs on one thread. Installs the pinned peers into xtask/bench/node_modules and compiles tract
    /// (minutes). The benchmark itself takes about two minutes; leave the machine idle meanwhile.
    Edge(Options),
    /// Benchmark the cloud function as Lambda runs it: cold start, warm requests by batch size, memory; against onnxruntime.
    ///
    /// Builds it in release mode (tract and the AWS SDK take minutes). --load SECONDS adds a load test; see
    /// `cargo xtask bench cloud --help`.
    #[command(disable_help_flag = true)]
    Cloud(Passed),
    /// Benchmark the gateway component: the cost of HTTP on top of the engine, and of WebAssembly in `eval`.
    Gateway(gateway::Options),
}

/// Options of `cargo xtask bench edge`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair to benchmark: a folder with edge.fog and edge.qonnx [default: the latest cifar10-w1].
    #[arg(long, value_name = "DIR")]
    pair: Option<PathBuf>,
    /// A dataset as for `cargo xtask eval`: also benchmark real test pictures, each up to the exit that is sure of it.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Number of samples per case in the browser.
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Also write all samples to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also write bench.txt and bench.svg to the pair's folder, from where `cargo xtask figures` copies them to docs/results.md.
    #[arg(long)]
    keep: bool,
}

/// Number of real test pictures to time.
const PICTURES: usize = 500;

/// Suffix of their case's name, after the number.
const REAL: &str = " real pictures";

/// The 3x3 convolutions that every runtime runs, as (side, channels): 115.6 M MACs each.
const CONVOLUTIONS: [(u32, u32); 2] = [(28, 128), (14, 256)];

/// The depthwise 3x3 convolutions, likewise, in Fogline and onnxruntime-web.
const DEPTHWISE: [(u32, u32); 2] = [(28, 256), (14, 512)];

#[derive(Serialize, Deserialize)]
struct Results {
    /// The date in UTC, as YYYY-MM-DD.
    date: String,
    /// Name of this machine's processor.
    processor: String,
    browser: String,
    cases: Vec<Case>,
}

#[derive(Serialize, Deserialize)]
struct Case {
    runtime: String,
    name: String,
    macs: f64,
    ms: Vec<f64>,
}

impl Case {
    fn quantile(&self, of: f64) -> f64 {
        let mut sorted = self.ms.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[((sorted.len() - 1) as f64 * of).round() as usize]
    }

    fn median(&self) -> f64 {
        self.quantile(0.5)
    }
}

/// Builds the benchmark, installs the peers, times everything and prints the tables.
pub fn run(what: &What) -> Result<()> {
    match what {
        What::Edge(options) => edge(options),
        What::Cloud(passed) => cloud(passed),
        What::Gateway(options) => gateway::run(options),
    }
}

fn cloud(passed: &Passed) -> Result<()> {
    let mut build =
        step::cargo(&["build", "--release", "--package", "fogline-cloud", "--features", "profile"]);
    step::run("building the function in release mode", &mut build)?;
    let python = tools::recipe()?;
    let built = |name: &str| text(&target().join("release").join(name));
    let (function, profile) = (built("fogline-cloud"), built("profile"));
    let paths = ["--function", &function, "--profile", &profile, "--python", &text(&python)]
        .map(str::to_owned);
    crate::heavy("bench-cloud", &Passed { options: [&paths[..], &passed.options].concat() })
}

fn edge(options: &Options) -> Result<()> {
    let pair = pair(options.pair.as_deref())?;
    let json = options.json.clone().unwrap_or_else(|| target().join("bench/edge.json"));
    // Find out before minutes of timing whether the file can be written.
    fs::create_dir_all(target().join("bench"))?;
    let writable = fs::OpenOptions::new().append(true).create(true).open(&json);
    writable.with_context(|| format!("writing {}", json.display()))?;
    let results = time(options, &pair)?;
    let tables = table(&results)? + &by_exit(&results)?;
    println!("\n{tables}");
    let folder = if options.keep { pair } else { target().join("bench") };
    fs::write(&json, serde_json::to_string_pretty(&results)?)
        .with_context(|| format!("writing {}", json.display()))?;
    let (text, svg) = (folder.join("bench.txt"), folder.join("bench.svg"));
    fs::write(&text, tables).with_context(|| format!("writing {}", text.display()))?;
    let mut plot = recipe("plot-bench")?;
    plot.arg("--json").arg(json.canonicalize()?).arg("--out").arg(&svg);
    step::run("plotting", &mut plot)?;
    println!(
        "all samples: {}; tables: {}; plot: {}",
        json.display(),
        text.display(),
        svg.display()
    );
    Ok(())
}

/// The pair's folder: the given one, or by default the latest version of cifar10-w1.
pub fn pair(given: Option<&Path>) -> Result<PathBuf> {
    let pair = given.map_or_else(latest, |pair| Ok(pair.to_path_buf()))?;
    ensure!(pair.join("edge.fog").is_file(), "{} has no edge.fog", pair.display());
    Ok(pair.canonicalize()?)
}

/// The newest version of cifar10-w1.
fn latest() -> Result<PathBuf> {
    let name = root().join("onnx-models/cifar10-w1");
    let versions = fs::read_dir(&name).with_context(|| name.display().to_string())?;
    let mut folders: Vec<_> = versions.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.retain(|path| path.is_dir());
    let version = |path: &PathBuf| {
        path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    };
    folders.sort_by(|a, b| compare_versions(&version(a), &version(b)));
    folders.pop().context("onnx-models/cifar10-w1 has no version; train or restore one")
}

/// Installs the peers and writes their models: the pair's edge without its quantisers. Also writes pictures from `data`
/// if given. Returns the folder of these files.
pub fn peers(pair: &Path, data: Option<&Path>) -> Result<PathBuf> {
    let mut install = step::command("npm", &["ci", "--no-audit", "--no-fund"]);
    install.current_dir(root().join("xtask/bench"));
    step::run("installing onnxruntime-web and tfjs", &mut install)?;
    let folder = target().join("bench/models");
    fs::create_dir_all(&folder)?;
    let mut models = recipe("peers")?;
    models.arg("--edge").arg(pair.join("edge.qonnx")).arg("--out").arg(&folder);
    if let Some(data) = data {
        let data = data.canonicalize().with_context(|| data.display().to_string())?;
        models.arg("--data").arg(data).args(["--pictures", &PICTURES.to_string()]);
    }
    step::run("writing the models for the other runtimes", &mut models)?;
    Ok(folder)
}

/// Runs a command of the recipe.
pub fn recipe(command: &str) -> Result<Command> {
    let mut recipe = step::command(tools::recipe()?, &["-m", "fogline_recipe", command]);
    recipe.current_dir(root().join("onnx-models/recipe"));
    Ok(recipe)
}

fn time(options: &Options, pair: &Path) -> Result<Results> {
    tools::targets()?;
    tools::wasm_pack()?;
    let (wasmtime, browser) = (tools::wasmtime()?, tools::browser_or_install()?);
    tools::page()?;
    let models = peers(pair, options.data.as_deref())?;
    let folder = target().join("bench");
    for (name, features) in [("pkg", SIMD), ("relaxed", RELAXED)] {
        let lib = ["--profile", "wasm", "--lib", "--target", "wasm32-unknown-unknown"];
        build(&lib, &[features, INLINE].concat())?;
        let module = target().join("wasm32-unknown-unknown/wasm/fogline_bench.wasm");
        let mut bind = step::command(tools::program("wasm-bindgen"), &["--target", "web"]);
        bind.arg("--out-dir").arg(folder.join(name)).arg(module);
        step::run(&format!("binding {name}"), &mut bind)?;
    }
    // Built like the component; the browser's engine above is built like the page's.
    let ours = ["--profile", "component", "--bin", "fogline-bench"];
    // Optimised for speed, while ours are optimised for size.
    let tract = ["--release", "--features", "tract", "--bin", "fogline-bench-tract"];
    for bin in [&ours[..], &tract] {
        build(&[bin, &["--target", "wasm32-wasip2"]].concat(), SIMD)?;
        build(bin, "")?;
    }
    let manifest: serde_json::Value =
        serde_json::from_slice(&fs::read(pair.join("manifest.json"))?)?;
    let size = &manifest["input"]["size"];
    let pictures = options.data.is_some().then(|| text(&models.join("pictures.rgb")));
    // A command line: the program, five samples, seed 7, then its options.
    let command = |wasm: bool, program: &str, options: &[String]| {
        let mut words = vec![];
        if wasm {
            let component = target().join("wasm32-wasip2").join(program).with_extension("wasm");
            words = vec![text(&wasmtime), "run".into()];
            for folder in [pair, &models] {
                words.extend(["--dir".into(), text(folder)]);
            }
            words.push(text(&component));
        } else {
            words.push(text(&target().join(program)));
        }
        words.extend(["5", "7"].map(String::from));
        words.extend_from_slice(options);
        words
    };
    let edge: Vec<_> = [text(pair)].into_iter().chain(pictures.clone()).collect();
    let layers = [text(&models), size.to_string()];
    let settings = json!({
        "pkg": folder.join("pkg"), "relaxed": folder.join("relaxed"), "models": models, "pair": pair,
        "pictures": pictures, "seed": std::process::id(), "size": size, "rounds": options.rounds, "every": 10,
        "convolutions": CONVOLUTIONS, "depthwise": DEPTHWISE,
        "commands": {
            "fogline, wasmtime": command(true, "component/fogline-bench", &edge),
            "fogline, native": command(false, "component/fogline-bench", &edge),
            "tract, wasmtime": command(true, "release/fogline-bench-tract", &layers),
            "tract, native": command(false, "release/fogline-bench-tract", &layers),
        },
    });
    let mut bench = step::command("node", &["xtask/bench/run.mjs", &settings.to_string()]);
    let text = step::run("timing every case in turn", bench.env("FOGLINE_BROWSER", browser))?;
    // The JSON follows the progress messages.
    let line = text
        .find("{\"date\"")
        .map(|at| text[at..].trim_end())
        .context("the benchmark printed no results; see its log")?;
    Ok(serde_json::from_str(line)?)
}

fn text(path: &Path) -> String {
    path.display().to_string()
}

fn build(what: &[&str], features: &str) -> Result<()> {
    let mut build = step::cargo(&["build", "--package", "fogline-bench"]);
    if !features.is_empty() {
        build.env("RUSTFLAGS", features);
    }
    step::run(&format!("building the bench {}", what.join(" ")), build.args(what)).map(drop)
}

impl Results {
    fn of(&self, runtime: &str, name: &str) -> Result<&Case> {
        let found = self.cases.iter().find(|case| case.runtime == runtime && case.name == name);
        found.with_context(|| format!("'{name}' was not timed in {runtime}"))
    }
}

/// Formats the timings of every case, then the ratios.
fn table(results: &Results) -> Result<String> {
    let Results { date, processor, browser, .. } = results;
    let mut text = format!("{date}, {processor}, Chromium {browser}; milliseconds, one thread\n\n");
    writeln!(
        text,
        "{:22} {:30} {:>8} {:>17} {:>8}",
        "runtime", "what", "median", "quartiles", "GMAC/s"
    )?;
    for case in &results.cases {
        let (low, median, high) = (case.quantile(0.25), case.median(), case.quantile(0.75));
        write!(text, "{:22} {:30} {median:8.3} {low:8.3}–{high:<8.3}", case.runtime, case.name)?;
        if case.macs > 0.0 {
            write!(text, " {:8.1}", case.macs / median / 1e6)?;
        }
        text.push('\n');
    }
    text.push_str("\nratios of medians\n\n");
    let mut ratio = |what: &str, slow: &Case, fast: &Case| {
        let times = slow.median() / fast.median();
        writeln!(text, "{times:5.1}x  {what}: {} against {}", fast.runtime, slow.runtime)
    };
    let (simd, relaxed) = ("fogline, simd128", "fogline, relaxed simd");
    for (side, channels) in CONVOLUTIONS {
        let shape = format!("3x3 {channels}-{channels} {side}x{side}");
        let (one, four) = (format!("1-bit {shape}"), format!("4-bit {shape}"));
        // Ours include thresholds and packing; the peers stop at the sums.
        for peer in ["onnxruntime-web f32", "tfjs-wasm f32", "onnxruntime-web int8"] {
            ratio(&one, results.of(peer, &shape)?, results.of(simd, &one)?)?;
        }
        let float = results.of("plain f32, Chromium", &shape)?;
        for slow in [float, results.of("tract, wasmtime", &shape)?] {
            ratio(&one, slow, results.of("fogline, wasmtime", &one)?)?;
        }
        ratio(&four, results.of("onnxruntime-web int8", &shape)?, results.of(relaxed, &four)?)?;
    }
    for (side, channels) in DEPTHWISE {
        let shape = format!("depthwise 3x3 {channels} {side}x{side}");
        for bits in [1, 4, 8] {
            let ours = format!("{bits}-bit {shape}");
            for peer in ["onnxruntime-web f32", "onnxruntime-web int8"] {
                ratio(&ours, results.of(peer, &shape)?, results.of(simd, &ours)?)?;
            }
        }
    }
    for peer in ["onnxruntime-web f32", "tfjs-wasm f32", "onnxruntime-web int8"] {
        ratio("edge, all exits", results.of(peer, "edge")?, results.of(simd, "edge")?)?;
    }
    for ours in ["wasmtime", "native"] {
        let peer = results.of(&format!("tract, {ours}"), "edge")?;
        ratio("edge, all exits", peer, results.of(&format!("fogline, {ours}"), "edge")?)?;
    }
    Ok(text + &shares(results)? + &pools(results)?)
}

/// The speed of our convolutions, except depthwise ones, in percent of a small loop of the same instructions.
fn shares(results: &Results) -> Result<String> {
    let mut text = String::from("\nspeed in percent of a small loop of the same instructions\n\n");
    let sizes = CONVOLUTIONS.map(|(side, _)| format!(" {side}x{side}"));
    let others = ["depthwise", " pool "];
    let peaked = |name: &str| {
        sizes.iter().any(|at| name.ends_with(at)) && !others.iter().any(|one| name.contains(one))
    };
    for case in results.cases.iter().filter(|case| peaked(&case.name)) {
        let Some(runtime) = case.runtime.strip_prefix("fogline, ") else { continue };
        let ceiling = |kernel| results.of(&format!("at most, {runtime}"), kernel).ok();
        let peak = match &case.name[..1] {
            "1" => ceiling("popcount"),
            // 4-bit weights are multiplied as bytes where the engine has such an instruction.
            "4" => ceiling("dot of bytes").or_else(|| ceiling("dot of pairs")),
            _ => ceiling("dot of pairs"),
        };
        // The native peaks need AVX-512.
        if let Some(peak) = peak {
            let share = (case.macs / case.median()) / (peak.macs / peak.median());
            let (name, of) = (&case.name, &peak.name);
            writeln!(text, "{:4.0}%  {name}: fogline, {runtime}, of {of}", 100.0 * share)?;
        }
    }
    Ok(text)
}

/// The time of pools over padded and quantised maps, in percent of the plain ones' that give as large a result.
fn pools(results: &Results) -> Result<String> {
    let mut text = String::from("\ntime of pools in percent of a plain one\n\n");
    for case in &results.cases {
        let plain = case.name.split_once(" pool ").and(case.name.split_once(", "));
        if let Some((plain, _)) = plain {
            let share = case.median() / results.of(&case.runtime, plain)?.median();
            writeln!(text, "{:4.0}%  {}: {}", 100.0 * share, case.name, case.runtime)?;
        }
    }
    Ok(text)
}

/// Formats the time to each exit and, if measured, the mean time over real pictures.
fn by_exit(results: &Results) -> Result<String> {
    let mut runtimes: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for case in results.cases.iter().filter(|case| case.name.starts_with("edge to ")) {
        runtimes.entry(&case.runtime).or_default().push(case.median());
    }
    let mut text = String::from("\nmilliseconds by where a picture exits\n\n");
    for (runtime, exits) in runtimes {
        write!(text, "{runtime:22}")?;
        for (index, ms) in exits.iter().enumerate() {
            write!(text, " exit {} {ms:6.3} ", index + 1)?;
        }
        write!(text, " split {:6.3}", results.of(runtime, "edge")?.median())?;
        let mut own = results.cases.iter().filter(|case| case.runtime == runtime);
        if let Some((count, case)) = own.find_map(|case| {
            let count: f64 = case.name.strip_suffix(REAL)?.parse().ok()?;
            Some((count, case))
        }) {
            write!(text, "  mean of {count}{REAL} {:6.3}", case.median() / count)?;
        }
        text.push('\n');
    }
    Ok(text)
}
