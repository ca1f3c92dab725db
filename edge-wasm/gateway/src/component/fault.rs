//! Errors, and all output of the command.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write, stderr, stdout};
use std::path::Path;

use fogline_edge::device::folder::FolderError;
use fogline_edge::device::picture::PictureError;
use fogline_edge::session::{DecisionError, LoadError};
use serde::Serialize;

/// An error with its stable code.
#[derive(Clone, Serialize)]
pub struct Fault {
    /// The error code, which never changes its meaning.
    pub error: String,
    /// What was wrong, where, and what to do.
    pub message: String,
}

impl Fault {
    pub fn new(error: &str, message: impl Display) -> Self {
        Self { error: error.to_owned(), message: message.to_string() }
    }

    /// The same error, with the file that it is about.
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

/// WASI's code for errors that have no other.
const EIO: i32 = 29;

/// The system's error message for a file, with a hint if it may be about the sandbox.
pub fn hinted(error: &io::Error) -> String {
    if error.raw_os_error() == Some(EIO) {
        return "it cannot be read or written: the disk failed, or it is not a file".into();
    }
    let hint = match error.kind() {
        ErrorKind::NotFound | ErrorKind::PermissionDenied => {
            " (wasmtime gives access only to folders given with --dir)"
        }
        _ => "",
    };
    format!("{error}{hint}")
}

/// The first line of an error from the host. With RUST_BACKTRACE=1 the next lines are wasmtime's backtrace, which no client needs.
pub fn first_line(error: &impl Display) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

/// Prints a line on standard output. `println!` would trap if the disk is full or the pipe is closed.
pub fn say(line: &str) -> Result<(), Fault> {
    writeln!(stdout(), "{line}").map_err(|error| Fault::new("output_closed", error))
}

/// Prints an error on standard error: `fogline: error[CODE]: message`.
pub fn complain(fault: &Fault) {
    let _ = writeln!(stderr(), "fogline: error[{}]: {}", fault.error, fault.message);
}

/// Prints a note on standard error.
pub fn note(text: &str) {
    let _ = writeln!(stderr(), "fogline: {text}");
}

/// A path that is safe to print on a terminal: file names may contain control characters.
pub fn shown(path: &Path) -> String {
    let plain = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
    path.display().to_string().chars().map(plain).collect()
}

/// A URL, or what was meant as one, without user, password and query, in which some cameras take a password.
pub fn shown_url(text: &str) -> String {
    let (scheme, rest) = text
        .split_once("://")
        .map_or(("", text), |(_, rest)| (&text[..text.len() - rest.len()], rest));
    // A password may contain what would end the host.
    let rest = rest.rsplit_once('@').map_or(rest.to_owned(), |(_, host)| format!("…@{host}"));
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    shown(Path::new(&format!("{scheme}{rest}")))
}

/// A value as one line of JSON.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("plain data always has a JSON form")
}
