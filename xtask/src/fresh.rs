//! Time stamps of build products, for build tools that would rebuild up-to-date files.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;

use crate::{root, target};

/// The time of a build, kept as the modification time of a file in target/.
pub struct Stamp(PathBuf);

impl Stamp {
    /// The stamp of the build `name`.
    pub fn of(name: &str) -> Self {
        Self(target().join("xtask").join(name).with_extension("stamp"))
    }

    /// Whether the build is newer than the last change in `sources`, which are files or folders of the workspace.
    pub fn is_fresh(&self, sources: &[&str]) -> bool {
        let newest = sources.iter().map(|source| newest(&root().join(source))).max();
        let made = fs::metadata(&self.0).and_then(|file| file.modified());
        matches!((made, newest), (Ok(made), Some(Some(newest))) if made > newest)
    }

    /// Marks the build as complete now, or, with `false`, as outdated until it completes.
    ///
    /// # Errors
    /// If target/ cannot be written.
    pub fn set(&self, made: bool) -> Result<()> {
        removed(fs::remove_file(&self.0))?;
        if made {
            File::create(&self.0)?;
        }
        Ok(())
    }
}

/// The result of removing what need not exist.
///
/// # Errors
/// If it exists and cannot be removed.
pub fn removed(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| if error.kind() == ErrorKind::NotFound { Ok(()) } else { Err(error) })
}

/// Modification time of a file, or the latest one in a folder; `None` if the path does not exist.
fn newest(path: &Path) -> Option<SystemTime> {
    let own = fs::metadata(path).ok()?.modified().ok()?;
    let inside = fs::read_dir(path).into_iter().flatten();
    inside.filter_map(|entry| newest(&entry.ok()?.path())).chain([own]).max()
}
