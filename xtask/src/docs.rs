//! Tests the documentation against the repository: every link has a target, and every command exists.

mod commands;
mod pages;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory;

use crate::{Args, root};

#[test]
fn commands_in_the_docs_exist() {
    // fogline-measure's own test checks the options of the commands it implements.
    commands::check("cargo xtask", &Args::command(), true);
}

#[test]
fn the_operators_in_the_docs_are_those_of_the_packer() {
    let page = fs::read_to_string(root().join("docs/bring-your-own-model.md")).expect("the page");
    let table = fogline_pack::table();
    assert!(page.contains(&table), "docs/bring-your-own-model.md needs this table:\n{table}");
}

#[test]
fn links_in_the_docs_lead_somewhere() {
    for (page, text) in pages::pages() {
        let folder = page.parent().expect("a page lies in a folder");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { page.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: the link {link} is broken", page.display());
            let there = heading.is_empty() || headings(&target).contains(heading);
            assert!(there, "{}: the heading that {} links to does not exist", page.display(), link);
        }
    }
}

/// The anchors that GitHub gives a page's headings.
fn headings(page: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(page).expect("a page");
    let titles = text.lines().filter(|line| line.starts_with('#'));
    let anchor = |title: &str| {
        let kept = title.trim_start_matches('#').trim().to_lowercase();
        let kept = kept.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
        kept.collect::<String>().replace(' ', "-")
    };
    titles.map(anchor).collect()
}

#[test]
fn every_page_is_reached_from_the_readme() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    for page in fs::read_dir(root().join("docs")).expect("docs") {
        let page = page.expect("a page").path();
        let name = page.file_name().expect("a name").to_string_lossy();
        let linked = readme.contains(&format!("](docs/{name})"));
        let is_page = page.extension().is_some_and(|extension| extension == "md");
        assert!(linked || !is_page, "README.md does not link docs/{name}");
    }
}
