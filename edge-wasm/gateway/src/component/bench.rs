//! `fogline bench`: the speed of this device.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::component::fault::{Fault, json, say};
use crate::component::pair::{self, PairOptions};

/// Measure pictures per second, and milliseconds by the exit that answers.
///
/// The pictures are decoded once, which is timed separately. Then they run through the edge in turn, on one thread, until
/// the time is up. The cloud is not asked.
#[derive(clap::Args)]
pub struct Options {
    /// Pictures: files, or folders with everything below them.
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    #[command(flatten)]
    pair: PairOptions,
    /// How long to measure; every picture runs at least once.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The result; milliseconds are medians.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    backend: String,
    pictures: usize,
    passes: usize,
    edge_per_second: f64,
    decode_ms: f64,
    endings: BTreeMap<String, Ending>,
}

#[derive(Serialize)]
struct Ending {
    passes: usize,
    ms: f64,
}

/// Measures and prints. Always returns true: a picture that cannot be read is an error.
pub fn run(options: &Options) -> Result<bool, Fault> {
    let mut session = options.pair.load()?;
    let (decoder, mut decoding) = (options.pair.decoder(&session), vec![]);
    let mut pictures = vec![];
    for path in pair::pictures(&options.pictures)? {
        let began = Instant::now();
        pictures.push(decoder.open(&path).0.map_err(|fault| fault.of(&path))?);
        decoding.push(began.elapsed().as_secs_f64() * 1e3);
    }
    let names: Vec<_> = session.manifest().exits.iter().map(|exit| exit.name.clone()).collect();
    let mut times: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    let (began, limit) = (Instant::now(), Duration::from_secs(options.seconds));
    let (mut passes, mut ms) = (0, 0.0);
    while passes < pictures.len() || began.elapsed() < limit {
        let starts = Instant::now();
        let pass = session.run_edge(&pictures[passes % pictures.len()]);
        let took = starts.elapsed().as_secs_f64() * 1e3;
        let ending = match pass.map {
            Some(_) => "split",
            None => &names[pass.verdicts.len() - 1],
        };
        times.entry(ending.to_owned()).or_default().push(took);
        passes += 1;
        ms += took;
    }
    let ending = |(name, mut times): (_, Vec<f64>)| {
        (name, Ending { passes: times.len(), ms: median(&mut times) })
    };
    let report = Report {
        backend: session.backend().to_string(),
        pictures: pictures.len(),
        passes,
        edge_per_second: passes as f64 * 1e3 / ms,
        decode_ms: median(&mut decoding),
        endings: times.into_iter().map(ending).collect(),
    };
    if options.json {
        say(&json(&report))?;
        return Ok(true);
    }
    say(&format!("{:<12} {:>8} {:>10}", "answered by", "passes", "median ms"))?;
    for (name, Ending { passes, ms }) in &report.endings {
        say(&format!("{name:<12} {passes:>8} {ms:>10.3}"))?;
    }
    let Report { backend, edge_per_second, decode_ms, .. } = report;
    say(&format!(
        "\n{edge_per_second:.0} pictures per second through the edge, {backend}; reading and decoding one takes {decode_ms:.2} ms"
    ))?;
    Ok(true)
}

/// The upper median of a list that is not empty.
fn median(numbers: &mut [f64]) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}
