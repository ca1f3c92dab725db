//! A pair's folder on a device, and how another version takes the place of the one in it.
//!
//! The folder is what it always was, `manifest.json` and `edge.fog`, until a version is [put](Folder::put) into it. From
//! then on packed models have their digests in their names, and stand beside each other:
//!
//! ```text
//! manifest.json          the pair that is loaded
//! previous.json          the manifest that it replaced
//! edge-SHA256.fog        a packed model for each
//! edge.fog               that of a pair that was copied here by hand
//! ```
//!
//! Two files cannot be exchanged at once, and WASI exchanges no folders; but a rename puts one file in the place of another,
//! wholly or not at all, and a manifest says by digest which packed model is its own. So the manifest's rename is the
//! switch, and [`Folder::put`] and [`Folder::roll_back`] only see to it that the packed models of both manifests are there
//! whenever it may happen. What a kill leaves behind at any other moment is files that no manifest names; the next change
//! takes them away. One change at a time: two at once would write to the same new files.

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
/// The ending of a file that is being written.
const NEW: &str = ".new";
/// The largest manifest that is read.
pub const MOST_MANIFEST: u64 = 1 << 20;
/// The largest packed model that is read.
pub const MOST_FOG: u64 = 50 << 20;

/// A folder with a pair, or with none yet.
pub struct Folder {
    path: PathBuf,
}

/// What a folder held, and holds now.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The pair that is loaded from now on.
    pub now: Manifest,
    /// The one before, where there was one that could be read.
    pub before: Option<Manifest>,
}

impl Folder {
    /// A folder, whether it is there or not.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Loads and verifies the pair.
    ///
    /// # Errors
    /// When it cannot be read, or is no pair that runs here.
    pub fn load(&self, backend: Backend) -> Result<Session, FolderError> {
        self.pair(&self.read(MANIFEST, MOST_MANIFEST)?, backend)
    }

    /// The pair of a manifest, which may be the previous one.
    fn pair(&self, manifest: &[u8], backend: Backend) -> Result<Session, FolderError> {
        let named = fog_name(&parse(manifest)?);
        let named = named.filter(|name| self.path.join(name).exists());
        let fog = self.read(named.as_deref().unwrap_or(EDGE_FOG), MOST_FOG)?;
        Ok(Session::load(manifest, &fog, backend)?)
    }

    /// What must be fetched for a manifest, to be [put](Folder::put) here with it: the size and digest of its packed model,
    /// or nothing where this very pair is here and loads.
    ///
    /// # Errors
    /// When the manifest is none; when it is another pair's than the one that is here; when its version is older, and
    /// `older` is not allowed; when its packed model is too large.
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
        // What is no manifest has no version that could be newer.
        let Ok(here) = Manifest::parse(&here) else { return Ok(Some(file)) };
        if here.name != new.name {
            return Err(FolderError::OtherPair { here: here.name, new: new.name });
        }
        if !older && compare_versions(&new.version, &here.version).is_lt() {
            return Err(FolderError::Older { here: here.version, new: new.version });
        }
        Ok(Some(file))
    }

    /// Puts a pair in the place of the one that is here, which is kept for [`Folder::roll_back`] where it loads. Makes the
    /// folder where there is none.
    ///
    /// # Errors
    /// When the pair does not run here, or cannot be written: then the one that was here still is.
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

    /// The way from the pair that is here to another.
    ///
    /// A kill before the last rename leaves `manifest.json` as it was, and its packed model, to which nothing is done. At the
    /// last rename the other packed model is here, whole. A kill after it leaves files too many.
    ///
    /// A kill between the last two renames leaves both manifests the same, and so nothing to roll back to: the pair that
    /// was previous is given up one rename before it would have been anyway.
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
        // What does not load is nothing to go back to: the previous pair stays.
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

    /// Puts the pair back that was replaced last. Once: there is nothing behind it.
    ///
    /// # Errors
    /// When there is none, or it does not load: then nothing changes.
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

    /// One rename, and what it leaves over: no kill can come in between.
    fn steps_to_roll_back(&self, previous: &Manifest) -> Result<Vec<Edit>, FolderError> {
        let mut steps = vec![Edit::Rename(self.path.join(PREVIOUS), self.path.join(MANIFEST))];
        steps.extend(self.steps_to_clear(fog_name(previous).as_slice())?);
        Ok(steps)
    }

    /// Writes a file beside its place, and renames it to it.
    fn replace(&self, name: &str, bytes: &[u8]) -> [Edit; 2] {
        let (new, place) = (self.path.join(name.to_owned() + NEW), self.path.join(name));
        [Edit::Write(new.clone(), bytes.to_owned()), Edit::Rename(new, place)]
    }

    /// Takes away what earlier changes left, but for the packed models that are needed. Nothing that has another name.
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

/// What the packed model of a manifest is called, where it names one.
fn fog_name(manifest: &Manifest) -> Option<String> {
    let file = manifest.files.get(EDGE_FOG)?;
    Some(format!("edge-{}.fog", file.sha256.to_ascii_lowercase()))
}

fn is_fog_name(name: &str) -> bool {
    let digest = name.strip_prefix("edge-").and_then(|name| name.strip_suffix(".fog"));
    digest.is_some_and(|digest| digest.len() == 64 && digest.bytes().all(|c| c.is_ascii_hexdigit()))
}
