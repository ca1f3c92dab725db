//! Who is at work, over all instances of a server: a file for each, in the folder that they share.
//!
//! Wasmtime counts connections, and lets an instance go on whose client has left: clients that come and go make instances
//! without end. Instances have no memory in common, and WASI has no locks, but a file that must be new is made by one alone.
//! Such a file is a slot, and there are so many of them. Whoever holds one works, and is the only one to write the slot's counts.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::counted::unusable;
use crate::component::fault::Fault;

/// Their folder in that of the counts: whoever lists a folder fails where a file goes meanwhile.
const FOLDER: &str = "work";

/// A place among those at work, free again when this is dropped.
pub struct Slot {
    number: u32,
    file: PathBuf,
}

impl Slot {
    /// A free one of these, if there is one. One whose file is older than `longest` is free as well: whoever had it has
    /// trapped, or was killed with its server.
    pub fn take(
        folder: &Path,
        numbers: Range<u32>,
        longest: Duration,
    ) -> Result<Option<Self>, Fault> {
        for number in numbers {
            let file = path(folder, number);
            let mut made = File::create_new(&file);
            if made.is_err() && is_left(&file, longest) {
                let _ = fs::remove_file(&file);
                made = File::create_new(&file);
            }
            match made {
                Ok(_) => return Ok(Some(Self { number, file })),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(unusable(&file, &error)),
            }
        }
        Ok(None)
    }

    /// How many of these are taken.
    pub fn taken(folder: &Path, numbers: Range<u32>, longest: Duration) -> usize {
        let files = numbers.map(|number| path(folder, number));
        files.filter(|file| file.exists() && !is_left(file, longest)).count()
    }

    /// Its number.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // One that stays is taken for left after a while.
        let _ = fs::remove_file(&self.file);
    }
}

/// Makes the folder of slots, and the one around it, where there is none.
pub fn make_folder(folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder.join(FOLDER)).map_err(|error| unusable(folder, &error))
}

fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(FOLDER).join(format!("{number:03}"))
}

fn is_left(file: &Path, longest: Duration) -> bool {
    let made = fs::metadata(file).and_then(|file| file.modified());
    let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
    age.is_some_and(|age| age > longest)
}
