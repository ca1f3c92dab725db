//! `cargo xtask plan`: estimates a fleet's load and cost, by simulation from measured times.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fogline_capacity::{
    Architecture, Cost, Link, Outcome, Point, Prices, Scenario, fleet, simulate,
};
use serde::{Deserialize, Serialize};

use crate::{bench, step};

/// Options of `cargo xtask plan`.
#[derive(clap::Args)]
#[command(
    after_help = "Times were measured on this machine: bench-cloud.json in the pair's folder, from cargo xtask bench cloud --keep. \
        Use --slower to allow for Lambda's processors. Prices are in infra/capacity/prices.toml. The cloud-only function is \
        assumed to run the full-precision twin on JPEG files, with time proportional to its MACs."
)]
pub struct Options {
    /// The pair: a folder with report.json and bench-cloud.json [default: the latest cifar10-w1].
    #[arg(long, value_name = "DIR")]
    pair: Option<PathBuf>,
    /// Pictures per second of the whole fleet.
    #[arg(long, default_value_t = 100.0, value_parser = positive)]
    rate: f64,
    /// Offload rate: the share of pictures that go to the function, from 0 to 1 [default: as in report.json].
    #[arg(long, value_parser = share)]
    offload: Option<f64>,
    /// Seconds to simulate; the first tenth is discarded as warm-up.
    #[arg(long, default_value_t = 600.0, value_parser = positive)]
    seconds: f64,
    /// Time per picture on the edge, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 1.0, value_parser = positive)]
    edge: f64,
    /// Round-trip time to the function, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 40.0, value_parser = positive)]
    round_trip: f64,
    /// Upload rate of a device, in megabits per second.
    #[arg(long, value_name = "MBIT", default_value_t = 10.0, value_parser = positive)]
    up: f64,
    /// Maximum number of concurrent instances; Lambda lets each answer ten requests per second.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    concurrency: u32,
    /// The function's memory in MiB; 1769 MiB give one full vCPU.
    #[arg(long, value_name = "MIB", default_value_t = 1769, value_parser = clap::value_parser!(u32).range(128..=10240))]
    memory: u32,
    /// How many times slower the function runs on Lambda than on this machine.
    #[arg(long, default_value_t = 1.0, value_parser = positive)]
    slower: f64,
    /// Use x86-64 instead of arm64, at its price.
    #[arg(long)]
    x86: bool,
    /// Use another price list.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
    /// Pictures per second of each device, for the plot and figures of fleets of up to a million devices.
    #[arg(long, default_value_t = 0.1, value_parser = positive)]
    each: f64,
    /// Also plot the load and cost of fleets of up to a million devices, as SVG.
    #[arg(long, value_name = "FILE")]
    plot: Option<PathBuf>,
    /// Also write all figures to this file, as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Seed of the random numbers.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The parts of report.json that the plan uses.
#[derive(Deserialize)]
struct Report {
    model: String,
    version: String,
    accuracy: Accuracy,
    share: Share,
    bytes: Bytes,
    parts: Vec<Part>,
}

#[derive(Deserialize)]
struct Accuracy {
    system: f64,
    twin: Option<f64>,
    exits: Vec<f64>,
}

#[derive(Deserialize)]
struct Share {
    cloud: f64,
}

#[derive(Deserialize)]
struct Bytes {
    frame: f64,
    jpeg: Option<f64>,
    raw: f64,
}

#[derive(Deserialize)]
struct Part {
    role: String,
    macs: BTreeMap<String, f64>,
}

/// The parts of bench-cloud.json that the plan uses.
#[derive(Deserialize)]
struct Times {
    date: String,
    whole: Vec<f64>,
    tract: Vec<f64>,
    init: Vec<f64>,
}

/// Results for one way to classify the pictures: hybrid, cloud only or edge only.
#[derive(Serialize)]
struct Way {
    name: &'static str,
    accuracy: Option<f64>,
    outcome: Outcome,
    /// Dollars per million pictures.
    cost: Cost,
    dollars: f64,
}

#[derive(Serialize)]
struct Fleet {
    name: &'static str,
    points: Vec<Point>,
    /// Dollars per thirty days, for each fleet size.
    dollars: Vec<f64>,
}

/// Size of a response frame in bytes: ten scores and the header.
const FRAME_ANSWER: u64 = 80;
/// Size of a JSON response in bytes, which the cloud-only function sends.
const JSON_ANSWER: u64 = 200;
/// The fleet sizes in the plot, in devices.
const DEVICES: [u64; 11] =
    [10, 30, 100, 300, 1000, 3000, 10_000, 30_000, 100_000, 300_000, 1_000_000];
const MONTH: f64 = 30.0 * 86_400.0;

/// Simulates all three ways and prints the table; writes the plot and the JSON file if asked to.
pub fn run(options: &Options) -> Result<()> {
    let pair = bench::pair(options.pair.as_deref())?;
    let (report, times): (Report, Times) = (
        read(&pair.join("report.json"), "cargo xtask eval")?,
        read(&pair.join("bench-cloud.json"), "cargo xtask bench cloud --keep")?,
    );
    let prices = match &options.prices {
        None => Prices::default(),
        Some(path) => {
            let text = fs::read_to_string(path).with_context(|| path.display().to_string())?;
            Prices::parse(&text).with_context(|| path.display().to_string())?
        }
    };
    let scenarios = scenarios(options, &report, &times);
    let cost = |outcome: &Outcome, scenario: &Scenario| {
        let architecture = if options.x86 { Architecture::X86_64 } else { Architecture::Arm64 };
        Cost::of(outcome, scenario, options.memory, architecture, &prices)
    };
    let ways: Vec<Way> = scenarios
        .iter()
        .map(|(name, accuracy, scenario)| {
            let outcome = simulate(scenario, options.seconds, options.seed);
            let million = 1e6 / (outcome.pictures.max(1) as f64);
            let cost = cost(&outcome, scenario).times(million);
            Way { name, accuracy: *accuracy, dollars: cost.total(), outcome, cost }
        })
        .collect();
    println!("{}", table(options, &report, &times, &prices, &ways)?);
    let mut fleets = vec![];
    if options.plot.is_some() || options.json.is_some() {
        // Without requests there are no instances.
        for (name, _, scenario) in scenarios.iter().filter(|(.., scenario)| scenario.offload > 0.0)
        {
            let points = fleet(scenario, options.each, &DEVICES, options.seed);
            let month = |point: &Point| {
                cost(&point.outcome, scenario).total() / point.outcome.seconds * MONTH
            };
            fleets.push(Fleet { name, dollars: points.iter().map(month).collect(), points });
        }
    }
    let json = options.json.clone().or_else(|| {
        // A temporary file for the plot.
        options.plot.is_some().then(|| crate::target().join("xtask/plan.json"))
    });
    if let Some(path) = &json {
        let all = serde_json::json!({"ways": ways, "fleets": fleets, "each": options.each});
        fs::write(path, serde_json::to_string_pretty(&all)?)
            .with_context(|| path.display().to_string())?;
    }
    if let (Some(path), Some(json)) = (&options.plot, &json) {
        fs::write(path, "").with_context(|| path.display().to_string())?;
        let mut plot = bench::recipe("plot-plan")?;
        plot.arg("--json").arg(json.canonicalize()?).arg("--out").arg(path.canonicalize()?);
        step::run("plotting", &mut plot)?;
    }
    Ok(())
}

fn read<T: for<'a> Deserialize<'a>>(path: &Path, made_by: &str) -> Result<T> {
    let text = fs::read(path)
        .with_context(|| format!("cannot read {}; {made_by} writes it", path.display()))?;
    serde_json::from_slice(&text).with_context(|| path.display().to_string())
}

/// Name, accuracy and scenario of hybrid, cloud only and edge only.
fn scenarios(
    options: &Options,
    report: &Report,
    times: &Times,
) -> [(&'static str, Option<f64>, Scenario); 3] {
    let link = Link {
        round_trip_ms: options.round_trip,
        up_mbit: options.up,
        bytes_up: report.bytes.frame.round() as u64,
        bytes_down: FRAME_ANSWER,
    };
    let slower = |times: Vec<f64>| times.into_iter().map(|ms| ms * options.slower).collect();
    let hybrid = Scenario {
        pictures_per_second: options.rate,
        offload: options.offload.unwrap_or(report.share.cloud),
        edge_ms: options.edge,
        link,
        concurrency: options.concurrency,
        ..Scenario::new(slower(times.whole.clone()), slower(times.init.clone()))
    };
    let macs = |roles: &[&str]| -> f64 {
        let own = report.parts.iter().filter(|part| roles.contains(&part.role.as_str()));
        own.flat_map(|part| part.macs.values()).sum()
    };
    let larger = macs(&["trunk", "cloud"]) / macs(&["cloud"]);
    let whole =
        times.whole.iter().zip(&times.tract).map(|(whole, tract)| whole + (larger - 1.0) * tract);
    let jpeg = report.bytes.jpeg.unwrap_or(report.bytes.raw);
    let cloud = Scenario {
        offload: 1.0,
        edge_ms: 0.0,
        link: Link { bytes_up: jpeg.round() as u64, bytes_down: JSON_ANSWER, ..link },
        service_ms: slower(whole.collect()),
        ..hybrid.clone()
    };
    let edge = Scenario { offload: 0.0, ..hybrid.clone() };
    // The report's accuracy only holds for its own offload rate.
    let system = options.offload.is_none().then_some(report.accuracy.system);
    [
        ("hybrid", system, hybrid),
        ("cloud only", report.accuracy.twin, cloud),
        ("edge only", report.accuracy.exits.last().copied(), edge),
    ]
}

fn table(
    options: &Options,
    report: &Report,
    times: &Times,
    prices: &Prices,
    ways: &[Way],
) -> Result<String> {
    let Report { model, version, .. } = report;
    let mut text = format!(
        "{model} {version}; {} pictures per second for {} s, random arrivals; times of {}, prices of {} ({})\n\n",
        options.rate, options.seconds, times.date, prices.date, prices.region
    );
    writeln!(
        text,
        "{:10} {:>8} {:>8} {:>8} {:>8} {:>9} {:>6} {:>6} {:>8} {:>8} {:>12}",
        "",
        "accuracy",
        "p50 ms",
        "p95",
        "p99",
        "instances",
        "needed",
        "cold",
        "refused",
        "degraded",
        "$ a million"
    )?;
    for Way { name, accuracy, outcome, dollars, .. } in ways {
        let accuracy = accuracy.map_or_else(String::new, |share| format!("{:.2}%", share * 100.0));
        writeln!(
            text,
            "{name:10} {accuracy:>8} {:8.1} {:8.1} {:8.1} {:9.2} {:6} {:6} {:8} {:8} {dollars:12.4}",
            outcome.all.p50,
            outcome.all.p95,
            outcome.all.p99,
            outcome.mean_busy,
            outcome.needed,
            outcome.cold,
            outcome.refused,
            outcome.degraded
        )?;
    }
    if let Some(Way { cost, .. }) = ways.first() {
        writeln!(
            text,
            "\nof hybrid: compute {:.4}, requests {:.4}, traffic {:.4}, logs {:.4}, store {:.4}",
            cost.compute, cost.requests, cost.traffic, cost.logs, cost.store
        )?;
    }
    Ok(text)
}

fn positive(text: &str) -> Result<f64> {
    let number: f64 = text.parse()?;
    ensure!(number > 0.0 && number.is_finite(), "it must be above zero");
    Ok(number)
}

fn share(text: &str) -> Result<f64> {
    let number: f64 = text.parse()?;
    ensure!((0.0..=1.0).contains(&number), "it must be from 0 to 1");
    Ok(number)
}
