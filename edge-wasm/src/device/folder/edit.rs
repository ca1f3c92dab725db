//! One edit of a folder's files. A change is a list of edits, so that a test can stop it after each of them.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use super::FolderError;

#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// Writes a new file, under a name that nothing reads.
    Write(PathBuf, Vec<u8>),
    /// Renames a file atomically.
    Rename(PathBuf, PathBuf),
    /// Removes a file that is no longer needed.
    Remove(PathBuf),
}

impl Edit {
    pub(super) fn run(&self) -> Result<(), FolderError> {
        match self {
            Self::Write(path, bytes) => {
                let written = File::create(path).and_then(|mut file| {
                    file.write_all(bytes)?;
                    // Before the rename: after a power cut the new name might otherwise lead to an incomplete file.
                    file.sync_all()
                });
                written.map_err(|error| {
                    // Leave no half-written file on a full disk.
                    let _ = fs::remove_file(path);
                    FolderError::Unwritable(path.clone(), error)
                })
            }
            Self::Rename(from, to) => {
                fs::rename(from, to).map_err(|error| FolderError::Unwritable(to.clone(), error))
            }
            Self::Remove(path) => {
                // The change is done. If the file stays, the next change removes it.
                let _ = fs::remove_file(path);
                Ok(())
            }
        }
    }
}
