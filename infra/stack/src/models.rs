//! The pairs in the models folder, and the page's configuration for them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, bail, ensure};
use fogline::manifest::{Manifest, compare_versions};
use serde_json::{Value, json};

/// File name of a pair's manifest.
pub const MANIFEST: &str = "manifest.json";

/// A pair on disk, with its parsed manifest.
#[derive(Debug)]
pub struct Model {
    /// The pair's folder, `…/NAME/VERSION`.
    pub folder: PathBuf,
    /// The parsed `manifest.json` in that folder.
    pub manifest: Manifest,
}

impl Model {
    /// `models/NAME/VERSION`: its path in the bucket and on the page's server.
    pub fn place(&self) -> String {
        format!("models/{}/{}", self.manifest.name, self.manifest.version)
    }
}

/// The pairs in a folder.
#[derive(Debug)]
pub struct Models {
    /// The valid pairs, ordered by name and version.
    pub usable: Vec<Model>,
    /// Folders with an invalid or misplaced manifest, and why they were skipped.
    pub refused: Vec<(PathBuf, Error)>,
}

impl Models {
    /// Finds every NAME/VERSION in `root` that has a manifest.
    ///
    /// # Errors
    /// If there is none.
    pub fn find(root: &Path) -> Result<Self> {
        let mut models = Self { usable: vec![], refused: vec![] };
        for name in folders(root)? {
            for folder in folders(&name)? {
                if !folder.join(MANIFEST).is_file() {
                    continue;
                }
                match read(&folder) {
                    Ok(manifest) => models.usable.push(Model { folder, manifest }),
                    Err(why) => models.refused.push((folder, why)),
                }
            }
        }
        if models.usable.is_empty() && models.refused.is_empty() {
            bail!("{} has no NAME/VERSION/{MANIFEST}", root.display());
        }
        models.usable.sort_by(|a: &Model, b| {
            let (a, b) = (&a.manifest, &b.manifest);
            a.name.cmp(&b.name).then_with(|| compare_versions(&a.version, &b.version))
        });
        Ok(models)
    }

    /// Chooses a pair by NAME (its latest version) or NAME/VERSION; by default the first one.
    ///
    /// # Errors
    /// If there is no such pair, in which case the message lists those that exist, or if it was skipped as invalid.
    pub fn choose(&self, chosen: Option<&str>) -> Result<&Model> {
        let Some(chosen) = chosen else {
            let refused =
                || self.refused.iter().map(|(_, why)| format!("{why:#}")).collect::<Vec<_>>();
            return self.usable.first().with_context(|| refused().join("; "));
        };
        let is_meant = |folder: &Path| {
            let mut names = folder.iter().rev().map(|part| part.to_string_lossy());
            let (version, name) =
                (names.next().unwrap_or_default(), names.next().unwrap_or_default());
            chosen == name || chosen == format!("{name}/{version}")
        };
        if let Some((_, why)) = self.refused.iter().find(|(folder, _)| is_meant(folder)) {
            bail!("{why:#}");
        }
        self.usable.iter().rfind(|model| is_meant(&model.folder)).with_context(|| {
            let place = |model: &Model| model.place().replace("models/", "");
            let known: Vec<String> = self.usable.iter().map(place).collect();
            format!("no model '{chosen}'; there are {}", known.join(", "))
        })
    }

    /// The page's `config.json`: the URLs of every manifest, of the pair that opens first and, if there is a gallery, of its
    /// index.
    pub fn config(&self, opened: &Model, gallery: bool) -> Value {
        let manifest = |model: &Model| format!("{}/{MANIFEST}", model.place());
        let all: Vec<_> = self.usable.iter().map(manifest).collect();
        let gallery = gallery.then_some("gallery/index.json");
        json!({"models": all, "model": manifest(opened), "cloud": "cloud", "gallery": gallery})
    }
}

fn read(folder: &Path) -> Result<Manifest> {
    let path = folder.join(MANIFEST);
    let json = fs::read(&path).with_context(|| path.display().to_string())?;
    let manifest = Manifest::parse(&json).with_context(|| path.display().to_string())?;
    let Manifest { name, version, .. } = &manifest;
    ensure!(
        folder.ends_with(Path::new(name).join(version)),
        "{} is for {name}/{version}, which does not match its folder",
        path.display()
    );
    Ok(manifest)
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

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, place: &str, version: &str) {
        let folder = root.join(place);
        fs::create_dir_all(&folder).unwrap();
        let manifest = json!({
            "format": 1, "name": "tiny", "version": version, "classes": ["a", "b"],
            "input": {"size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
            "exits": [{"name": "exit-1", "after_block": 1, "thresholds": {"entropy": 0.5}}],
            "policy": "entropy", "split": {"shape": [8, 4, 4], "bits": 1}, "files": {}
        });
        fs::write(folder.join(MANIFEST), manifest.to_string()).unwrap();
    }

    #[test]
    fn a_broken_manifest_keeps_nobody_from_the_other_pairs() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "tiny/1.9.0", "1.9.0");
        put(root.path(), "tiny/1.10.0", "1.10.0");
        put(root.path(), "broken/1.0.0", "2.0.0");
        let models = Models::find(root.path()).unwrap();
        let version = |chosen| Ok::<_, Error>(models.choose(chosen)?.manifest.version.clone());
        assert_eq!(version(None).unwrap(), "1.9.0");
        assert_eq!(version(Some("tiny")).unwrap(), "1.10.0");
        assert_eq!(version(Some("tiny/1.9.0")).unwrap(), "1.9.0");
        for broken in ["broken", "broken/1.0.0"] {
            let why = version(Some(broken)).unwrap_err().to_string();
            assert!(why.contains("is for tiny/2.0.0"), "{why}");
        }
        let why = version(Some("1.9.0")).unwrap_err().to_string();
        assert_eq!(why, "no model '1.9.0'; there are tiny/1.9.0, tiny/1.10.0");
        assert_eq!(
            models.config(models.choose(None).unwrap(), false)["models"][1],
            "models/tiny/1.10.0/manifest.json"
        );
    }
}
