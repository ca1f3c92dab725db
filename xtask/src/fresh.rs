//! Whether what was made is newer than what it is made of: for makers that would make it again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Result;

use crate::{root, target};

/// When something was made, by a file in target/.
pub struct Stamp(PathBuf);

impl Stamp {
    /// That of `name`.
    pub fn of(name: &str) -> Self {
        Self(target().join("xtask").join(name).with_extension("stamp"))
    }

    /// Whether it was made behind the last change in any of `sources`, files or folders in the workspace.
    pub fn is_fresh(&self, sources: &[&str]) -> bool {
        let newest = sources.iter().map(|source| newest(&root().join(source))).max();
        let made = fs::metadata(&self.0).and_then(|file| file.modified());
        matches!((made, newest), (Ok(made), Some(Some(newest))) if made > newest)
    }

    /// Says that it is made as of now, or is being made anew until then.
    ///
    /// # Errors
    /// When target/ cannot be written.
    pub fn set(&self, made: bool) -> Result<()> {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
            _ if made => drop(File::create(&self.0)?),
            _ => {}
        }
        Ok(())
    }
}

/// The last change of a file, or of anything in a folder; none of what is not there.
fn newest(path: &Path) -> Option<SystemTime> {
    let own = fs::metadata(path).ok()?.modified().ok()?;
    let inside = fs::read_dir(path).into_iter().flatten();
    inside.filter_map(|entry| newest(&entry.ok()?.path())).chain([own]).max()
}
