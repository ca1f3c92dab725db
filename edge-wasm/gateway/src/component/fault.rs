//! What went wrong, and how anything is said.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::path::Path;

use fogline_edge::device::folder::FolderError;
use fogline_edge::device::picture::PictureError;
use fogline_edge::session::{DecisionError, LoadError};
use serde::Serialize;

/// An error with its machine word.
#[derive(Clone, Serialize)]
pub struct Fault {
    pub error: String,
    pub message: String,
}

impl Fault {
    pub fn new(error: &str, message: impl Display) -> Self {
        Self { error: error.to_owned(), message: message.to_string() }
    }

    /// The same, saying what file it is about.
    pub fn of(&self, path: &Path) -> Self {
        Self { error: self.error.clone(), message: format!("{}: {}", shown(path), self.message) }
    }
}

impl From<LoadError> for Fault {
    fn from(error: LoadError) -> Self {
        Self::new(error.word(), error)
    }
}

impl From<DecisionError> for Fault {
    fn from(error: DecisionError) -> Self {
        Self::new(error.word(), error)
    }
}

impl From<FolderError> for Fault {
    fn from(error: FolderError) -> Self {
        let fault = match &error {
            FolderError::Unreadable(_, why) | FolderError::Unwritable(_, why) => {
                Self::new(error.word(), hinted(why))
            }
            _ => Self::new(error.word(), &error),
        };
        error.path().map_or(fault.clone(), |path| fault.of(path))
    }
}

impl From<PictureError> for Fault {
    fn from(error: PictureError) -> Self {
        Self::new(error.word(), error)
    }
}

/// WASI's number for whatever it has no word for.
const EIO: i32 = 29;

/// What the system says of a file, and what it may mean here.
pub fn hinted(error: &io::Error) -> String {
    if error.raw_os_error() == Some(EIO) {
        return "it cannot be read or written: the disk failed, or it is no file".into();
    }
    let hint = match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => {
            " (wasmtime shows a component only folders given with --dir)"
        }
        _ => "",
    };
    format!("{error}{hint}")
}

/// The first line of what the host says. Under RUST_BACKTRACE=1 a backtrace of wasmtime follows, which is no client's business.
pub fn first_line(error: &impl Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// A line on standard output. `println!` would end a full disk or a closed pipe in a trap.
pub fn say(line: &str) -> Result<(), Fault> {
    writeln!(stdout(), "{line}").map_err(|error| Fault::new("output_closed", error))
}

pub fn complain(fault: &Fault) {
    let _ = writeln!(stderr(), "fogline: error[{}]: {}", fault.error, fault.message);
}

/// A line beside the answers that is no error.
pub fn note(text: &str) {
    let _ = writeln!(stderr(), "fogline: {text}");
}

/// A path that is fit for a terminal: a file's name may hold any character.
pub fn shown(path: &Path) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    path.display().to_string().chars().map(plain).collect()
}

pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always has a JSON form")
}
