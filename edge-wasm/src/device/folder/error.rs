//! Errors of a pair's folder, and of a pair that is to be put into it.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::session::LoadError;

/// Why a pair cannot be loaded from a folder or put into it.
#[derive(Debug)]
#[non_exhaustive]
pub enum FolderError {
    /// The pair cannot be loaded.
    Load(LoadError),
    /// A file, or the folder, cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A file, or the folder, cannot be written.
    Unwritable(PathBuf, io::Error),
    /// A file is larger than the limit, given in bytes.
    TooLarge(PathBuf, u64),
    /// The folder holds a newer version.
    Older {
        /// The version in the folder.
        here: String,
        /// The version that was to replace it.
        new: String,
    },
    /// The folder holds a pair of another name.
    OtherPair {
        /// The name of the pair in the folder.
        here: String,
        /// The name of the pair that was to replace it.
        new: String,
    },
    /// The folder keeps no previous pair: none was replaced, or it was rolled back already.
    NoPrevious(PathBuf),
}

impl FolderError {
    /// The stable error code, such as `older_version`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Load(error) => error.word(),
            Self::Unreadable(..) => "file_unreadable",
            Self::Unwritable(..) => "file_unwritable",
            Self::TooLarge(..) => "file_too_large",
            Self::Older { .. } => "older_version",
            Self::OtherPair { .. } => "other_pair",
            Self::NoPrevious(_) => "no_previous",
        }
    }

    /// The file or folder that the error is about, if there is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable(path, _)
            | Self::Unwritable(path, _)
            | Self::TooLarge(path, _)
            | Self::NoPrevious(path) => Some(path),
            Self::Load(_) | Self::Older { .. } | Self::OtherPair { .. } => None,
        }
    }
}

impl fmt::Display for FolderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Load(error) => error.fmt(f),
            Self::Unreadable(_, why) => write!(f, "cannot be read: {why}"),
            Self::Unwritable(_, why) => write!(f, "cannot be written: {why}"),
            Self::TooLarge(_, most) => write!(f, "larger than {most} bytes"),
            Self::Older { here, new } => {
                write!(f, "version {new} is older than {here}, the version in the folder")
            }
            Self::OtherPair { here, new } => {
                write!(
                    f,
                    "the folder holds another pair, '{here}': use a different folder for '{new}'"
                )
            }
            Self::NoPrevious(_) => f.write_str("the folder keeps no previous pair to go back to"),
        }
    }
}

impl std::error::Error for FolderError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Load(error) => Some(error),
            Self::Unreadable(_, error) | Self::Unwritable(_, error) => Some(error),
            _ => None,
        }
    }
}

impl From<LoadError> for FolderError {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}
