//! A folder that fills up.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use fogline_edge::device::source;
use wstd::task::sleep;

use super::feed::Frame;
use crate::component::fault::{Fault, complain, hinted};
use crate::component::pair;

/// What is known of a file: its size, its time, and whether it was taken.
type Known = (u64, Option<SystemTime>, bool);

/// The pictures that come into a folder. A file is taken once it has not changed between two looks at the folder, and again if it
/// changes later. Takes memory for the names that are in the folder.
pub struct Folder {
    path: PathBuf,
    interval: Duration,
    /// Whether the next look at the folder takes nothing, since its files were there before.
    skips: bool,
    known: BTreeMap<PathBuf, Known>,
    ready: VecDeque<PathBuf>,
}

impl Folder {
    pub fn new(path: &Path, interval: Duration, existing: bool) -> Self {
        let (known, ready) = (BTreeMap::new(), VecDeque::new());
        Self { path: path.to_owned(), interval, skips: !existing, known, ready }
    }

    /// The next picture, or `None` after a look at a folder without one.
    pub async fn next(&mut self) -> Result<Option<Frame>, Fault> {
        while let Some(path) = self.ready.pop_front() {
            match pair::read(&path) {
                Ok(file) => return Ok(Some(Frame { file, picture: path.display().to_string() })),
                // One file says nothing about the others.
                Err(fault) => complain(&fault.of(&path)),
            }
        }
        self.look()?;
        if self.ready.is_empty() {
            sleep(self.interval.into()).await;
        }
        Ok(None)
    }

    fn look(&mut self) -> Result<(), Fault> {
        if let Err(error) = std::fs::read_dir(&self.path) {
            return Err(Fault::new("source_folder", hinted(&error)).of(&self.path));
        }
        let before = std::mem::take(&mut self.known);
        for path in source::pictures(std::slice::from_ref(&self.path)).pictures {
            let Ok(file) = std::fs::metadata(&path) else { continue };
            let (size, time) = (file.len(), file.modified().ok());
            let taken = match before.get(&path) {
                _ if self.skips => true,
                Some(&(old, then, taken)) if (old, then) == (size, time) => {
                    if !taken {
                        self.ready.push_back(path.clone());
                    }
                    true
                }
                _ => false,
            };
            self.known.insert(path, (size, time, taken));
        }
        self.skips = false;
        Ok(())
    }
}
