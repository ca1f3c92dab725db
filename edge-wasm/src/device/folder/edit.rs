//! One thing that is done to a folder's files. A change is a list of them, so that a test can end it behind every one.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;

use super::FolderError;

#[derive(Debug, Clone)]
pub(super) enum Edit {
    /// A new file, which nobody reads under this name.
    Write(PathBuf, Vec<u8>),
    /// From one name to another, wholly or not at all.
    Rename(PathBuf, PathBuf),
    /// A file that nobody needs.
    Remove(PathBuf),
}

impl Edit {
    pub(super) fn run(&self) -> Result<(), FolderError> {
        match self {
            Self::Write(path, bytes) => {
                let written = File::create(path).and_then(|mut file| {
                    file.write_all(bytes)?;
                    // Before its rename: a power cut might keep the name, and lose what is in the file.
                    file.sync_all()
                });
                written.map_err(|error| {
                    // A full disk has better uses for half a file.
                    let _ = fs::remove_file(path);
                    FolderError::Unwritable(path.clone(), error)
                })
            }
            Self::Rename(from, to) => {
                fs::rename(from, to).map_err(|error| FolderError::Unwritable(to.clone(), error))
            }
            Self::Remove(path) => {
                // The change is done: what stays takes room only until the next.
                let _ = fs::remove_file(path);
                Ok(())
            }
        }
    }
}
