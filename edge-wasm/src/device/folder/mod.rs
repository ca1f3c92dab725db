//! A pair's folder on a device, and how a new version replaces the pair in it.
//!
//! At first the folder holds just `manifest.json` and `edge.fog`. Once a version is [put](Folder::put) into it, packed
//! models have their digests in their names and lie side by side:
//!
//! ```text
//! manifest.json          the pair that is loaded
//! previous.json          the manifest that it replaced
//! edge-SHA256.fog        the packed model of each
//! edge.fog               the packed model of a pair that was copied here by hand
//! ```
//!
//! Two files cannot be exchanged atomically, and WASI cannot exchange folders. But a rename replaces one file atomically,
//! and a manifest identifies its packed model by digest. So renaming the manifest is the switch. [`Folder::put`] and
//! [`Folder::roll_back`] make sure that the packed models of both manifests are in place before it. If the process is
//! killed at any other moment, the only leftovers are files that no manifest names; the next change removes them. Only
//! one change may run at a time: two would write to the same new files.

mod edit;
mod error;
#[cfg(all(test, not(target_family = "wasm")))]
mod tests;

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use fogline::manifest::{self, EDGE_FOG, Manifest, compare_versions};

use crate::kernel::Backend;
use crate::session::{LoadError, Session};
use edit::Edit;
pub use error::FolderError;

/// The file name of a pair's manifest.
pub const MANIFEST: &str = "manifest.json";
const PREVIOUS: &str = "previous.json";
/// The suffix of a file that is being written.
const NEW: &str = ".new";
/// The size limit of a manifest, in bytes.
pub const MOST_MANIFEST: u64 = 1 << 20;
/// The size limit of a packed model, in bytes.
pub const MOST_FOG: u64 = 50 << 20;

/// A folder that holds a pair, or is meant to.
pub struct Folder {
    path: PathBuf,
}

/// The pairs in a folder before and after a change.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The manifest of the pair that is loaded from now on.
    pub now: Manifest,
    /// The manifest before the change, if there was one that could be read.
    pub before: Option<Manifest>,
}

impl Folder {
    /// The folder at `path`, which need not exist yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Loads and verifies the pair.
    ///
    /// # Errors
    /// If a file cannot be read, or the pair is invalid or does not run on this engine.
    pub fn load(&self, backend: Backend) -> Result<Session, FolderError> {
        self.pair(&self.read(MANIFEST, MOST_MANIFEST)?, backend)
    }

    /// Loads the pair of a manifest, which may be the previous one.
    fn pair(&self, manifest: &[u8], backend: Backend) -> Result<Session, FolderError> {
        let named = fog_name(&parse(manifest)?);
        let named = named.filter(|name| self.path.join(name).exists());
        let fog = self.read(named.as_deref().unwrap_or(EDGE_FOG), MOST_FOG)?;
        Ok(Session::load(manifest, &fog, backend)?)
    }

    /// What must be fetched so that `manifest` can be [put](Folder::put) here: the size and digest of its packed model, or
    /// `None` if this very pair is already here and loads.
    ///
    /// # Errors
    /// If the manifest is invalid, the folder holds a pair of another name, the version is older than the folder's and
    /// `older` is false, or the packed model is larger than [`MOST_FOG`].
    pub fn wants(
        &self,
        manifest: &[u8],
        older: bool,
        backend: Backend,
    ) -> Result<Option<manifest::File>, FolderError> {
        let new = parse(manifest)?;
        let file = new.files.get(EDGE_FOG).cloned().ok_or_else(|| {
            LoadError::Mismatch(format!("the manifest names no {EDGE_FOG}: pack the pair first"))
        })?;
        if file.bytes > MOST_FOG {
            return Err(FolderError::TooLarge(self.path.join(EDGE_FOG), MOST_FOG));
        }
        let Some(here) = self.read_if_there(MANIFEST)? else { return Ok(Some(file)) };
        if here == manifest && self.pair(&here, backend).is_ok() {
            return Ok(None);
        }
        // An invalid manifest has no version to compare with.
        let Ok(here) = Manifest::parse(&here) else { return Ok(Some(file)) };
        if here.name != new.name {
            return Err(FolderError::OtherPair { here: here.name, new: new.name });
        }
        if !older && compare_versions(&new.version, &here.version).is_lt() {
            return Err(FolderError::Older { here: here.version, new: new.version });
        }
        Ok(Some(file))
    }

    /// Replaces the pair in the folder, which is created if it does not exist. The replaced pair is kept for
    /// [`Folder::roll_back`] if it loads.
    ///
    /// # Errors
    /// If the pair does not run on this engine or cannot be written. The folder's pair then stays.
    pub fn put(
        &self,
        manifest: &[u8],
        fog: &[u8],
        backend: Backend,
    ) -> Result<Change, FolderError> {
        let now = Session::load(manifest, fog, backend)?.manifest().clone();
        let made = fs::create_dir_all(&self.path);
        made.map_err(|error| FolderError::Unwritable(self.path.clone(), error))?;
        let here = self.read_if_there(MANIFEST)?;
        let before = here.as_deref().and_then(|here| Manifest::parse(here).ok());
        for step in self.steps_to_put(manifest, fog, &now, backend)? {
            step.run()?;
        }
        Ok(Change { now, before })
    }

    /// The edits that replace the folder's pair.
    ///
    /// If the process is killed before the last rename, `manifest.json` and its packed model are still as they were. At the
    /// last rename the new packed model is already complete. If it is killed later, unneeded files are left.
    ///
    /// If it is killed between the last two renames, both manifests are the same, and there is nothing to roll back to. The
    /// previous pair is then lost one rename earlier than it would have been anyway.
    fn steps_to_put(
        &self,
        manifest: &[u8],
        fog: &[u8],
        new: &Manifest,
        backend: Backend,
    ) -> Result<Vec<Edit>, FolderError> {
        let mut needed = vec![];
        let mut steps = vec![];
        if let Some(name) = fog_name(new) {
            steps.extend(self.replace(&name, fog));
            needed.push(name);
        }
        let here = self.read_if_there(MANIFEST)?;
        // A pair that does not load is no use for a rollback, so the previous pair stays.
        let here = here.filter(|here| self.pair(here, backend).is_ok());
        let previous = match here {
            Some(here) if here != manifest => {
                steps.extend(self.replace(PREVIOUS, &here));
                Some(here)
            }
            _ => self.read_if_there(PREVIOUS)?,
        };
        needed.extend(previous.and_then(|old| fog_name(&Manifest::parse(&old).ok()?)));
        steps.extend(self.replace(MANIFEST, manifest));
        steps.extend(self.steps_to_clear(&needed)?);
        Ok(steps)
    }

    /// Puts the last replaced pair back. This works once: only one replaced pair is kept.
    ///
    /// # Errors
    /// If no replaced pair is kept, or it does not load. The folder then stays as it is.
    pub fn roll_back(&self, backend: Backend) -> Result<Change, FolderError> {
        let here = self.read_if_there(MANIFEST)?;
        let previous =
            self.read_if_there(PREVIOUS)?.filter(|previous| Some(previous) != here.as_ref());
        let previous = previous.ok_or_else(|| FolderError::NoPrevious(self.path.clone()))?;
        let now = self.pair(&previous, backend)?.manifest().clone();
        for step in self.steps_to_roll_back(&now)? {
            step.run()?;
        }
        Ok(Change { now, before: here.and_then(|here| Manifest::parse(&here).ok()) })
    }

    /// The edits of a rollback: one rename, so that a kill cannot come in between, then the clean-up.
    fn steps_to_roll_back(&self, previous: &Manifest) -> Result<Vec<Edit>, FolderError> {
        let mut steps = vec![Edit::Rename(self.path.join(PREVIOUS), self.path.join(MANIFEST))];
        steps.extend(self.steps_to_clear(fog_name(previous).as_slice())?);
        Ok(steps)
    }

    /// The edits that write a file under another name and then rename it into place.
    fn replace(&self, name: &str, bytes: &[u8]) -> [Edit; 2] {
        let (new, place) = (self.path.join(name.to_owned() + NEW), self.path.join(name));
        [Edit::Write(new.clone(), bytes.to_owned()), Edit::Rename(new, place)]
    }

    /// The edits that remove leftovers of earlier changes, but no packed model in `needed` and no file of another name.
    fn steps_to_clear(&self, needed: &[String]) -> Result<Vec<Edit>, FolderError> {
        let unreadable = |error| FolderError::Unreadable(self.path.clone(), error);
        let mut steps = vec![];
        for file in fs::read_dir(&self.path).map_err(unreadable)? {
            let name = file.map_err(unreadable)?.file_name();
            let Some(name) = name.to_str() else { continue };
            let whole = name.strip_suffix(NEW);
            let is_over = match whole {
                Some(whole) => [MANIFEST, PREVIOUS].contains(&whole) || is_fog_name(whole),
                None => is_fog_name(name) && !needed.iter().any(|needed| needed == name),
            };
            if is_over {
                steps.push(Edit::Remove(self.path.join(name)));
            }
        }
        Ok(steps)
    }

    fn read_if_there(&self, name: &str) -> Result<Option<Vec<u8>>, FolderError> {
        match self.read(name, MOST_MANIFEST) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(FolderError::Unreadable(_, error)) if error.kind() == ErrorKind::NotFound => {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    fn read(&self, name: &str, most: u64) -> Result<Vec<u8>, FolderError> {
        let path = self.path.join(name);
        let mut bytes = vec![];
        let read = File::open(&path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes));
        match read {
            Ok(length) if length as u64 > most => Err(FolderError::TooLarge(path, most)),
            Ok(_) => Ok(bytes),
            Err(error) => Err(FolderError::Unreadable(path, error)),
        }
    }
}

fn parse(manifest: &[u8]) -> Result<Manifest, LoadError> {
    Manifest::parse(manifest).map_err(LoadError::Manifest)
}

/// The file name of a manifest's packed model, if the manifest names one.
fn fog_name(manifest: &Manifest) -> Option<String> {
    let file = manifest.files.get(EDGE_FOG)?;
    Some(format!("edge-{}.fog", file.sha256.to_ascii_lowercase()))
}

fn is_fog_name(name: &str) -> bool {
    let digest = name.strip_prefix("edge-").and_then(|name| name.strip_suffix(".fog"));
    digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|c| c.is_ascii_hexdigit()))
}
