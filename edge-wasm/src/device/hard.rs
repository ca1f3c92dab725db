//! Hard pictures, kept to be corrected and trained on.
//!
//! `DIR/LABEL/TIME-TAG.jpg` is a picture that was answered LABEL, and `TIME-TAG.json` beside it one line about it. A person who
//! moves a picture to the right folder has labelled it. The folder's size and the pictures' age are limited, and the oldest are
//! removed first; files of other names are left alone. Pictures are written under a hidden name and then renamed, so that no
//! half-written file is ever trained on. Several instances may share a folder: each looks at all of it now and then.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::session::{Answer, Audit};

/// How long writing a file may take; one that is still hidden then was left by a run that was killed.
const WRITING: Duration = Duration::from_mins(1);
/// The share of the limit that is freed when it is reached, so that the folder is not listed for every picture.
const FREED: u64 = 16;

/// Where, how much and how long pictures are kept.
#[derive(Debug)]
pub struct Hard {
    folder: PathBuf,
    most: u64,
    oldest: Duration,
    /// Bytes that may still be written before the folder is looked at again.
    room: u64,
    looked: SystemTime,
    /// Pictures kept since this was opened.
    pub kept: u64,
    /// Pictures removed since then, to keep within the limits.
    pub removed: u64,
}

/// The folder, or a file in it, cannot be read or written.
#[derive(Debug)]
pub struct HardError {
    /// What it is about.
    pub path: PathBuf,
    /// Why.
    pub why: io::Error,
}

impl HardError {
    /// The stable error code.
    pub fn word(&self) -> &'static str {
        "keep_hard_unusable"
    }
}

impl fmt::Display for HardError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), self.why)
    }
}

impl std::error::Error for HardError {}

/// Whether a picture is worth keeping: it went to the cloud since no exit was sure, or the cloud contradicts the exit that was.
pub fn is_hard(answer: &Answer) -> bool {
    match answer.audit.as_deref() {
        None => answer.bytes_sent > 0,
        Some(Audit::Answered { agrees, .. }) => !agrees,
        Some(Audit::Unanswered { .. }) => false,
    }
}

/// A kept picture, of its note or of itself.
struct Kept {
    made: SystemTime,
    bytes: u64,
    path: PathBuf,
}

impl Hard {
    /// Opens a folder, and creates it if it does not exist. It takes at most `most` bytes, and keeps nothing older than `oldest`.
    ///
    /// # Errors
    /// If it cannot be created or listed.
    pub fn create(folder: &Path, most: u64, oldest: Duration) -> Result<Self, HardError> {
        fs::create_dir_all(folder).map_err(of(folder))?;
        let mut hard = Self {
            folder: folder.to_owned(),
            most,
            oldest,
            room: 0,
            looked: UNIX_EPOCH,
            kept: 0,
            removed: 0,
        };
        hard.tidy(0)?;
        Ok(hard)
    }

    /// Keeps a picture's file that was answered `label`, with a line about it. `tag` tells apart those of the same millisecond.
    /// Returns the file's name, or `None` if it is larger than the whole limit.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn keep(
        &mut self,
        file: &[u8],
        label: &str,
        note: &str,
        tag: u32,
    ) -> Result<Option<PathBuf>, HardError> {
        let bytes = (file.len() + note.len() + 1) as u64;
        if bytes > self.most {
            return Ok(None);
        }
        let old = self.looked.elapsed().is_ok_and(|age| age > self.oldest / FREED as u32);
        if bytes > self.room || old {
            self.tidy(bytes)?;
        }
        let folder = self.folder.join(folder_name(label));
        fs::create_dir_all(&folder).map_err(of(&folder))?;
        let ms = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let name = format!("{ms:013}-{tag:08x}");
        // The picture first: it is of use without its note.
        let path = write(&folder, &format!("{name}.{}", ending(file)), file)?;
        write(&folder, &format!("{name}.json"), format!("{note}\n").as_bytes())?;
        self.room = self.room.saturating_sub(bytes);
        self.kept += 1;
        Ok(Some(path))
    }

    /// Removes what is too old, and then the oldest until `coming` more bytes fit.
    fn tidy(&mut self, coming: u64) -> Result<(), HardError> {
        self.looked = SystemTime::now();
        let mut kept = vec![];
        for label in entries(&self.folder)? {
            if label.is_dir() {
                for path in entries(&label)?.into_iter().filter(|path| is_ours(path)) {
                    // One that another instance has just removed is no matter.
                    let Ok(file) = fs::metadata(&path) else { continue };
                    if !file.is_file() {
                        continue;
                    }
                    let mut made = file.modified().unwrap_or(UNIX_EPOCH);
                    let is_left = self.looked.duration_since(made).is_ok_and(|age| age > WRITING);
                    if is_left && is_hidden(&path) {
                        made = UNIX_EPOCH;
                    }
                    kept.push(Kept { made, bytes: file.len(), path });
                }
            }
        }
        kept.sort_by(|a, b| (a.made, &a.path).cmp(&(b.made, &b.path)));
        let mut bytes = kept.iter().map(|kept| kept.bytes).sum::<u64>();
        // If the limit is reached, a little more goes, so that this is done seldom.
        let most = self.most - coming;
        let aim = if bytes > most { most - most / FREED } else { most };
        for Kept { made, bytes: size, path } in kept {
            let old = self.looked.duration_since(made).is_ok_and(|age| age > self.oldest);
            if bytes <= aim && !old {
                break;
            }
            match fs::remove_file(&path) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(of(&path)(error)),
                _ => {}
            }
            bytes -= size;
            self.removed += u64::from(path.extension() != Some(OsStr::new("json")));
        }
        // Others may write meanwhile, so the folder is looked at again before it can be far beyond its limit.
        self.room = (self.most - bytes.min(self.most)).min(self.most / FREED + coming);
        Ok(())
    }
}

fn of(path: &Path) -> impl FnOnce(io::Error) -> HardError + use<> {
    let path = path.to_owned();
    move |why| HardError { path, why }
}

/// Whether a file was being written, under the name that it has until then.
fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

/// Whether a file has a name that [`Hard::keep`] gives, hidden or not: others are somebody else's.
fn is_ours(path: &Path) -> bool {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let name = name.strip_prefix('.').unwrap_or(name);
    let Some((stem, ending)) = name.split_once('.') else { return false };
    let Some((ms, tag)) = stem.split_once('-') else { return false };
    ms.len() >= 13
        && ms.bytes().all(|digit| digit.is_ascii_digit())
        && tag.len() == 8
        && tag.bytes().all(|digit| digit.is_ascii_hexdigit())
        && ["jpg", "png", "webp", "json"].contains(&ending)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, HardError> {
    let listed = fs::read_dir(folder).map_err(of(folder))?;
    listed.map(|entry| Ok(entry.map_err(of(folder))?.path())).collect()
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> Result<PathBuf, HardError> {
    let (hidden, path) = (folder.join(format!(".{name}")), folder.join(name));
    fs::write(&hidden, bytes).and_then(|()| fs::rename(&hidden, &path)).map_err(|why| {
        // A full disk leaves no half-written file.
        let _ = fs::remove_file(&hidden);
        HardError { path: path.clone(), why }
    })?;
    Ok(path)
}

/// A class's name as that of a folder, which it is in a folder of training pictures. Others are never written to.
fn folder_name(label: &str) -> String {
    let plain = |c: char| if c.is_control() || "/\\:".contains(c) { '_' } else { c };
    let name: String = label.chars().map(plain).collect();
    if name.starts_with('.') { format!("_{name}") } else { name }
}

/// The file name extension of a picture, by its first bytes.
fn ending(file: &[u8]) -> &'static str {
    match file {
        [0x89, b'P', b'N', b'G', ..] => "png",
        [b'R', b'I', b'F', b'F', ..] => "webp",
        _ => "jpg",
    }
}

#[cfg(all(test, not(target_family = "wasm")))]
mod tests {
    use super::*;
    use crate::device::source;

    const DAY: Duration = Duration::from_hours(24);

    fn bytes(folder: &Path) -> u64 {
        let labels = entries(folder).unwrap();
        let files = labels.iter().flat_map(|label| entries(label).unwrap());
        files.map(|file| fs::metadata(file).unwrap().len()).sum()
    }

    #[test]
    fn pictures_lie_by_label_with_a_line_each_and_read_as_training_pictures() {
        let folder = tempfile::tempdir().unwrap();
        let mut hard = Hard::create(folder.path(), 1 << 20, DAY).unwrap();
        for (tag, (label, file)) in
            [("cat", &b"\x89PNG..."[..]), ("dog", b"RIFF"), ("../up", b"\xff\xd8")]
                .iter()
                .enumerate()
        {
            hard.keep(file, label, r#"{"picture":"x"}"#, tag as u32).unwrap().unwrap();
        }
        let found = source::pictures(&[folder.path().to_owned()]);
        let classes = ["cat", "dog", "_.._up"].map(String::from);
        let class = |path: &PathBuf| source::class_of(&classes, folder.path(), path);
        let mut labels: Vec<_> = found.pictures.iter().map(|path| class(path).unwrap()).collect();
        labels.sort_unstable();
        assert_eq!(labels, [0, 1, 2]);
        let notes = found.pictures.iter().map(|path| path.with_extension("json"));
        for note in notes {
            assert_eq!(fs::read_to_string(note).unwrap(), "{\"picture\":\"x\"}\n");
        }
        assert_eq!((hard.kept, hard.removed), (3, 0));
    }

    #[test]
    fn the_folder_never_exceeds_its_limit_and_the_oldest_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let most = 10_000;
        let mut hard = Hard::create(folder.path(), most, DAY).unwrap();
        let mut last = None;
        for tag in 0..200 {
            last = hard.keep(&[7; 400], "cat", "{}", tag).unwrap();
            assert!(bytes(folder.path()) <= most);
        }
        assert!(last.unwrap().exists());
        assert!(hard.removed > 150 && bytes(folder.path()) > most / 2, "{hard:?}");
        assert_eq!(hard.keep(&vec![7; most as usize], "cat", "{}", 0).unwrap(), None);
        let again = Hard::create(folder.path(), 1000, DAY).unwrap();
        assert!(bytes(folder.path()) <= 1000 && again.removed > 0);
    }

    #[test]
    fn files_of_other_names_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let theirs = ["cat/1.jpg", "cat/1796017454419.jpg", "cat/1796017454419-0000000g.jpg"];
        fs::create_dir_all(folder.path().join("cat/1796017454419-00000000.jpg")).unwrap();
        for name in theirs {
            fs::write(folder.path().join(name), [7; 2000]).unwrap();
        }
        let mut hard = Hard::create(folder.path(), 1000, Duration::ZERO).unwrap();
        hard.keep(b"\xff\xd8", "cat", "{}", 0).unwrap().unwrap();
        assert!(theirs.iter().all(|name| folder.path().join(name).exists()));
    }

    #[test]
    fn only_pictures_that_the_cloud_saw_for_a_reason_are_hard() {
        let answer = |bytes_sent, audit: Option<Audit>| Answer {
            label: "cat".into(),
            index: 0,
            confidence: 1.0,
            scores: vec![],
            origin: "exit-1".into(),
            degraded: None,
            exits: vec![],
            timings: crate::session::Timings::default(),
            bytes_sent,
            way: None,
            audit: audit.map(Box::new),
        };
        let audit = |agrees| {
            Some(Audit::Answered { label: "dog".into(), index: 1, confidence: 0.5, agrees })
        };
        let unanswered = Some(Audit::Unanswered { reason: "cloud_late".into() });
        for (bytes, audit, hard) in [
            (0, None, false),
            (500, None, true),
            (500, audit(true), false),
            (500, audit(false), true),
            (500, unanswered, false),
        ] {
            assert_eq!(is_hard(&answer(bytes, audit.clone())), hard, "{bytes} {audit:?}");
        }
    }

    #[test]
    fn what_is_too_old_goes_even_if_there_is_room() {
        let folder = tempfile::tempdir().unwrap();
        let mut hard = Hard::create(folder.path(), 1 << 20, DAY).unwrap();
        let old = hard.keep(b"\xff\xd8", "cat", "{}", 0).unwrap().unwrap();
        let long_ago = SystemTime::now() - DAY * 2;
        for file in [&old, &old.with_extension("json")] {
            fs::File::options().write(true).open(file).unwrap().set_modified(long_ago).unwrap();
        }
        let new = hard.keep(b"\xff\xd8", "cat", "{}", 1).unwrap().unwrap();
        let again = Hard::create(folder.path(), 1 << 20, DAY).unwrap();
        assert!(!old.exists() && new.exists());
        assert_eq!(again.removed, 1);
    }
}
