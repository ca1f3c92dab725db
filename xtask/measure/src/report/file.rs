//! The files of results.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Head;

/// Writes a result as JSON, and says so.
pub fn write(path: &Path, result: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(result)? + "\n";
    fs::write(path, text).with_context(|| path.display().to_string())?;
    eprintln!("wrote {}", path.display());
    Ok(())
}

/// Reads a result in a pair's folder, if there is one. `options` are those with which `eval` measures it again.
///
/// # Errors
/// If it is not that of the pair's `manifest`.
pub fn kept<T: DeserializeOwned>(
    path: &Path,
    manifest: &[u8],
    options: &str,
    head: impl Fn(&T) -> &Head,
) -> Result<Option<T>> {
    let Ok(text) = fs::read(path) else { return Ok(None) };
    let at = || path.display().to_string();
    let result = serde_json::from_slice(&text).with_context(at)?;
    head(&result).check_is_of(manifest, options).with_context(at)?;
    Ok(Some(result))
}
