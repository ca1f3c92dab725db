//! The documentation's pages.

use std::fs;
use std::path::{Path, PathBuf};

/// Paths and texts of the Markdown pages in docs/ and the root folder.
pub fn pages() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .find(|at| at.join("README.md").is_file() && at.join("docs").is_dir());
    let root = root.expect("the workspace's folder");
    let docs =
        fs::read_dir(root.join("docs")).expect("docs").map(|page| page.expect("a page").path());
    let top =
        ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md"].map(|page| root.join(page));
    let pages = docs.chain(top).filter(|page| page.extension().is_some_and(|is| is == "md"));
    pages.map(|page| (page.clone(), fs::read_to_string(&page).expect("a page"))).collect()
}
