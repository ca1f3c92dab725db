//! `cargo xtask figures`: writes the tables of the committed reports and timings into docs, README and model cards.
//!
//! A table stands between two lines that name it; nobody types one.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fogline_stack::models::MANIFEST;

use crate::report::Report;
use crate::subject::TWIN_ONNX;
use crate::{cloud, compare};

/// What stands between a page's two lines: the tables of report.json, of bench.txt, of bench-cloud.txt, or of compare.txt;
/// and the few rows of the first two that README shows.
const ACCURACY: &str = "figures";
const SPEED: &str = "figures, speed";
const CLOUD: &str = "figures, cloud";
const SYSTEMS: &str = "figures, systems";
const SUMMARY: &str = "figures, summary";
const SPEED_SUMMARY: &str = "figures, speed summary";
/// Where a bench.txt comes to what counts, and which lines of that are about all of the edge.
const RATIOS: &str = "ratios of medians";
const WHOLE_EDGE: &str = "edge, all exits";

/// Options of `cargo xtask figures`.
#[derive(clap::Args)]
pub struct Options {
    /// Folder of pairs; each with a report.json is shown.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// The page with all tables, in a folder beside that of the pairs.
    #[arg(long, value_name = "FILE", default_value = "docs/results.md")]
    results: PathBuf,
    /// The page with a few rows of them.
    #[arg(long, value_name = "FILE", default_value = "README.md")]
    readme: PathBuf,
    /// Change nothing; fail if a table is not what its report says.
    #[arg(long)]
    check: bool,
}

/// Writes, or checks, every table.
pub fn run(options: &Options) -> Result<()> {
    let reports = reports(&options.models)?;
    ensure!(!reports.is_empty(), "no report.json in {}", options.models.display());
    let tables = |reports: &[&(PathBuf, Report)]| -> String {
        reports.iter().map(|(_, report)| block(&report.to_string())).collect()
    };
    // The systems beside the plain network, without a twin of their own, stand in the table that compares them.
    let with_twin: Vec<_> =
        reports.iter().filter(|(folder, _)| folder.join(TWIN_ONNX).is_file()).collect();
    let rows: String = with_twin.iter().map(|(_, report)| report.row()).collect();
    let (all, readme) = (|| options.results.clone(), || options.readme.clone());
    let mut pages = vec![
        (all(), ACCURACY, tables(&with_twin)),
        (all(), SPEED, speeds(&reports)),
        (all(), CLOUD, kept(&reports, cloud::KEPT)),
        (all(), SYSTEMS, kept(&reports, compare::KEPT)),
        (readme(), SUMMARY, Report::HEADER.to_owned() + &rows),
        (readme(), SPEED_SUMMARY, whole_edge(&reports)),
    ];
    for report in &reports {
        let card = report.0.join("MODEL.md");
        if card.is_file() {
            pages.push((card, ACCURACY, tables(&[report])));
        }
    }
    // All of them, before any is written.
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
            "{page}: its figures are not those that were measured; run cargo xtask figures"
        );
        fs::write(page.to_string(), text).with_context(|| page.to_string())?;
        println!("{page}: new figures");
    }
    Ok(())
}

fn block(text: &str) -> String {
    format!("```text\n{text}```\n")
}

/// What `cargo xtask bench edge --keep` left beside the pairs.
fn speeds(reports: &[(PathBuf, Report)]) -> String {
    let tables = reports.iter().filter_map(|(folder, _)| {
        let text = fs::read_to_string(folder.join("bench.txt")).ok()?;
        // The medians of all cases stay in the file.
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

/// The lines of those about all of the edge.
fn whole_edge(reports: &[(PathBuf, Report)]) -> String {
    let tables = reports.iter().filter_map(|(folder, _)| {
        let text = fs::read_to_string(folder.join("bench.txt")).ok()?;
        let lines = text.lines().filter(|line| line.contains(WHOLE_EDGE));
        let lines: Vec<&str> = lines.filter(|line| line.contains(" against ")).collect();
        // What comes behind it is of milliseconds.
        let head = text.lines().next()?.split(';').next()?;
        Some(block(&format!("{head}: times as fast\n\n{}\n", lines.join("\n"))))
    });
    tables.collect()
}

/// What `cargo xtask bench cloud --keep` and `cargo xtask compare --keep` left beside the pairs.
fn kept(reports: &[(PathBuf, Report)], file: &str) -> String {
    let tables =
        reports.iter().filter_map(|(folder, _)| fs::read_to_string(folder.join(file)).ok());
    tables.map(|text| block(&text)).collect()
}

/// The folders with a report, in order, and the report.
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
    parts.with_context(|| format!("it lacks the lines\n{begin}{end}"))
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
