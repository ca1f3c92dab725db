//! Hard samples that the cloud should have answered but did not, kept on disk until it does.
//!
//! A spool is a folder with one file per sample: the picture's name and the frame, with their SHA-256. Each file is
//! written under another name and then renamed, so that an interrupted run leaves no half-written file. Files are not
//! flushed to disk one by one: after a power cut, the digest shows which are damaged. The folder's size is limited; when
//! it is full, the oldest frames are dropped and counted.
//!
//! [`Spool::oldest`] reads the samples to ask about, [`settle()`] asks the cloud, and [`Spool::settled`] removes those
//! whose answers were passed on. In this order a crash may repeat an answer, but never loses one. Frames of other pairs
//! stay for their own edge; damaged files are renamed to `NAME.damaged`. Only one process may settle a folder at a time:
//! two would pass on the same answers.
//!
//! At every moment, found + spooled = settled + dropped + damaged + gone + left.

mod entry;
mod error;
mod name;
mod settle;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::ops::Bound;
use std::path::{Path, PathBuf};

use fogline::frame::Request;
use serde::Serialize;

use crate::session::Session;
use entry::{Entry, Unread};
pub use error::SpoolError;
pub use name::Name;
pub use settle::{LateAnswer, Settled, settle};

/// The file size is rounded up to this block size of the disk, in bytes.
const BLOCK: u64 = 4096;
/// The extensions of a frame, of one that is being written, and of a damaged one.
const FRAME: &str = "frame";
const NEW: &str = "new";
const DAMAGED: &str = "damaged";
/// The numbers of frames since the spool was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Frames that an earlier run left.
    pub found: u64,
    /// Frames added by this run.
    pub spooled: u64,
    /// Frames answered by the cloud and removed.
    pub settled: u64,
    /// Frames dropped to make room for newer ones.
    pub dropped: u64,
    /// Frames that were altered or truncated, and renamed.
    pub damaged: u64,
    /// Frames removed by another process.
    pub gone: u64,
    /// Frames still in the spool.
    pub left: u64,
    /// Frames among those left that were found to be of another pair so far.
    pub foreign: u64,
    /// Frames that could not be written; these are in no other number.
    pub unwritten: u64,
}

/// A sample that waits for the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// The sample's name in the spool.
    pub name: Name,
    /// The name of its picture.
    pub picture: String,
    map: Vec<u8>,
}

struct Held {
    bytes: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To ask about, as far as is known.
    Waiting,
    /// Of another pair.
    Foreign,
    /// Its file can neither be read nor renamed at present.
    Stuck,
}

/// A folder with one frame per sample that waits for the cloud.
pub struct Spool {
    folder: PathBuf,
    most: u64,
    held: BTreeMap<Name, Held>,
    bytes: u64,
    next: u64,
    counts: Balance,
}

impl Spool {
    /// Opens a folder and creates it if it does not exist. It may take up to `most` bytes of the disk.
    ///
    /// # Errors
    /// If the folder cannot be created or listed.
    pub fn create(folder: &Path, most: u64) -> Result<Self, SpoolError> {
        let made = fs::create_dir_all(folder);
        made.map_err(|error| SpoolError::Unwritable(folder.to_owned(), error))?;
        Self::open(folder, most)
    }

    /// Opens an existing folder.
    ///
    /// # Errors
    /// If the folder cannot be listed.
    pub fn open(folder: &Path, most: u64) -> Result<Self, SpoolError> {
        let mut spool = Self {
            folder: folder.to_owned(),
            most,
            held: BTreeMap::new(),
            bytes: 0,
            next: 0,
            counts: Balance::default(),
        };
        let unreadable = |error| SpoolError::Unreadable(folder.to_owned(), error);
        for file in fs::read_dir(folder).map_err(unreadable)? {
            let file = file.map_err(unreadable)?;
            let path = file.path();
            let part = |part: Option<&OsStr>| part?.to_str().map(str::to_owned);
            let Some(name) = part(path.file_stem()).and_then(|stem| Name::parse(&stem)) else {
                continue;
            };
            match part(path.extension()).as_deref() {
                Some(FRAME) => spool.hold(name, file.metadata().map_err(unreadable)?.len()),
                // A run was interrupted while it wrote this file.
                Some(NEW) => drop(fs::remove_file(path)),
                _ => spool.next = spool.next.max(name.sequence + 1),
            }
        }
        spool.counts.found = spool.held.len() as u64;
        Ok(spool)
    }

    fn hold(&mut self, name: Name, length: u64) {
        let bytes = length.next_multiple_of(BLOCK);
        self.held.insert(name, Held { bytes, state: State::Waiting });
        self.bytes += bytes;
        self.next = self.next.max(name.sequence + 1);
    }

    fn file(&self, name: Name, ending: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ending}"))
    }

    /// Keeps a request of one sample, from the picture of this name. Drops the oldest frames if the folder is full.
    ///
    /// # Errors
    /// If the request cannot be written.
    pub fn keep(&mut self, picture: &str, request: &Request) -> Result<Name, SpoolError> {
        let kept = self.write(picture, request);
        match kept {
            Ok(_) => self.counts.spooled += 1,
            Err(_) => self.counts.unwritten += 1,
        }
        kept
    }

    fn write(&mut self, picture: &str, request: &Request) -> Result<Name, SpoolError> {
        let file = entry::write(picture, request).map_err(SpoolError::Frame)?;
        let bytes = (file.len() as u64).next_multiple_of(BLOCK);
        if bytes > self.most {
            return Err(SpoolError::TooSmall(self.folder.clone(), self.most));
        }
        while self.bytes + bytes > self.most {
            let Some((&oldest, _)) = self.held.first_key_value() else { break };
            let there = self.remove(oldest)?;
            self.counts.dropped += u64::from(there);
        }
        let [a, b, c, d, ..] = request.request_id;
        let name = Name { sequence: self.next, tag: u32::from_be_bytes([a, b, c, d]) };
        let (new, path) = (self.file(name, NEW), self.file(name, FRAME));
        let written = fs::write(&new, &file).and_then(|()| fs::rename(&new, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&new);
            return Err(SpoolError::Unwritable(path, error));
        }
        self.hold(name, file.len() as u64);
        Ok(name)
    }

    /// Removes a sample whose answer was passed on.
    ///
    /// # Errors
    /// If its file cannot be removed: another run will then settle it again.
    pub fn settled(&mut self, name: Name) -> Result<(), SpoolError> {
        self.counts.settled += u64::from(self.remove(name)?);
        Ok(())
    }

    /// Removes a file. Returns whether it still existed.
    fn remove(&mut self, name: Name) -> Result<bool, SpoolError> {
        let path = self.file(name, FRAME);
        let there = match fs::remove_file(&path) {
            Ok(()) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => {
                self.mark(name, State::Stuck);
                return Err(SpoolError::Unwritable(path, error));
            }
        };
        self.release(name);
        self.counts.gone += u64::from(!there);
        Ok(there)
    }

    fn release(&mut self, name: Name) {
        self.bytes -= self.held.remove(&name).map_or(0, |held| held.bytes);
    }

    fn mark(&mut self, name: Name, state: State) {
        if let Some(held) = self.held.get_mut(&name) {
            held.state = state;
        }
    }

    /// The oldest `most` samples that this pair's cloud can answer, and the errors encountered.
    pub fn oldest(&mut self, session: &Session, most: usize) -> (Vec<Waiting>, Vec<SpoolError>) {
        let (mut waiting, mut troubles) = (vec![], vec![]);
        let (pair, split) = (session.manifest().pair_digest(), &session.manifest().split);
        let mut after = Bound::Unbounded;
        while waiting.len() < most {
            let mut rest = self.held.range((after, Bound::Unbounded));
            let next = rest.find(|(_, held)| held.state == State::Waiting);
            let Some((&name, _)) = next else { break };
            after = Bound::Excluded(name);
            let path = self.file(name, FRAME);
            match Entry::read(&path) {
                Ok(entry) if entry.pair != pair => self.mark(name, State::Foreign),
                Ok(Entry { picture, tensor, .. })
                    if (tensor.shape, tensor.bits) == (split.shape, split.bits) =>
                {
                    waiting.push(Waiting { name, picture, map: tensor.bytes });
                }
                Ok(_) => troubles.push(self.put_aside(name, "its map does not match the split")),
                Err(Unread::Damaged(why)) => troubles.push(self.put_aside(name, why)),
                Err(Unread::Io(error)) if error.kind() == ErrorKind::NotFound => {
                    self.release(name);
                    self.counts.gone += 1;
                }
                Err(Unread::Io(error)) => {
                    self.mark(name, State::Stuck);
                    troubles.push(SpoolError::Unreadable(path, error));
                }
            }
        }
        (waiting, troubles)
    }

    /// Renames a damaged file so that somebody can examine it; it no longer counts as a frame.
    fn put_aside(&mut self, name: Name, why: &'static str) -> SpoolError {
        let (path, aside) = (self.file(name, FRAME), self.file(name, DAMAGED));
        if let Err(error) = fs::rename(&path, aside) {
            self.mark(name, State::Stuck);
            return SpoolError::Unwritable(path, error);
        }
        self.release(name);
        self.counts.damaged += 1;
        SpoolError::Damaged(path, why)
    }

    /// The number of frames dropped for newer ones so far.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped
    }

    /// The numbers of frames so far.
    pub fn counts(&self) -> Balance {
        let foreign = self.held.values().filter(|held| held.state == State::Foreign).count();
        Balance { left: self.held.len() as u64, foreign: foreign as u64, ..self.counts }
    }
}
