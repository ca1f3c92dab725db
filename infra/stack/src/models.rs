//! The pairs in the models folder, and the page's configuration made of them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use fogline::manifest::{Manifest, compare_versions};
use serde_json::{Value, json};

/// The manifest's file name.
pub const MANIFEST: &str = "manifest.json";

/// A pair on disk.
#[derive(Debug)]
pub struct Model {
    /// Its folder.
    pub folder: PathBuf,
    /// Its manifest.
    pub manifest: Manifest,
}

impl Model {
    /// `models/NAME/VERSION`: its place in the bucket and on the page's server.
    pub fn place(&self) -> String {
        format!("models/{}/{}", self.manifest.name, self.manifest.version)
    }
}

/// Every NAME/VERSION of `root` that holds a manifest, in that order.
///
/// # Errors
/// When there is none, or a manifest is not one or lies under another name.
pub fn find(root: &Path) -> Result<Vec<Model>> {
    let mut models = Vec::new();
    for name in folders(root)? {
        for folder in folders(&name)? {
            let path = folder.join(MANIFEST);
            if !path.is_file() {
                continue;
            }
            let json = fs::read(&path).with_context(|| path.display().to_string())?;
            let manifest = Manifest::parse(&json).with_context(|| path.display().to_string())?;
            if !folder.ends_with(Path::new(&manifest.name).join(&manifest.version)) {
                bail!(
                    "{} is the manifest of {}/{}",
                    path.display(),
                    manifest.name,
                    manifest.version
                );
            }
            models.push(Model { folder, manifest });
        }
    }
    if models.is_empty() {
        bail!("{} holds no NAME/VERSION/{MANIFEST}", root.display());
    }
    models.sort_by(|a: &Model, b| {
        let (a, b) = (&a.manifest, &b.manifest);
        a.name.cmp(&b.name).then_with(|| compare_versions(&a.version, &b.version))
    });
    Ok(models)
}

fn folders(root: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(root).with_context(|| root.display().to_string())?;
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// The pair that is meant by NAME (its last version) or NAME/VERSION; without either, the first.
///
/// # Errors
/// When there is none of that name; says which there are.
pub fn choose<'a>(models: &'a [Model], chosen: Option<&str>) -> Result<&'a Model> {
    let is_chosen = |model: &&Model| {
        let Manifest { name, version, .. } = &model.manifest;
        chosen.is_some_and(|c| c == name || c == format!("{name}/{version}"))
    };
    let model = match chosen {
        None => models.first(),
        Some(_) => models.iter().rfind(is_chosen),
    };
    model.with_context(|| {
        let known: Vec<String> = models.iter().map(|m| m.place().replace("models/", "")).collect();
        format!("no model '{}', only {}", chosen.unwrap_or_default(), known.join(", "))
    })
}

/// The page's `config.json`: every manifest's address, that of the pair it opens with, and where there is a gallery
/// that of its index.
pub fn config(models: &[Model], opened: &Model, gallery: bool) -> Value {
    let manifest = |model: &Model| format!("{}/{MANIFEST}", model.place());
    let all: Vec<_> = models.iter().map(manifest).collect();
    let gallery = gallery.then_some("gallery/index.json");
    json!({"models": all, "model": manifest(opened), "cloud": "cloud", "gallery": gallery})
}
