//! Formats the results of `bench cloud` as a table.

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::arrivals::Arrivals;
use super::function::Sample;
use super::load::Load;
use super::profile;
use super::{Figures, Starts};
use crate::labels::Labels;
use crate::load::settled;
use crate::times::{median, quantile};

/// Formats the times of cold starts.
fn starts(figures: &Figures) -> Result<String> {
    let Figures { date, pair, binary_bytes, starts, half, resident, .. } = figures;
    let mut text = format!(
        "{pair}, {date}; milliseconds, medians; function and onnxruntime on one thread each\n\n\
         {:<50} {:>8} {:>8}\n",
        "weights on the store", "single", "half"
    );
    let alone: Vec<f64> = figures.profiles.iter().map(|each| each.tract.load_ms).collect();
    let (tract, mib) = (median(&alone), |bytes: u64| bytes as f64 / 1_048_576.0);
    let rest = |of: &Starts| median(&of.first_answer) - median(&of.load) - median(&of.store);
    for (what, number) in [
        ("model on the store, MB", (|of| of.bytes as f64 / 1e6) as fn(&Starts) -> f64),
        ("process start to request for work (init)", |of| median(&of.init)),
        ("process start to first answer", |of| median(&of.first_answer)),
        ("  the function reading and optimising the model", |of| median(&of.load)),
        ("  the store sending the model", |of| median(&of.store)),
        ("  the rest", rest),
    ] {
        writeln!(text, "{what:<50} {:8.1} {:8.1}", number(starts), number(half))?;
    }
    let against = |of: &Starts| median(&of.first_answer) / tract;
    writeln!(
        text,
        "{:<50} {:8.2} {:8.2}\n{:<50} {tract:8.1}\n{:<50} {resident:8.1}\n{:<50} {:8.1}\n",
        "first answer, times tract alone loading the model",
        against(starts),
        against(half),
        "tract alone reading and optimising the model",
        "resident memory, MiB",
        "binary, MiB",
        mib(*binary_bytes)
    )?;
    Ok(text)
}

/// Formats all results as text.
pub fn table(figures: &Figures) -> Result<String> {
    let mut text = starts(figures)?;
    writeln!(
        text,
        "{:>7} {:>11} {:>9} {:>9} {:>9} {:>10} {:>10} {:>12} {:>18}",
        "samples",
        "request p50",
        "p99",
        "plan",
        "own code",
        "Lambda API",
        "samples/s",
        "onnxruntime",
        "plan/onnxruntime"
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
    text += &profile::table(&figures.profiles)?;
    if let Some(labels @ Labels { pictures, same, difference }) = figures.labels {
        let share = 100.0 * labels.share();
        writeln!(
            text,
            "\nthe same label as with tract's own convolutions: {same} of {pictures} test pictures ({share:.2}%); \
             largest difference of a probability {difference:.1e}"
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
