//! What instances have counted, in a folder that they share.
//!
//! Every instance has a file there, and writes over it right behind an answer, not before, since nobody should wait for that:
//! a count is there a moment after the answer. It is one write to a file that stays open: a new file, renamed, takes five
//! ways from the sandbox to the disk, and half a millisecond. The file begins with the SHA-256 of what it says, so that whoever
//! meets one half written knows, and reads it once more.
//! An instance goes on from the file that it finds, so that counts outlive a server where the folder does.

use std::env;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use fogline::manifest::sha256_hex;
use fogline_edge::device::metrics::Metrics;

use crate::component::fault::{Fault, complain, hinted};

/// Wasmtime numbers instances from 0, and makes one where all others are busy. The number comes round, so that a server whose
/// instances are not used again does not make as many files as it has requests.
const MOST_FILES: u64 = 256;

/// A file holds something else than counts.
pub const METRICS_DAMAGED: &str = "metrics_damaged";
/// The folder or a file cannot be read or written.
pub const METRICS_UNUSABLE: &str = "metrics_unusable";

/// What the files' names end in.
const ENDING: &str = "counts";

/// How often a file is read that holds no counts: its instance may be writing.
const TRIES: u32 = 5;

/// An instance's counts.
pub struct Counted {
    counts: Metrics,
    file: Option<(PathBuf, File)>,
    /// Bytes that the file has: a shorter text is filled up to them.
    length: usize,
    is_written: bool,
}

impl Counted {
    /// Kept in this folder, made where there is none; or nowhere.
    pub fn in_folder(folder: Option<&Path>) -> Result<Self, Fault> {
        let Some(folder) = folder else {
            return Ok(Self {
                counts: Metrics::default(),
                file: None,
                length: 0,
                is_written: true,
            });
        };
        fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
        let number = env::var("INSTANCE_ID").ok().and_then(|id| id.parse::<u64>().ok());
        let number = number.unwrap_or_default() % MOST_FILES;
        let file = folder.join(format!("{number:03}.{ENDING}"));
        let before = if file.exists() { read(&file) } else { Ok(Metrics::default()) };
        // What a power cut left of the file is no reason to answer nobody.
        let counts = before.unwrap_or_else(|fault| {
            complain(&fault);
            Metrics::default()
        });
        let open = File::options().write(true).create(true).truncate(false).open(&file);
        let open = open.and_then(|open| Ok((open.metadata()?.len() as usize, open)));
        let (length, open) = open.map_err(|error| unusable(&file, &error))?;
        Ok(Self { counts, file: Some((file, open)), length, is_written: true })
    }

    /// Counts.
    pub fn add(&mut self, count: impl FnOnce(&mut Metrics)) {
        count(&mut self.counts);
        self.is_written = false;
    }

    /// Writes down what has been counted. A disk that is full costs counts, and no answers.
    pub fn write(&mut self) {
        let Some((path, file)) = self.file.as_mut().filter(|_| !self.is_written) else { return };
        self.is_written = true;
        let json = serde_json::to_vec(&self.counts).expect("plain data always has a JSON form");
        let mut text = [sha256_hex(&json).into_bytes(), json].join(&b'\n');
        self.length = self.length.max(text.len());
        text.resize(self.length, b' ');
        if let Err(error) = file.rewind().and_then(|()| file.write_all(&text)) {
            complain(&unusable(path, &error));
        }
    }
}

/// What all instances have counted.
pub fn sum(folder: &Path) -> Result<Metrics, Fault> {
    let mut sum = Metrics::default();
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        // No instance has been asked for anything yet.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(sum),
        Err(error) => return Err(unusable(folder, &error)),
    };
    for file in files {
        let path = file.map_err(|error| unusable(folder, &error))?.path();
        if path.extension().is_some_and(|is| is == ENDING) {
            sum.add(&read(&path)?);
        }
    }
    Ok(sum)
}

fn read(file: &Path) -> Result<Metrics, Fault> {
    for _ in 0..TRIES {
        let text = fs::read(file).map_err(|error| unusable(file, &error))?;
        if let Some(counts) = parse(&text) {
            return Ok(counts);
        }
    }
    Err(Fault::new(METRICS_DAMAGED, "it holds no counts, remove it").of(file))
}

/// The counts of a file that is whole; one that nobody has written yet holds none.
fn parse(text: &[u8]) -> Option<Metrics> {
    if text.is_empty() {
        return Some(Metrics::default());
    }
    let (digest, json) = text.trim_ascii_end().split_at_checked(65)?;
    let is_whole = digest.strip_suffix(b"\n")? == sha256_hex(json).as_bytes();
    is_whole.then(|| serde_json::from_slice(json).ok())?
}

fn unusable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(METRICS_UNUSABLE, hinted(error)).of(path)
}
