//! `cargo xtask figures`: copies the tables of the committed reports and timings to docs, README and model cards.
//!
//! Each table is between two marker lines that name it, and is never edited by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fogline_stack::models::MANIFEST;

use crate::drift;
use crate::rate::{self, Rate};
use crate::report::Report;
use crate::subject::TWIN_ONNX;
use crate::{cloud, compare};

/// A pair's model card.
const CARD: &str = "MODEL.md";
// Names of the tables in the marker lines. They come from report.json, rate.json, drift.json, bench.txt, bench-cloud.txt
// and compare.txt; the summaries are the few rows of report.json and bench.txt that README shows.
const ACCURACY: &str = "figures";
const RATE: &str = "figures, rate";
const DRIFT: &str = "figures, drift";
const SPEED: &str = "figures, speed";
const CLOUD: &str = "figures, cloud";
const SYSTEMS: &str = "figures, systems";
const SUMMARY: &str = "figures, summary";
const SPEED_SUMMARY: &str = "figures, speed summary";
/// Start of the ratios in a bench.txt, and the label of the lines about the whole edge.
const RATIOS: &str = "ratios of medians";
const WHOLE_EDGE: &str = "edge, all exits";

/// Options of `cargo xtask figures`.
#[derive(clap::Args)]
pub struct Options {
    /// Folder of pairs; every pair with a report.json is included.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// The page with all tables.
    #[arg(long, value_name = "FILE", default_value = "docs/results.md")]
    results: PathBuf,
    /// The page with the summary tables.
    #[arg(long, value_name = "FILE", default_value = "README.md")]
    readme: PathBuf,
    /// Change nothing; fail if a table differs from its report.
    #[arg(long)]
    check: bool,
}

/// Updates or checks every table.
pub fn run(options: &Options) -> Result<()> {
    let reports = reports(&options.models)?;
    ensure!(
        !reports.is_empty(),
        "{} has no pair with a report.json; run cargo xtask eval",
        options.models.display()
    );
    let tables = |reports: &[&(PathBuf, Report)]| -> String {
        reports.iter().map(|(_, report)| block(&report.to_string())).collect()
    };
    // Related systems have no twin of their own; they are in the comparison table.
    let with_twin: Vec<_> =
        reports.iter().filter(|(folder, _)| folder.join(TWIN_ONNX).is_file()).collect();
    let rows: String = with_twin.iter().map(|(_, report)| report.row()).collect();
    let (all, readme) = (|| options.results.clone(), || options.readme.clone());
    let mut pages = vec![
        (all(), ACCURACY, tables(&with_twin)),
        (all(), RATE, rates(&reports)?),
        (all(), DRIFT, drifts(&reports)?),
        (all(), SPEED, speeds(&reports)),
        (all(), CLOUD, kept(&reports, cloud::KEPT)),
        (all(), SYSTEMS, kept(&reports, compare::KEPT)),
        (readme(), SUMMARY, Report::HEADER.to_owned() + &rows),
        (readme(), SPEED_SUMMARY, whole_edge(&reports)),
    ];
    for report in &reports {
        let card = report.0.join(CARD);
        if card.is_file() {
            pages.push((card, ACCURACY, tables(&[report])));
        }
    }
    // Prepare all pages before writing any.
    let mut changed = BTreeMap::new();
    for (page, part, tables) in pages {
        let at = || page.display().to_string();
        let old = match changed.get(&page) {
            Some(text) => String::clone(text),
            None => fs::read_to_string(&page).with_context(at)?,
        };
        let new = replaced(&old, part, &tables).with_context(at)?;
        if new != old {
            changed.insert(page, new);
        }
    }
    for (page, text) in changed {
        let page = page.display();
        ensure!(
            !options.check,
            "{page}: its figures differ from the reports; run cargo xtask figures"
        );
        fs::write(page.to_string(), text).with_context(|| page.to_string())?;
        println!("{page}: updated");
    }
    Ok(())
}

/// Puts the report's table into the card of the pair in `folder`, if it has one.
pub fn update_card(folder: &Path, report: &Report) -> Result<()> {
    let card = folder.join(CARD);
    if !card.is_file() {
        return Ok(());
    }
    let at = || card.display().to_string();
    let old = fs::read_to_string(&card).with_context(at)?;
    let new = replaced(&old, ACCURACY, &block(&report.to_string())).with_context(at)?;
    fs::write(&card, new).with_context(at)
}

fn block(text: &str) -> String {
    format!("```text\n{text}```\n")
}

/// The ratios that `cargo xtask bench edge --keep` wrote to the pairs' folders.
fn speeds(reports: &[(PathBuf, Report)]) -> String {
    let tables = reports.iter().filter_map(|(folder, _)| {
        let text = fs::read_to_string(folder.join("bench.txt")).ok()?;
        // The medians of all cases are only in the linked file.
        let (head, ratios) = (text.lines().next()?, &text[text.find(RATIOS)?..]);
        let beside = |file| Path::new("..").join(folder).join(file).display().to_string();
        Some(format!(
            "{}\nAll medians and quartiles: [bench.txt]({}).\n\n![The same as bars]({})\n",
            block(&format!("{head}\n\n{ratios}")),
            beside("bench.txt"),
            beside("bench.svg")
        ))
    });
    tables.collect()
}

/// Where the systems send less than JPEG and WebP, as `cargo xtask eval --rate-curve` found, and the plots.
fn rates(reports: &[(PathBuf, Report)]) -> Result<String> {
    let mut found = vec![];
    for (folder, _) in reports {
        let manifest = fs::read(folder.join(MANIFEST))?;
        let Some(rate) = Rate::kept(folder, &manifest)? else { continue };
        let plot = Path::new("..").join(folder).join(rate::SVG);
        let plot = format!("\n![Accuracy against bytes per picture]({})\n\n", plot.display());
        found.push(block(&rate.summary()) + &plot);
    }
    Ok(found.concat())
}

/// How soon corrupted pictures raise the alarm, as `cargo xtask eval --drift` found.
fn drifts(reports: &[(PathBuf, Report)]) -> Result<String> {
    let mut found = String::new();
    for (folder, _) in reports {
        let manifest = fs::read(folder.join(MANIFEST))?;
        if let Some(drift) = drift::Report::kept(folder, &manifest)? {
            found += &block(&drift.to_string());
        }
    }
    Ok(found)
}

/// Only the lines about the whole edge.
fn whole_edge(reports: &[(PathBuf, Report)]) -> String {
    let tables = reports.iter().filter_map(|(folder, _)| {
        let text = fs::read_to_string(folder.join("bench.txt")).ok()?;
        let lines = text.lines().filter(|line| line.contains(WHOLE_EDGE));
        let lines: Vec<&str> = lines.filter(|line| line.contains(" against ")).collect();
        // The rest of the heading says that the times are in milliseconds, which ratios are not.
        let head = text.lines().next()?.split(';').next()?;
        Some(block(&format!("{head}: times as fast\n\n{}\n", lines.join("\n"))))
    });
    tables.collect()
}

/// The file of this name that `cargo xtask bench cloud --keep` or `cargo xtask compare --keep` wrote to a pair's folder.
fn kept(reports: &[(PathBuf, Report)], file: &str) -> String {
    let tables =
        reports.iter().filter_map(|(folder, _)| fs::read_to_string(folder.join(file)).ok());
    tables.map(|text| block(&text)).collect()
}

/// Every folder with a report, in order, and the report.
fn reports(models: &Path) -> Result<Vec<(PathBuf, Report)>> {
    let mut folders = vec![];
    for name in folders_in(models)? {
        folders.extend(folders_in(&name)?);
    }
    folders.sort();
    let mut reports = vec![];
    for folder in folders {
        let path = folder.join("report.json");
        let Ok(text) = fs::read(&path) else { continue };
        let report: Report =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        let manifest = folder.join(MANIFEST);
        let manifest = fs::read(&manifest).with_context(|| manifest.display().to_string())?;
        report.check_is_of(&manifest).with_context(|| path.display().to_string())?;
        reports.push((folder, report));
    }
    Ok(reports)
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.is_dir()).collect())
}

fn replaced(page: &str, part: &str, tables: &str) -> Result<String> {
    let line = |end| format!("<!-- cargo xtask {part}: {end} -->\n");
    let (begin, end) = (line("begin"), line("end"));
    let parts = page.split_once(&begin).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(&end)?;
        Some(format!("{before}{begin}{tables}{end}{after}"))
    });
    parts.with_context(|| format!("the marker lines are missing:\n{begin}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_lines_changes() {
        let page = "# Title\n<!-- cargo xtask figures: begin -->\nold\n<!-- cargo xtask figures: end -->\nrest\n";
        let new = replaced(page, ACCURACY, "new\n").unwrap();
        assert_eq!(new, page.replace("old", "new"));
        assert_eq!(replaced(&new, ACCURACY, "new\n").unwrap(), new);
        assert!(replaced(page, SPEED, "new\n").is_err());
    }
}
