//! `cargo xtask bench gateway`: benchmarks the component under `wasmtime serve` over loopback.
//!
//! Every answer reports the engine's time; the rest of a request's time is HTTP, WASI and wasmtime. There is no cloud:
//! every answer comes from the edge.

mod server;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fogline_edge::device::picture;
use serde_json::Value;

use crate::load::{Loaded, Worker, load, processors, settled};
use crate::times::{median, quantile};
use server::{Question, Sample, Server};

/// Options of `cargo xtask bench gateway`.
#[derive(clap::Args)]
pub struct Options {
    /// Folder of the pair.
    #[arg(long, value_name = "DIR")]
    pair: PathBuf,
    /// Number of sequential requests to time.
    #[arg(long, default_value_t = 2000)]
    requests: usize,
    /// Then run a load test of this length, with one busy connection per processor.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    load: u64,
    /// Path of the wasmtime CLI.
    #[arg(long, value_name = "FILE", hide = true)]
    wasmtime: PathBuf,
    /// The gateway component, fogline.wasm.
    #[arg(long, value_name = "FILE", hide = true)]
    component: PathBuf,
    /// A temporary folder for this run.
    #[arg(long, value_name = "DIR", hide = true)]
    scratch: PathBuf,
}

/// Runs the benchmark and prints the table.
pub fn run(options: &Options) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(options))
}

async fn measure(options: &Options) -> Result<()> {
    let server = Server::start(options).await?;
    let date = time::OffsetDateTime::now_utc().date();
    println!("{date}; milliseconds; edge answers only; the pictures are the page's samples\n");
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9}",
        "one after the other", "whole p50", "p99", "engine", "overhead"
    );
    let (files, pixels) = questions(options)?;
    let mut asked = 0;
    for (name, questions) in [("pixels", &pixels), ("PNG files, 128x128", &files)] {
        let mut client = server.client(questions).await?;
        // The first request loads the pair.
        client.ask().await?;
        let mut samples = vec![];
        for _ in 0..options.requests {
            samples.push(client.ask().await?);
        }
        asked += 1 + samples.len();
        row(name, &samples);
    }
    if options.load > 0 {
        let mut clients = vec![];
        for _ in 0..processors() {
            clients.push(server.client(&pixels).await?);
        }
        let connections = clients.len();
        let time = Duration::from_secs(options.load);
        let loaded = load(clients, time, || server.resident()).await?;
        let Loaded { seconds, samples, resident } = loaded;
        asked += samples.len();
        row(&format!("load, pixels, {connections} connections"), &samples);
        let rate = samples.len() as f64 / seconds;
        println!(
            "\n{seconds:.0} s of load: {} requests, none failed, {rate:.0} per second",
            samples.len()
        );
        let (low, high) = settled(&resident);
        println!(
            "resident memory of wasmtime, after the first minute: {low:.1} to {high:.1} MiB, {:.1} at the end",
            resident.last().unwrap_or(&f64::NAN)
        );
    }
    // The counters are written just after the answers.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let counted = server.counted().await?;
    ensure!(counted == asked, "{asked} requests were answered, but /metrics counts {counted}");
    println!("/metrics counts all {counted} answers");
    Ok(())
}

fn row(name: &str, samples: &[Sample]) {
    let column = |of: fn(&Sample) -> f64| samples.iter().map(of).collect::<Vec<_>>();
    let (whole, edge) = (column(|s| s.whole), column(|s| s.edge));
    println!(
        "{name:<28} {:9.3} {:9.3} {:9.3} {:9.3}",
        median(&whole),
        quantile(&whole, 0.99),
        median(&edge),
        median(&column(|s| s.whole - s.edge))
    );
}

/// The page's samples, as files and as pixels of the pair's input size.
fn questions(options: &Options) -> Result<(Vec<Question>, Vec<Question>)> {
    let manifest: Value = serde_json::from_slice(&fs::read(options.pair.join("manifest.json"))?)?;
    let size = manifest["input"]["size"].as_u64().context("a manifest without a size")? as u32;
    let (mut files, mut pixels) = (vec![], vec![]);
    for entry in fs::read_dir("web-demo/samples")? {
        let path = entry?.path();
        if path.extension().is_none_or(|is| is != "png") {
            continue;
        }
        let file = fs::read(&path)?;
        let rgba = image::load_from_memory(&file)?.into_rgba8();
        let rgb = picture::from_rgba(&rgba, rgba.width(), rgba.height(), size)?;
        files.push(("image/png", file.into()));
        pixels.push(("application/octet-stream", rgb.into()));
    }
    Ok((files, pixels))
}
