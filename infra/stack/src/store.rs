//! An S3-compatible store in this process, its bucket filled with the pairs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;

use crate::models::{MANIFEST, Model};
use crate::server;

/// The bucket's name.
pub const BUCKET: &str = "fogline-models";
/// The store's only key: it listens on this machine alone and holds nothing secret.
pub const KEY: (&str, &str) = ("fogline-local", "fogline-local-secret");

/// The running store; its files go when it does.
#[derive(Debug)]
pub struct LocalStore {
    root: TempDir,
    /// Where it listens.
    pub url: String,
}

impl LocalStore {
    /// The folder whose subfolders are the buckets.
    pub fn folder(&self) -> &Path {
        self.root.path()
    }
}

/// Copies what the manifests list into a bucket and serves it.
///
/// # Errors
/// When a file cannot be copied, or there is no free port.
pub async fn start(models: &[Model]) -> Result<LocalStore> {
    let root = tempfile::Builder::new().prefix("fogline-store-").tempdir()?;
    for model in models {
        let folder = root.path().join(BUCKET).join(model.place());
        fs::create_dir_all(&folder)?;
        for name in model.manifest.files.keys().map(String::as_str).chain([MANIFEST]) {
            let from = model.folder.join(name);
            fs::copy(&from, folder.join(name)).with_context(|| from.display().to_string())?;
        }
    }
    let files = s3s_fs::FileSystem::new(root.path())
        .map_err(|error| anyhow::anyhow!("the store cannot open its folder: {error:?}"))?;
    let mut builder = S3ServiceBuilder::new(files);
    builder.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
    let url = server::spawn(builder.build()).await?;
    Ok(LocalStore { root, url })
}
