//! What instances have counted, in a folder that they share.
//!
//! Every [`Slot`] has a file there, which whoever holds the slot adds to right behind an answer, not before, since nobody
//! should wait for that: a count is there a moment after the answer. It is one write to a file that stays where it is: a new
//! file, renamed, takes five ways from the sandbox to the disk, and half a millisecond. The file begins with the SHA-256 of
//! what it says, so that whoever meets one half written knows, and reads it once more.
//! Counts outlive a server where the folder does. A file that was damaged, by a power cut say, costs what it held, and is counted.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::Path;

use fogline::manifest::sha256_hex;
use fogline_edge::device::metrics::Metrics;

use super::Options;
use super::slot::Slot;
use crate::component::fault::{Fault, complain, hinted};

/// The folder or a file cannot be read or written.
pub const METRICS_UNUSABLE: &str = "metrics_unusable";

/// What the files' names end in.
const ENDING: &str = "counts";

/// How often a file is read that holds no counts: somebody may be writing it.
const TRIES: u32 = 5;

thread_local! {
    /// What the instance has counted and not yet written down.
    static COUNTS: RefCell<Metrics> = RefCell::default();
}

/// Counts.
pub fn count(add: impl FnOnce(&mut Metrics)) {
    COUNTS.with_borrow_mut(add);
}

/// Writes down what has been counted: by the slot of whoever worked, else by one of those that are for this alone. Where all
/// of them are taken, it is written down with what comes next. A disk that is full costs counts, and no answers.
pub fn write(options: &Options, slot: Option<Slot>) {
    let Some(folder) = &options.metrics else { return };
    let counts = COUNTS.take();
    if counts == Metrics::default() {
        return;
    }
    let spare = || options.slot(2 * options.max_work..3 * options.max_work);
    match slot.map_or_else(spare, |slot| Ok(Some(slot))) {
        Ok(Some(slot)) => {
            let path = folder.join(format!("{:03}.{ENDING}", slot.number()));
            add(&path, &counts).unwrap_or_else(|error| complain(&unusable(&path, &error)));
        }
        Ok(None) => COUNTS.set(counts),
        Err(fault) => complain(&fault),
    }
}

/// Adds to a file that nobody else writes.
fn add(path: &Path, counts: &Metrics) -> io::Result<()> {
    let mut file =
        File::options().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut text = vec![];
    file.read_to_end(&mut text)?;
    let mut sum = parse(&text).unwrap_or_else(|| damaged(path));
    sum.add(counts);
    let json = serde_json::to_vec(&sum).expect("plain data always has a JSON form");
    let length = text.len();
    text = [sha256_hex(&json).into_bytes(), json].join(&b'\n');
    // A shorter text is filled up, so that one write does.
    text.resize(length.max(text.len()), b' ');
    file.rewind()?;
    file.write_all(&text)
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
    Ok(damaged(file))
}

/// What is known of the counts of a damaged file: that there is one.
fn damaged(file: &Path) -> Metrics {
    complain(&Fault::new("metrics_damaged", "it holds no counts, and is left out").of(file));
    Metrics { damaged: 1, ..Metrics::default() }
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

pub fn unusable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(METRICS_UNUSABLE, hinted(error)).of(path)
}
