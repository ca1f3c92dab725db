//! Hard samples whose question the cloud should have answered and did not: kept on disk until it does.
//!
//! A spool is a folder with a file a sample: the name of its picture and its frame, under a digest. A file is
//! written beside its place and renamed, so that a run that ends in the middle leaves no half of one. Nothing is
//! flushed to the disk for a sample's sake: what a power cut takes of a file shows by its digest. The folder is
//! bounded; where a frame does not fit any more, the oldest make room, and are counted.
//!
//! [`Spool::oldest`] reads what the cloud can be asked now, [`settle()`] asks, and [`Spool::settled`] takes out what
//! has been handed on: in this order, so that an answer may come twice after a crash, and is never lost by it.
//! Frames of other pairs stay for their own edge; damaged files are put aside as `NAME.damaged`. Nobody else may
//! settle the same folder meanwhile, or both hand on the same answers.
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

/// A file takes whole blocks of a disk, and is counted so.
const BLOCK: u64 = 4096;
/// The endings of a frame, of one that is being written, and of one that is damaged.
const FRAME: &str = "frame";
const NEW: &str = "new";
const DAMAGED: &str = "damaged";
/// What became of frames since the spool was opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Those that an earlier run had left.
    pub found: u64,
    /// Those that were added.
    pub spooled: u64,
    /// Those that the cloud has answered.
    pub settled: u64,
    /// Those that made room for newer ones.
    pub dropped: u64,
    /// Those that were altered or cut off, and put aside.
    pub damaged: u64,
    /// Those that somebody else took out.
    pub gone: u64,
    /// Those that are there.
    pub left: u64,
    /// Those of them that are not this pair's, as far as anybody looked.
    pub foreign: u64,
    /// Those that could not be written, and are in none of the other numbers.
    pub unwritten: u64,
}

/// A sample that waits for the cloud.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it is called.
    pub name: Name,
    /// What its picture is called.
    pub picture: String,
    map: Vec<u8>,
}

struct Held {
    bytes: u64,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// To be asked about, as far as anybody knows.
    Waiting,
    /// Of another pair.
    Foreign,
    /// The disk neither gives it nor lets it go, this time.
    Stuck,
}

/// A folder of frames.
pub struct Spool {
    folder: PathBuf,
    most: u64,
    held: BTreeMap<Name, Held>,
    bytes: u64,
    next: u64,
    counts: Balance,
}

impl Spool {
    /// Opens a folder, and makes it where there is none. It may take `most` bytes of a disk.
    ///
    /// # Errors
    /// When it cannot be made or listed.
    pub fn create(folder: &Path, most: u64) -> Result<Self, SpoolError> {
        let made = fs::create_dir_all(folder);
        made.map_err(|error| SpoolError::Unwritable(folder.to_owned(), error))?;
        Self::open(folder, most)
    }

    /// Opens a folder that is there.
    ///
    /// # Errors
    /// When it cannot be listed.
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
                // A run ended while it was written.
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

    /// Keeps a request of one sample, from a picture of this name. The oldest make room where there is none.
    ///
    /// # Errors
    /// When it cannot be written.
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

    /// Takes a sample out whose answer has been handed on.
    ///
    /// # Errors
    /// When its file cannot be removed: another run will settle it again.
    pub fn settled(&mut self, name: Name) -> Result<(), SpoolError> {
        self.counts.settled += u64::from(self.remove(name)?);
        Ok(())
    }

    /// Removes a file; whether it was still there.
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

    /// The oldest `most` samples that this pair's cloud can be asked about, and what came to light on the way.
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
                Ok(_) => troubles.push(self.put_aside(name, "its map is not of the pair's split")),
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

    /// Renames a damaged file, for somebody to look at: it is a frame no more.
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

    /// How many made room for newer ones so far.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped
    }

    /// What became of frames so far.
    pub fn counts(&self) -> Balance {
        let foreign = self.held.values().filter(|held| held.state == State::Foreign).count();
        Balance { left: self.held.len() as u64, foreign: foreign as u64, ..self.counts }
    }
}
