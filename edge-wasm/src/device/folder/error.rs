//! What is wrong with a pair's folder, or with a pair that should go into it.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::session::LoadError;

/// Why a pair is not loaded from a folder, or not put into it.
#[derive(Debug)]
#[non_exhaustive]
pub enum FolderError {
    /// The pair does not load.
    Load(LoadError),
    /// A file, or the folder, cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A file, or the folder, cannot be written.
    Unwritable(PathBuf, io::Error),
    /// A file has more bytes than are read.
    TooLarge(PathBuf, u64),
    /// The folder holds a newer version.
    Older {
        /// The version in the folder.
        here: String,
        /// The one that should go into it.
        new: String,
    },
    /// The folder holds a pair of another name.
    OtherPair {
        /// The name in the folder.
        here: String,
        /// The one that should go into it.
        new: String,
    },
    /// No pair was replaced, or it was put back already.
    NoPrevious(PathBuf),
}

impl FolderError {
    /// The machine word of this error.
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

    /// The file or folder, where it is about one.
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
            Self::TooLarge(_, most) => write!(f, "over {most} bytes"),
            Self::Older { here, new } => {
                write!(f, "version {new} is older than {here}, which is here")
            }
            Self::OtherPair { here, new } => {
                write!(
                    f,
                    "the folder holds '{here}', and '{new}' is another pair: give it a folder of its own"
                )
            }
            Self::NoPrevious(_) => f.write_str("no replaced pair is kept here"),
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
