//! `cargo xtask bench gateway`: the component under `wasmtime serve`, timed over loopback.
//!
//! An answer says how long the engine took for it; what a request takes beside is HTTP, WASI and wasmtime. Nothing goes to
//! a cloud: every answer is an edge's.

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
    /// The pair's folder.
    #[arg(long, value_name = "DIR")]
    pair: PathBuf,
    /// Requests that are timed one after the other.
    #[arg(long, default_value_t = 2000)]
    requests: usize,
    /// Afterwards, one connection a processor asks for so long, as fast as it is answered.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    load: u64,
    /// The wasmtime CLI.
    #[arg(long, value_name = "FILE", hide = true)]
    wasmtime: PathBuf,
    /// The component.
    #[arg(long, value_name = "FILE", hide = true)]
    component: PathBuf,
    /// A folder that is this run's own.
    #[arg(long, value_name = "DIR", hide = true)]
    scratch: PathBuf,
}

/// Times, prints.
pub fn run(options: &Options) -> Result<()> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(measure(options))
}

async fn measure(options: &Options) -> Result<()> {
    let server = Server::start(options).await?;
    let date = time::OffsetDateTime::now_utc().date();
    println!("{date}; milliseconds; edge answers alone, pictures are the page's samples\n");
    println!(
        "{:<28} {:>9} {:>9} {:>9} {:>9}",
        "one after the other", "whole p50", "p99", "engine", "overhead"
    );
    let (files, pixels) = questions(options)?;
    let mut asked = 0;
    for (name, questions) in [("pixels", &pixels), ("PNG files, 128x128", &files)] {
        let mut client = server.client(questions).await?;
        // The first loads the pair.
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
            "\n{seconds:.0} s of load: {} requests, none failed, {rate:.0} a second",
            samples.len()
        );
        let (low, high) = settled(&resident);
        println!(
            "resident memory of wasmtime, after the first minute: {low:.1} to {high:.1} MiB, {:.1} at the end",
            resident.last().unwrap_or(&f64::NAN)
        );
    }
    // Counts are written right behind their answers.
    tokio::time::sleep(Duration::from_secs(1)).await;
    let counted = server.counted().await?;
    ensure!(counted == asked, "{asked} requests were answered, and /metrics has {counted}");
    println!("/metrics has all {counted} answers");
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

/// The page's samples as files, and as the pixels that the pair takes.
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
