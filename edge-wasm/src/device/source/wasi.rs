//! A folder's names by WASI itself: `read_dir` stops at the first name that is not UTF-8.

use std::ffi::OsString;
use std::path::Path;

use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{DescriptorFlags, DescriptorType, ErrorCode, OpenFlags, PathFlags};

/// The names that are UTF-8, each with whether it is a folder. `None` if the folder cannot be opened.
pub fn entries(folder: &Path) -> Option<Vec<(OsString, bool)>> {
    let given = get_directories();
    let within = given.iter().filter_map(|(directory, at)| {
        let below = match at.as_str() {
            "." | "" => folder.is_relative().then_some(folder),
            at => folder.strip_prefix(at).ok(),
        };
        Some((directory, below?.to_str()?))
    });
    // If one given folder is inside another, the inner one.
    let (directory, below) = within.min_by_key(|(_, below)| below.len())?;
    let below = if below.is_empty() { "." } else { below };
    let (flags, read) = (OpenFlags::DIRECTORY, DescriptorFlags::READ);
    let opened = directory.open_at(PathFlags::SYMLINK_FOLLOW, below, flags, read).ok()?;
    let stream = opened.read_directory().ok()?;
    let mut entries = vec![];
    loop {
        match stream.read_directory_entry() {
            Ok(Some(entry)) => {
                entries.push((entry.name.into(), entry.type_ == DescriptorType::Directory));
            }
            Err(ErrorCode::IllegalByteSequence) => {}
            Ok(None) | Err(_) => return Some(entries),
        }
    }
}
