//! The metrics of all instances, in a folder that they share.
//!
//! Every [`Slot`] has a file there. The slot's holder adds to it right after its answer, not before, so that no client waits
//! for it: a count appears a moment after the answer. It takes one write to the existing file. A new file and a rename would
//! take five calls through the sandbox, and half a millisecond. The file begins with the SHA-256 of the rest, so that a reader
//! notices a half-written file and reads it again.
//! Counts survive a server if the folder does. A damaged file, after a power cut for example, loses its counts, and is
//! itself counted.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, Write as _};
use std::path::Path;

use fogline::manifest::sha256_hex;
use fogline_edge::device::metrics::Metrics;

use super::Options;
use super::slot::Slot;
use crate::component::fault::{Fault, complain, hinted};

/// The error code if the folder or a file in it cannot be read or written.
pub const METRICS_UNUSABLE: &str = "metrics_unusable";

/// The file name extension of metrics.
const ENDING: &str = "counts";

/// How often an unreadable file is read before it counts as damaged: somebody may be writing it.
const TRIES: u32 = 5;

thread_local! {
    /// What the instance has counted but not yet written.
    static COUNTS: RefCell<Metrics> = RefCell::default();
}

/// Applies `add` to the counts that the instance has not yet written.
pub fn count(add: impl FnOnce(&mut Metrics)) {
    COUNTS.with_borrow_mut(add);
}

/// Writes what was counted to the file of `slot`, or to that of a slot reserved for this. If all of those are taken, it is
/// written with the next counts. A full disk loses counts, but no answers.
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

/// Adds counts to a file that nobody else writes.
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
    // A shorter text is padded, so that a single write replaces the whole file.
    text.resize(length.max(text.len()), b' ');
    file.rewind()?;
    file.write_all(&text)
}

/// The sum of all instances' metrics.
pub fn sum(folder: &Path) -> Result<Metrics, Fault> {
    let mut sum = Metrics::default();
    let files = match fs::read_dir(folder) {
        Ok(files) => files,
        // No instance has handled a request yet.
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

/// The metrics in a file, read again if it is being written.
fn read(file: &Path) -> Result<Metrics, Fault> {
    for _ in 0..TRIES {
        let text = fs::read(file).map_err(|error| unusable(file, &error))?;
        if let Some(counts) = parse(&text) {
            return Ok(counts);
        }
    }
    Ok(damaged(file))
}

/// The metrics of a damaged file: just that it is damaged.
fn damaged(file: &Path) -> Metrics {
    complain(&Fault::new("metrics_damaged", "damaged, so its counts are lost").of(file));
    Metrics { damaged: 1, ..Metrics::default() }
}

/// The metrics in an intact file; an empty file, which nobody has written to yet, has none.
fn parse(text: &[u8]) -> Option<Metrics> {
    if text.is_empty() {
        return Some(Metrics::default());
    }
    let (digest, json) = text.trim_ascii_end().split_at_checked(65)?;
    let is_whole = digest.strip_suffix(b"\n")? == sha256_hex(json).as_bytes();
    is_whole.then(|| serde_json::from_slice(json).ok())?
}

/// The error for a folder or file of metrics that cannot be used.
pub fn unusable(path: &Path, error: &io::Error) -> Fault {
    Fault::new(METRICS_UNUSABLE, hinted(error)).of(path)
}
