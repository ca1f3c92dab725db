//! `cargo xtask demo`: from an empty target/ to a table of answers.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use anyhow::{Context, Result, ensure};
use fogline::manifest::Manifest;
use serde::Deserialize;

use crate::stack::{Addresses, Stack};
use crate::stages::{Stage, Stages};
use crate::{bench, engines, first, root, stack, step, target, tools};

/// Options of `cargo xtask demo`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair: a NAME or NAME/VERSION in the models folder [default: the first].
    #[arg(long)]
    model: Option<String>,
    /// Folder of pairs, laid out as NAME/VERSION/manifest.json.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// A dataset with the pair's classes, whose test pictures the page shows as well: DIR/test/CLASS/*.jpg or .png, or
    /// the folder of the binary version of CIFAR-10 or CIFAR-100.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The page's port [default: a free one].
    #[arg(long, default_value_t = 0, hide_default_value = true)]
    port: u16,
    /// Exit after printing the table. The exit status is 0 only if every sample was answered, at least one on the device
    /// and at least one by the cloud.
    #[arg(long)]
    check: bool,
    /// Print the answers as one JSON document on standard output instead of a table.
    #[arg(long)]
    json: bool,
}

/// One answer of the component or the page, with the fields that both print.
#[derive(Deserialize, serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    engine: String,
    picture: String,
    label: String,
    origin: String,
    confidence: f64,
    bytes_sent: u64,
    #[serde(alias = "totalMs")]
    ms: f64,
    degraded: bool,
}

/// Pictures of a dataset that gateway and page classify.
const CLASSIFIED: usize = 10;

// These run in two parallel lanes.
const FETCHING: Stage = ("fetching cargo-lambda and wasmtime", 460.0);
const STACK: Stage = ("building the function, the store and the page's server", 460.0);
const LIBRARIES: Stage = ("fetching the page's libraries", 450.0);
const BINDING: Stage = ("compiling wasm-bindgen and wasm-pack", 440.0);
const ENGINES: Stage = ("building the page's engine", 190.0);
const COMPONENT: Stage = ("building the gateway component", 110.0);
const BUILDING: [Stage; 6] = [FETCHING, STACK, LIBRARIES, BINDING, ENGINES, COMPONENT];

// These run one after the other.
const STARTING: Stage = ("starting the store, the function and the page", 12.0);
const GATEWAY: Stage = ("classifying through the gateway component", 8.0);
const PAGE: Stage = ("classifying through the page", 5.0);

/// Builds everything, starts the stack, classifies the samples and prints the table.
pub fn run(options: &Options) -> Result<()> {
    stack::has(&root().join(&options.models), options.model.as_deref())?;
    if let Some(data) = &options.data {
        ensure!(data.is_dir(), "{} does not exist or is not a folder", data.display());
    }
    tools::targets()?;
    if options.model.is_none() && options.models == Path::new("onnx-models") {
        first::answers(&bench::pair(None)?)?;
    }
    let browser = tools::browser();
    let asking =
        if browser.is_some() { &[STARTING, GATEWAY, PAGE][..] } else { &[STARTING, GATEWAY] };
    let stages = Stages::new(&[&BUILDING[..], asking].concat());
    build_in(&stages, engines::build_simd)?;
    let models = root().join(&options.models);
    let gallery = options.data.as_deref().map(|data| gallery(options, &models, data));
    let gallery = gallery.transpose()?;
    let stack = stages.run(STARTING.0, || {
        Stack::start_on(options.port, options.model.as_deref(), &models, gallery.as_deref())
    })?;
    let pictures = gallery.as_deref().map_or_else(|| samples(&stack.at.model), first_of)?;
    let mut rows = stages.run(GATEWAY.0, || by_component(&stack.at, &pictures))?;
    if let Some(browser) = &browser {
        let chosen = if gallery.is_some() { &pictures[..] } else { &[] };
        rows.extend(stages.run(PAGE.0, || by_page(&stack.at.page, browser, chosen))?);
    }
    stages.close()?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&rows)?);
    } else {
        print(&rows);
    }
    all_answered(&rows, pictures.len(), if browser.is_some() { 2 } else { 1 })?;
    if browser.is_none() {
        eprintln!(
            "\nThe page was not tested: no Chromium, Chrome or Edge was found. To test it, {}",
            tools::how_to_install()
        );
    }
    if options.check {
        return both_answer(&rows);
    }
    println!("\n{}", stack.at.how_to_ask());
    println!("The page is at {} (Ctrl-C ends everything)", stack.at.page);
    stack.wait()
}

/// Copies some of the dataset's test pictures to a folder that the page's server serves, and returns the folder.
fn gallery(options: &Options, models: &Path, data: &Path) -> Result<PathBuf> {
    let folder = target().join("xtask/gallery");
    step::build()?;
    let mut chore = step::command(target().join("debug/fogline-measure"), &["gallery"]);
    // Steps run in the workspace, so make the caller's path absolute.
    chore.arg("--data").arg(std::path::absolute(data)?);
    chore.arg("--models").arg(models).arg("--out").arg(&folder);
    if let Some(model) = &options.model {
        chore.args(["--model", model]);
    }
    step::run("choosing test pictures", &mut chore)?;
    Ok(folder)
}

/// The gallery's first pictures, which are of different classes.
fn first_of(gallery: &Path) -> Result<Vec<PathBuf>> {
    #[derive(Deserialize)]
    struct Shown {
        file: String,
    }
    let index: Vec<Shown> = serde_json::from_slice(&fs::read(gallery.join("index.json"))?)?;
    Ok(index.into_iter().take(CLASSIFIED).map(|shown| gallery.join(shown.file)).collect())
}

/// Builds everything that the demo runs, for the tests.
pub fn build() -> Result<()> {
    tools::targets()?;
    build_in(&Stages::new(&BUILDING), engines::build)
}

/// Builds in two lanes: the longest compilation in one, whatever downloads first in the other. The lane that ends first
/// builds the component.
fn build_in(stages: &Stages, engines: fn() -> Result<()>) -> Result<()> {
    let fetch = || {
        tools::cargo_lambda()?;
        tools::wasmtime().map(drop)
    };
    let is_taken = AtomicBool::new(false);
    let component = || {
        let is_free = !is_taken.swap(true, Ordering::Relaxed);
        if is_free { stages.run(COMPONENT.0, build_component) } else { Ok(()) }
    };
    thread::scope(|scope| {
        let page = scope.spawn(|| {
            stages.run(FETCHING.0, fetch)?;
            stages.run(LIBRARIES.0, tools::page)?;
            stages.run(BINDING.0, tools::wasm_pack)?;
            stages.run(ENGINES.0, engines)?;
            component()
        });
        let stack = stages.run(STACK.0, step::build_stack).and_then(|()| component());
        stack.and(page.join().expect("a lane never panics"))
    })
}

/// Path of the built component.
pub fn component() -> PathBuf {
    target().join("wasm32-wasip2/component/fogline.wasm")
}

/// Builds the gateway component for WASI 0.2 with SIMD.
pub fn build_component() -> Result<()> {
    let mut build = step::cargo(&["build", "--package", "fogline-gateway", "--bin", "fogline"]);
    build.args(["--profile", "component", "--target", "wasm32-wasip2"]);
    step::run("building the gateway component", build.env("RUSTFLAGS", engines::SIMD)).map(drop)
}

/// Paths of the sample drawings that the page shows: those of the pair, or its own if the pair brings none.
pub fn samples(pair: &Path) -> Result<Vec<PathBuf>> {
    let path = pair.join("manifest.json");
    let text = fs::read(&path).with_context(|| path.display().to_string())?;
    let manifest = Manifest::parse(&text).with_context(|| path.display().to_string())?;
    let index =
        manifest.samples.map_or(root().join("web-demo/samples/index.json"), |own| pair.join(own));
    let folder = index.parent().context("the samples' index is in no folder")?;
    let folder = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut pictures: Vec<PathBuf> = folder
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .collect();
    pictures.sort();
    Ok(pictures)
}

/// The command that runs the component with these arguments and access to only the given folders.
fn wasmtime(folders: [&Path; 2], arguments: &[&str]) -> Command {
    let mut command = step::command(tools::program("wasmtime"), &["run", "-S", "http"]);
    for folder in folders {
        command.arg("--dir").arg(folder);
    }
    command.arg(component()).args(arguments);
    command
}

fn by_component(at: &Addresses, pictures: &[PathBuf]) -> Result<Vec<Row>> {
    let folder = pictures.first().and_then(|picture| picture.parent());
    let folders = [folder.context("there are no pictures")?, &at.model];
    let mut command =
        wasmtime(folders, &["classify", "--json", "--cloud", &at.function, "--model"]);
    command.arg(&at.model).args(pictures);
    let text = step::run("classifying through the component", &mut command)?;
    text.lines().map(|line| row("component", line)).collect()
}

/// Runs the page's samples, or chooses these files one after the other.
fn by_page(page: &str, browser: &Path, chosen: &[PathBuf]) -> Result<Vec<Row>> {
    let mut command = step::command("node", &["web-demo/tests/table.mjs", page]);
    command.args(chosen).env("FOGLINE_BROWSER", browser);
    let text = step::run("classifying through the page", &mut command)?;
    text.lines().map(|line| row("page", line)).collect()
}

fn row(engine: &str, line: &str) -> Result<Row> {
    let mut value: serde_json::Value =
        serde_json::from_str(line).with_context(|| format!("{engine} printed no JSON: {line}"))?;
    let degraded = !value["degraded"].is_null();
    value["degraded"] = degraded.into();
    value["engine"] = engine.into();
    if let Some(total) = value["timings"].get("totalMs").cloned() {
        value["totalMs"] = total;
    }
    let mut row: Row =
        serde_json::from_value(value).with_context(|| format!("{engine} answered: {line}"))?;
    let file = PathBuf::from(&row.picture);
    row.picture = file.file_name().map_or(row.picture, |name| name.to_string_lossy().into_owned());
    Ok(row)
}

fn print(rows: &[Row]) {
    println!(
        "\n{:<10} {:<16} {:<12} {:<8} {:>10} {:>10} {:>8}",
        "engine", "picture", "answer", "origin", "confidence", "bytes sent", "ms"
    );
    for row in rows {
        println!(
            "{:<10} {:<16} {:<12} {:<8} {:>9.1}% {:>10} {:>8.1}{}",
            row.engine,
            row.picture,
            row.label,
            row.origin,
            row.confidence * 100.0,
            row.bytes_sent,
            row.ms,
            if row.degraded { "  degraded" } else { "" }
        );
    }
}

fn all_answered(rows: &[Row], pictures: usize, engines: usize) -> Result<()> {
    ensure!(
        rows.len() == pictures * engines,
        "{} answers for {pictures} pictures on {engines} engines",
        rows.len()
    );
    ensure!(
        rows.iter().all(|row| !row.degraded),
        "an answer is degraded: the cloud did not answer"
    );
    Ok(())
}

/// Checks that device and cloud each answered a sample. Skipped for other pairs, which may be sure of all drawings or none.
fn both_answer(rows: &[Row]) -> Result<()> {
    ensure!(
        rows.iter().any(|row| row.origin.starts_with("exit-")),
        "no sample was answered on the device"
    );
    ensure!(rows.iter().any(|row| row.origin == "cloud"), "no sample was answered by the cloud");
    Ok(())
}
