//! Formats the results of `bench cloud` as a table.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::Figures;
use super::arrivals::Arrivals;
use super::function::Sample;
use super::load::Load;
use crate::load::settled;
use crate::times::{median, quantile};

/// Formats all results as text.
pub fn table(figures: &Figures) -> Result<String> {
    let Figures { date, pair, binary_bytes, init, load, store, first_answer, resident, .. } =
        figures;
    let mut text = format!(
        "{pair}, {date}; milliseconds, medians; tract and onnxruntime on one thread each\n\n"
    );
    let (first, tract, store) = (median(first_answer), median(load), median(store));
    let binary = *binary_bytes as f64 / 1_048_576.0;
    for (what, number) in [
        ("process start to request for work (init)", median(init)),
        ("process start to first answer", first),
        ("  tract reading and optimising the model", tract),
        ("  the store sending the model", store),
        ("  the rest", first - tract - store),
        ("resident memory, MiB", *resident),
        ("binary, MiB", binary),
    ] {
        writeln!(text, "{what:<42} {number:8.1}")?;
    }
    writeln!(
        text,
        "the first answer takes {:.1} times as long as tract's reading and optimising; without the store, {:.1} times\n",
        first / tract,
        (first - store) / tract
    )?;
    writeln!(
        text,
        "{:>7} {:>11} {:>9} {:>9} {:>9} {:>10} {:>10} {:>12} {:>18}",
        "samples",
        "request p50",
        "p99",
        "tract",
        "own code",
        "Lambda API",
        "samples/s",
        "onnxruntime",
        "tract/onnxruntime"
    )?;
    for (batch, samples) in &figures.function {
        let column = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).collect::<Vec<_>>();
        let (whole, tract, own) = (column(&|s| s.whole), column(&|s| s.tract), column(&|s| s.own));
        let runtime = column(&|s| s.whole - s.tract - s.own);
        let ort = median(figures.onnxruntime.get(batch).context("onnxruntime left a batch out")?);
        writeln!(
            text,
            "{batch:7} {:11.3} {:9.3} {:9.3} {:9.3} {:10.3} {:10.1} {ort:12.3} {:18.2}",
            median(&whole),
            quantile(&whole, 0.99),
            median(&tract),
            median(&own),
            median(&runtime),
            1e3 * *batch as f64 / median(&whole),
            median(&tract) / ort
        )?;
    }
    if let Some(load) = &figures.bounded_load {
        let Load { seconds, functions, requests, p50, p99, resident } = load;
        let rate = *requests as f64 / seconds;
        writeln!(
            text,
            "\n{seconds:.0} s of load, functions: {functions}; {requests} requests, none failed, {rate:.1} per second; \
             p50 {p50:.3}, p99 {p99:.3} ({:.2} times p50)",
            p99 / p50
        )?;
        let (low, high) = settled(resident);
        writeln!(
            text,
            "resident memory of all, after the first minute: {low:.1} to {high:.1} MiB"
        )?;
    }
    if let Some(arrivals) = &figures.arrivals {
        let Arrivals { functions, seconds, requests_per_second, measured, simulated } = arrivals;
        writeln!(
            text,
            "\n{seconds:.0} s of random arrivals, {requests_per_second:.1} per second; functions: {functions}\n\n\
             {:10} {:>9} {:>10} {:>11}",
            "", "measured", "simulated", "difference"
        )?;
        for (what, real, said) in [
            ("p50, ms", measured.p50, simulated.p50),
            ("per second", measured.throughput, simulated.throughput),
        ] {
            let off = 100.0 * (said / real - 1.0);
            writeln!(text, "{what:10} {real:9.3} {said:10.3} {off:10.1}%")?;
        }
    }
    Ok(text)
}
