//! `cargo xtask figures`: writes the tables of the committed reports into README and model cards.
//!
//! A table stands between two lines that name it; nobody types one.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::report::Report;

const BEGIN: &str = "<!-- cargo xtask figures: begin -->\n";
const END: &str = "<!-- cargo xtask figures: end -->\n";

/// Options of `cargo xtask figures`.
#[derive(clap::Args)]
pub struct Options {
    /// Folder of pairs; each with a report.json is shown.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// The page that shows all of them.
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
    let all: Vec<&str> = reports.iter().map(|(_, table)| table.as_str()).collect();
    let mut pages = vec![(options.readme.clone(), all.concat())];
    for (folder, table) in &reports {
        pages.push((folder.join("MODEL.md"), table.clone()));
    }
    for (page, tables) in pages {
        let old = fs::read_to_string(&page).with_context(|| page.display().to_string())?;
        let new = replaced(&old, &tables).with_context(|| page.display().to_string())?;
        if new == old {
            continue;
        }
        if options.check {
            bail!(
                "{}: its figures are not those of report.json; run cargo xtask figures",
                page.display()
            );
        }
        fs::write(&page, new).with_context(|| page.display().to_string())?;
        println!("{}: new figures", page.display());
    }
    Ok(())
}

/// The folders with a report, in order, and the report's table as a code block.
fn reports(models: &Path) -> Result<Vec<(PathBuf, String)>> {
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
        reports.push((folder, format!("```text\n{report}```\n")));
    }
    Ok(reports)
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.is_dir()).collect())
}

fn replaced(page: &str, tables: &str) -> Result<String> {
    let parts = page.split_once(BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(END)?;
        Some(format!("{before}{BEGIN}{tables}{END}{after}"))
    });
    parts.with_context(|| format!("it lacks the lines\n{BEGIN}{END}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_lines_changes() {
        let page = format!("# Title\n{BEGIN}old\n{END}rest\n");
        let new = replaced(&page, "new\n").unwrap();
        assert_eq!(new, format!("# Title\n{BEGIN}new\n{END}rest\n"));
        assert_eq!(replaced(&new, "new\n").unwrap(), new);
        assert!(replaced("# Title\n", "new\n").is_err());
    }
}
