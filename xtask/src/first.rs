//! The demo's first answers, from the edge alone, run natively before anything else is built.

use std::path::Path;

use anyhow::{Context, Result};
use fogline_edge::device::folder::Folder;
use fogline_edge::device::picture::{MOST_PIXELS, decode};
use fogline_edge::kernel::Backend;

use crate::{demo, step};

/// Classifies the sample pictures with the pair's edge and prints the answers.
pub fn answers(pair: &Path) -> Result<()> {
    let mut session = Folder::at(pair).load(Backend::fastest())?;
    let manifest = session.manifest();
    let size = manifest.input.size;
    step::say(&format!(
        "The samples, classified by the edge of {} {} alone, natively:",
        manifest.name, manifest.version
    ));
    for sample in demo::samples(pair)? {
        let file = std::fs::read(&sample)?;
        let rgb = decode(&file, size, MOST_PIXELS).with_context(|| sample.display().to_string())?;
        let answer = session.classify_alone(&rgb);
        let sure =
            if answer.degraded.is_some() { "; not sure, so it will go to the cloud" } else { "" };
        let name = sample.file_stem().unwrap_or_default().to_string_lossy();
        let percent = answer.confidence * 100.0;
        step::say(&format!(
            "  {name:<12} {:<12} {percent:>5.1}%  {}{sure}",
            answer.label, answer.origin
        ));
    }
    Ok(())
}
