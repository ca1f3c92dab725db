//! Errors of a spool.

use core::fmt;
use std::io;
use std::path::{Path, PathBuf};

use fogline::frame::FrameError;

use super::DAMAGED;

/// What is wrong with a spool, or with a file in it.
#[derive(Debug)]
#[non_exhaustive]
pub enum SpoolError {
    /// The folder cannot be listed, or a file in it cannot be read.
    Unreadable(PathBuf, io::Error),
    /// A file cannot be written, renamed or removed.
    Unwritable(PathBuf, io::Error),
    /// A file was altered or truncated.
    Damaged(PathBuf, &'static str),
    /// The spool's size limit, in bytes, is smaller than one frame.
    TooSmall(PathBuf, u64),
    /// The request cannot be encoded as a frame.
    Frame(FrameError),
}

impl SpoolError {
    /// The stable error code, such as `spool_damaged`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unreadable(..) => "spool_unreadable",
            Self::Unwritable(..) => "spool_unwritable",
            Self::Damaged(..) => "spool_damaged",
            Self::TooSmall(..) => "spool_too_small",
            Self::Frame(error) => error.word(),
        }
    }

    /// The file or folder that the error is about, if there is one.
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
                write!(f, "damaged ({why}), and renamed to end in .{DAMAGED}")
            }
            Self::TooSmall(_, most) => {
                write!(f, "the limit of {most} bytes is smaller than one frame")
            }
            Self::Frame(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for SpoolError {}
