//! What instances have counted, in a folder that they share.
//!
//! Every instance has a file there, written beside its place and renamed: whoever reads meets whole files only. It does so
//! right behind an answer and not before, since nobody should wait for that: a count is there a moment after the answer.
//! An instance goes on from the file that it finds, so that counts outlive a server where the folder does.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use fogline_edge::metrics::Counts;

use crate::fault::{Fault, complain, hinted};

/// Wasmtime numbers instances from 0, and makes one where all others are busy. The number comes round, so that a server whose
/// instances are not used again does not make as many files as it has requests.
const MOST_FILES: u64 = 256;

/// A file holds something else than counts.
pub const METRICS_DAMAGED: &str = "metrics_damaged";
/// The folder or a file cannot be read or written.
pub const METRICS_UNUSABLE: &str = "metrics_unusable";

/// An instance's counts.
pub struct Counted {
    counts: Counts,
    file: Option<PathBuf>,
    is_written: bool,
}

impl Counted {
    /// Kept in this folder, made where there is none; or nowhere.
    pub fn in_folder(folder: Option<&Path>) -> Result<Self, Fault> {
        let Some(folder) = folder else {
            return Ok(Self { counts: Counts::default(), file: None, is_written: true });
        };
        fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
        let number = env::var("INSTANCE_ID").ok().and_then(|id| id.parse::<u64>().ok());
        let number = number.unwrap_or_default() % MOST_FILES;
        let file = folder.join(format!("{number:03}.json"));
        let before = if file.exists() { read(&file) } else { Ok(Counts::default()) };
        // What a power cut left of the file is no reason to answer nobody.
        let counts = before.unwrap_or_else(|fault| {
            complain(&fault);
            Counts::default()
        });
        Ok(Self { counts, file: Some(file), is_written: true })
    }

    /// Counts.
    pub fn add(&mut self, count: impl FnOnce(&mut Counts)) {
        count(&mut self.counts);
        self.is_written = false;
    }

    /// Writes down what has been counted. A disk that is full costs counts, and no answers.
    pub fn write(&mut self) {
        let Some(file) = self.file.as_ref().filter(|_| !self.is_written) else { return };
        self.is_written = true;
        let new = file.with_extension("new");
        let text = serde_json::to_vec(&self.counts).expect("plain data always has a JSON form");
        if let Err(error) = fs::write(&new, text).and_then(|()| fs::rename(&new, file)) {
            complain(&unusable(file, &error));
        }
    }
}

/// What all instances have counted.
pub fn sum(folder: &Path) -> Result<Counts, Fault> {
    let mut sum = Counts::default();
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        // No instance has been asked for anything yet.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(sum),
        Err(error) => return Err(unusable(folder, &error)),
    };
    for file in files {
        let path = file.map_err(|error| unusable(folder, &error))?.path();
        if path.extension().is_some_and(|is| is == "json") {
            sum.add(&read(&path)?);
        }
    }
    Ok(sum)
}

fn read(file: &Path) -> Result<Counts, Fault> {
    let bytes = fs::read(file).map_err(|error| unusable(file, &error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("it holds no counts, remove it: {error}");
        Fault::new(METRICS_DAMAGED, message).of(file)
    })
}

fn unusable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(METRICS_UNUSABLE, hinted(error)).of(path)
}
