//! The requests in progress, over all instances of a server: one file each, in the folder that they share.
//!
//! Wasmtime limits connections, but an instance keeps working after its client has left: clients that come and go could start
//! any number of instances. Instances share no memory, and WASI has no locks, but only one of them can create a file with a
//! given name. Such a file is a slot, and the number of slots is limited. Only a slot's holder may work, and write the slot's metrics.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::counted::unusable;
use crate::component::fault::Fault;

/// The slots' own folder, in that of the metrics: listing a folder fails if a file disappears meanwhile.
const FOLDER: &str = "work";

/// A slot, which is free again when this is dropped.
pub struct Slot {
    number: u32,
    file: PathBuf,
}

impl Slot {
    /// Takes a free slot with one of these numbers, if there is one. A slot whose file is older than `longest` counts as free:
    /// its holder has trapped, or was killed with its server.
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

    /// How many of these slots are taken.
    pub fn taken(folder: &Path, numbers: Range<u32>, longest: Duration) -> usize {
        let files = numbers.map(|number| path(folder, number));
        files.filter(|file| file.exists() && !is_left(file, longest)).count()
    }

    /// The number of the slot, which names its files.
    pub fn number(&self) -> u32 {
        self.number
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        // A file that cannot be removed counts as abandoned after a while.
        let _ = fs::remove_file(&self.file);
    }
}

/// Creates the folder of slots, and its parent, if they do not exist.
pub fn make_folder(folder: &Path) -> Result<(), Fault> {
    fs::create_dir_all(folder.join(FOLDER)).map_err(|error| unusable(folder, &error))
}

fn path(folder: &Path, number: u32) -> PathBuf {
    folder.join(FOLDER).join(format!("{number:03}"))
}

/// Whether a slot's holder is gone: its file is older than `longest`.
fn is_left(file: &Path, longest: Duration) -> bool {
    let made = fs::metadata(file).and_then(|file| file.modified());
    let age = made.ok().and_then(|made| SystemTime::now().duration_since(made).ok());
    age.is_some_and(|age| age > longest)
}
