//! Publishes a pair to the bucket: files first, manifest last, never overwriting anything.
//!
//! A published version never changes, because devices in the field refer to it by the digest of its files. The pair is
//! therefore tried first: one that the function could not load is refused before anything is uploaded.
//!
//! The function finds pairs by their manifests, so a pair becomes visible only when it is complete. An interrupted
//! publication can be repeated: files that are already there are compared instead of uploaded.

use core::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use fogline::manifest::{CLOUD_ONNX, Manifest, ManifestError, SPLIT_CODER, verify};
use fogline::refusal::Refusal;

use crate::half::{self, CLOUD_HALF, HalfError};
use crate::index::MAX_MANIFEST;
use crate::plan::{self, Plan};
use crate::plans::{MAX_MODEL, apart};
use crate::store::{PREFIX, Store, StoreError};
use crate::trial::{Trial, try_cloud};

/// File name of a pair's manifest.
const MANIFEST: &str = "manifest.json";

/// Why a pair was not published.
#[derive(Debug)]
#[non_exhaustive]
pub enum PublishError {
    /// A file of the pair could not be read from disk.
    Unreadable(PathBuf, io::Error),
    /// `manifest.json` could not be parsed.
    Manifest(PathBuf, ManifestError),
    /// The manifest's name and version differ from the folder's.
    Elsewhere(String),
    /// A file does not match the size and SHA-256 in the manifest.
    Altered(PathBuf),
    /// A file exceeds the function's size limit, given in bytes.
    TooLarge(PathBuf, u64),
    /// The cloud's weights do not fit into half precision.
    Half(HalfError),
    /// The function could not run the cloud part.
    Unusable(Refusal),
    /// The manifest names a model in half precision, as only one in a bucket does.
    Stored(PathBuf),
    /// The bucket already has this pair without half precision.
    Single(String),
    /// The bucket already has this exact pair.
    Published(String),
    /// The bucket has a different pair under this name and version.
    Taken(String),
    /// The bucket has a different file under this key, without a manifest.
    Differs(String),
    /// The bucket could not be read or written.
    Store(StoreError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Manifest(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Elsewhere(pair) => {
                write!(f, "the manifest is for {pair}, but its folder is not …/{pair}")
            }
            Self::Altered(path) => {
                let path = path.display();
                write!(
                    f,
                    "{path} does not match the size and SHA-256 in its manifest; export and pack it again"
                )
            }
            Self::TooLarge(path, most) => {
                write!(f, "{} exceeds the function's limit of {most} bytes", path.display())
            }
            Self::Stored(path) => write!(
                f,
                "{} was copied from a bucket: it names weights in half precision ('half'). Remove that field, and publish with --half \
                 to have them again",
                path.display()
            ),
            Self::Single(pair) => write!(
                f,
                "the bucket already has {pair} without half precision, and a published version never changes; raise the version"
            ),
            Self::Half(error) => write!(f, "{CLOUD_ONNX} in half precision: {error}"),
            Self::Unusable(refusal) => {
                write!(f, "the function could not serve this pair: {}", refusal.message)
            }
            Self::Published(pair) => {
                write!(f, "the bucket already has exactly this {pair}; nothing to do")
            }
            Self::Taken(pair) => {
                write!(
                    f,
                    "the bucket already has a different {pair}, and a published version never changes; raise the version"
                )
            }
            Self::Differs(key) => write!(
                f,
                "the bucket has a different '{key}' without a manifest, left by an interrupted publication; \
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

/// A pair on disk that was verified and tried.
#[derive(Debug)]
pub struct Tried {
    manifest: Manifest,
    /// The manifest's file.
    plain: Vec<u8>,
    /// The same for the bucket.
    json: Vec<u8>,
    /// File names and their bytes.
    files: Vec<(String, Vec<u8>)>,
    trial: Trial,
}

impl Tried {
    /// What the trial of the cloud part found out.
    pub fn trial(&self) -> &Trial {
        &self.trial
    }

    /// The pair with its cloud's weights in half precision: the bucket gets another file, which the function loads in place of
    /// `cloud.onnx`. Returns the plan that it will make, too.
    ///
    /// # Errors
    /// If a weight does not fit, or the function could not load the model.
    pub fn in_half(mut self) -> Result<(Self, Plan), PublishError> {
        let onnx = self.files.iter().find(|(name, _)| name == CLOUD_ONNX);
        let onnx = onnx.map(|(_, bytes)| &**bytes).unwrap_or_default();
        let (bytes, file) = half::narrowed(onnx).map_err(PublishError::Half)?;
        let plan = Plan::of_half(self.manifest.clone(), &file, &bytes);
        let plan = plan.map_err(PublishError::Unusable)?;
        self.json = half::naming(&self.plain, &file);
        if self.json.len() as u64 > MAX_MANIFEST {
            return Err(PublishError::TooLarge(MANIFEST.into(), MAX_MANIFEST));
        }
        self.files.push((CLOUD_HALF.into(), bytes));
        Ok((self, plan))
    }
}

/// Reads the pair in `folder` (`…/NAME/VERSION`), verifies its files, and tries its cloud part.
///
/// # Errors
/// If a file is missing or does not match, the folder's name is wrong, or the function could not load the pair.
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
    if !matches!(half::named(&json), Ok(None)) {
        return Err(PublishError::Stored(path));
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
    if let Some((_, bytes)) = files.iter().find(|(name, _)| name == SPLIT_CODER) {
        plan::coder(&manifest, bytes).map_err(PublishError::Unusable)?;
    }
    let cloud = files.iter().find(|(name, _)| name == CLOUD_ONNX);
    let (onnx, of) = (cloud.map(|(_, bytes)| bytes.clone()).unwrap_or_default(), manifest.clone());
    let trial = apart(CLOUD_ONNX, move || try_cloud(of, &onnx)).await;
    let trial = trial.map_err(PublishError::Unusable)?;
    Ok(Tried { manifest, plain: json.clone(), json, files, trial })
}

/// Publishes a pair and calls `said` with the key and size in bytes of each file uploaded. Returns the manifest.
///
/// # Errors
/// If the bucket already has the version or the store fails. No new pair is visible then.
pub async fn publish(
    store: &Store,
    tried: Tried,
    mut said: impl FnMut(&str, u64),
) -> Result<Manifest, PublishError> {
    let Tried { manifest, plain, json, files, .. } = tried;
    let pair = format!("{}/{}", manifest.name, manifest.version);
    let key = format!("{PREFIX}{pair}/{MANIFEST}");
    let there = |found: Result<Vec<u8>, StoreError>| match found {
        Ok(there) if there == json || is_half_of(&there, &plain) => {
            PublishError::Published(pair.clone())
        }
        Ok(there) if there == plain => PublishError::Single(pair.clone()),
        Ok(_) | Err(StoreError::TooLarge { .. }) => PublishError::Taken(pair.clone()),
        Err(error) => error.into(),
    };
    match store.get(&key, MAX_MANIFEST).await {
        Err(StoreError::Missing(_)) => {}
        found => return Err(there(found)),
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
        // Somebody else has just published it.
        Err(StoreError::Exists(_)) => return Err(there(store.get(&key, MAX_MANIFEST).await)),
        done => done?,
    }
    said(&key, json.len() as u64);
    Ok(manifest)
}

/// Whether the bucket's manifest is this one, published in half precision.
fn is_half_of(there: &[u8], json: &[u8]) -> bool {
    matches!(half::named(there), Ok(Some(file)) if half::naming(json, &file) == there)
}
