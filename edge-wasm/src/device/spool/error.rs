//! What is wrong with a spool.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fogline::frame::FrameError;

use super::DAMAGED;

/// What is wrong with a spool, or with a file in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpoolError {
    /// The folder cannot be listed, or a file in it not be read.
    Unreadable(PathBuf, io::Error),
    /// Nothing can be written there, renamed or removed.
    Unwritable(PathBuf, io::Error),
    /// The file is not what was written.
    Damaged(PathBuf, &'static str),
    /// One frame is larger than the bound.
    TooSmall(PathBuf, u64),
    /// The request cannot be framed.
    Frame(FrameError),
}

impl SpoolError {
    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "spool_unreadable",
            Self::Unwritable(..) => "spool_unwritable",
            Self::Damaged(..) => "spool_damaged",
            Self::TooSmall(..) => "spool_too_small",
            Self::Frame(error) => error.word(),
        }
    }

    /// The file or folder, where it is about one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Unreadable(path, _)
            | Self::Unwritable(path, _)
            | Self::Damaged(path, _)
            | Self::TooSmall(path, _) => Some(path),
            Self::Frame(_) => None,
        }
    }
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(_, why) => write!(f, "cannot be read: {why}"),
            Self::Unwritable(_, why) => write!(f, "cannot be written: {why}"),
            Self::Damaged(_, why) => {
                write!(f, "is not what was spooled ({why}), and is put aside as .{DAMAGED}")
            }
            Self::TooSmall(_, most) => write!(f, "may hold {most} bytes, and one frame takes more"),
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SpoolError {}
