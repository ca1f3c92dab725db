//! Where the time goes: the operations of tract's own plan and of the function's.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fogline_cloud::runner::{Profile, Profiled};
use tokio::process::Command;

use crate::times::median;

/// Numbers of samples whose plans are timed.
const SAMPLES: [usize; 2] = [1, 16];
/// Operations that take less than this share of both plans are added up.
const LEAST: f64 = 0.01;

/// Runs `program`, which prints a [`Profile`] of the pair in `folder`.
pub async fn profile(program: &Path, folder: &Path) -> Result<Profile> {
    let mut command = Command::new(program);
    command.arg(folder).args(SAMPLES.map(|samples| samples.to_string()));
    let output = command.output().await.with_context(|| program.display().to_string())?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Formats the medians over all rounds, in microseconds a sample.
pub fn table(rounds: &[Profile]) -> Result<String> {
    let mut text = String::new();
    for (of, part) in [
        ("tract's own plan", (|each| &each.tract) as fn(&Profile) -> &Profiled),
        ("the function's plan", |each| &each.fogline),
    ] {
        let [one, many] = SAMPLES.map(|samples| format!("of {samples}"));
        writeln!(text, "\n{:<50} {one:>8} {many:>8}", format!("{of}, microseconds a sample"))?;
        let mut rows: Vec<(String, [f64; 2])> = vec![];
        for (column, samples) in SAMPLES.into_iter().enumerate() {
            let mut times = BTreeMap::<usize, (String, Vec<f64>)>::new();
            for timed in rounds.iter().map(|round| &part(round).plans[&samples]) {
                for (at, timed) in timed.iter().enumerate() {
                    let name = || format!("{} {}", timed.operation, timed.node);
                    let row = times.entry(at).or_insert_with(|| (name(), vec![]));
                    row.1.extend(&timed.ms);
                }
            }
            for (name, ms) in times.into_values() {
                let time = median(&ms) * 1e3 / samples as f64;
                match rows.iter_mut().find(|row| row.0 == name) {
                    Some(row) => row.1[column] = time,
                    None => {
                        rows.push((name, [0, 1].map(|at| if at == column { time } else { 0.0 })));
                    }
                }
            }
        }
        let sum = |rows: &[(String, [f64; 2])]| {
            [0, 1].map(|column| rows.iter().map(|row| row.1[column]).sum::<f64>())
        };
        let all = sum(&rows);
        let large = |row: &(String, [f64; 2])| (0..2).any(|at| row.1[at] >= LEAST * all[at]);
        let (shown, others): (Vec<_>, Vec<_>) = rows.into_iter().partition(large);
        let ends = [(format!("{} others", others.len()), sum(&others)), ("all".to_owned(), all)];
        for (name, [one, many]) in shown.into_iter().chain(ends) {
            writeln!(text, "{name:<50} {one:8.1} {many:8.1}")?;
        }
    }
    Ok(text)
}
