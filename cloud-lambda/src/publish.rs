//! Puts a pair into the bucket: its files first, its manifest last, and nothing over what is there.
//!
//! What is published stays for ever, so that all of it is tried first: whatever the function would not load is refused here,
//! before a byte is sent.
//!
//! A function lists manifests, so a pair is there when its manifest is, and whole by then. A publication
//! that broke off may be repeated: files that it left behind are compared, not written again. A version,
//! once there, never changes: edges in the field name it by the digest of its files.

use core::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fogline::manifest::{CLOUD_ONNX, Manifest, ManifestError, verify};
use fogline::refusal::Refusal;

use crate::index::MAX_MANIFEST;
use crate::plan::Plan;
use crate::plans::{MAX_MODEL, apart};
use crate::store::{PREFIX, Store, StoreError};

/// The manifest's file name.
const MANIFEST: &str = "manifest.json";

/// Why a pair was not published.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// A file of the pair cannot be read.
    Unreadable(PathBuf, io::Error),
    /// The manifest is none.
    Manifest(PathBuf, ManifestError),
    /// The manifest is of a pair of another name or version than its folder.
    Elsewhere(String),
    /// A file is not what the manifest says it is.
    Altered(PathBuf),
    /// A file is larger than the function takes.
    TooLarge(PathBuf, u64),
    /// The function could not run the cloud's half.
    Unusable(Refusal),
    /// The bucket has this very pair already.
    Published(String),
    /// The bucket has another pair under this name and version.
    Taken(String),
    /// The bucket has another file under this key, and no manifest beside it.
    Differs(String),
    /// The store.
    Store(StoreError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Manifest(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Elsewhere(pair) => {
                write!(f, "the manifest is that of {pair}, which is not where its folder lies")
            }
            Self::Altered(path) => {
                let path = path.display();
                write!(
                    f,
                    "{path} has not the size and SHA-256 of its manifest; export and pack anew"
                )
            }
            Self::TooLarge(path, most) => {
                write!(f, "{}: the function takes {most} bytes at most", path.display())
            }
            Self::Unusable(refusal) => {
                write!(f, "no function could answer for this pair: {}", refusal.message)
            }
            Self::Published(pair) => {
                write!(f, "the bucket has {pair} already, as it is here: there is nothing to do")
            }
            Self::Taken(pair) => {
                write!(
                    f,
                    "the bucket has another {pair} already, and versions do not change: raise the version"
                )
            }
            Self::Differs(key) => write!(
                f,
                "the bucket has another '{key}' and no manifest beside it, left by somebody else's publication: \
                 remove it or raise the version"
            ),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PublishError {}

impl From<StoreError> for PublishError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// A pair on disk that the function could answer for.
#[derive(Debug)]
pub struct Tried {
    manifest: Manifest,
    json: Vec<u8>,
    /// By their names in the pair.
    files: Vec<(String, Vec<u8>)>,
}

/// Reads the pair in `folder`, `…/NAME/VERSION`, verifies its files, and runs its cloud's half once.
///
/// # Errors
/// When the pair is not whole, lies in another folder, or the function would not load it.
pub async fn try_out(folder: &Path) -> Result<Tried, PublishError> {
    let read = |path: &Path| {
        fs::read(path).map_err(|error| PublishError::Unreadable(path.to_owned(), error))
    };
    let path = folder.join(MANIFEST);
    let json = read(&path)?;
    let manifest =
        Manifest::parse(&json).map_err(|error| PublishError::Manifest(path.clone(), error))?;
    if json.len() as u64 > MAX_MANIFEST {
        return Err(PublishError::TooLarge(path, MAX_MANIFEST));
    }
    let pair = format!("{}/{}", manifest.name, manifest.version);
    if !folder.ends_with(&pair) {
        return Err(PublishError::Elsewhere(pair));
    }
    let mut files = vec![];
    for (name, file) in &manifest.files {
        let path = folder.join(name);
        let bytes = read(&path)?;
        if !verify(&bytes, file) {
            return Err(PublishError::Altered(path));
        }
        if name == CLOUD_ONNX && file.bytes > MAX_MODEL {
            return Err(PublishError::TooLarge(path, MAX_MODEL));
        }
        files.push((name.clone(), bytes));
    }
    let cloud = files.iter().find(|(name, _)| name == CLOUD_ONNX);
    let (onnx, of) = (cloud.map(|(_, bytes)| bytes.clone()).unwrap_or_default(), manifest.clone());
    let plan = apart(CLOUD_ONNX, move || Plan::new(of, &onnx)).await;
    plan.map_err(PublishError::Unusable)?;
    Ok(Tried { manifest, json, files })
}

/// Publishes a pair, telling `said` of each key and its bytes. Gives its manifest.
///
/// # Errors
/// When the bucket has it already, or the store fails; the bucket shows no pair then that it did not show before.
pub async fn publish(
    store: &Store,
    tried: Tried,
    mut said: impl FnMut(&str, u64),
) -> Result<Manifest, PublishError> {
    let Tried { manifest, json, files } = tried;
    let pair = format!("{}/{}", manifest.name, manifest.version);
    let key = format!("{PREFIX}{pair}/{MANIFEST}");
    match store.get(&key, MAX_MANIFEST).await {
        Err(StoreError::Missing(_)) => {}
        Ok(there) if there == json => return Err(PublishError::Published(pair)),
        Ok(_) | Err(StoreError::TooLarge { .. }) => return Err(PublishError::Taken(pair)),
        Err(error) => return Err(error.into()),
    }
    for (name, bytes) in files {
        let (key, len) = (format!("{PREFIX}{pair}/{name}"), bytes.len() as u64);
        match store.put_new(&key, bytes.clone()).await {
            Err(StoreError::Exists(key)) => match store.get(&key, len).await {
                Ok(there) if there == bytes => {}
                Ok(_) | Err(StoreError::TooLarge { .. }) => return Err(PublishError::Differs(key)),
                Err(error) => return Err(error.into()),
            },
            done => done?,
        }
        said(&key, len);
    }
    match store.put_new(&key, json.clone()).await {
        // Somebody was quicker, with these very files: they were compared above.
        Err(StoreError::Exists(_)) => return Err(PublishError::Published(pair)),
        done => done?,
    }
    said(&key, json.len() as u64);
    Ok(manifest)
}
