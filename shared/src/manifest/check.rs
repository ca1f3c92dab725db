//! What must hold of a manifest before anybody works with it.

use std::collections::BTreeSet;

use super::{FORMAT, Manifest, ManifestError};
use crate::frame::MAX_FRAME;
use crate::packed;

impl Manifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let refuse = |field, why: String| Err(ManifestError::Field { field, why });
        if self.format != FORMAT {
            return Err(ManifestError::Format(self.format));
        }
        for (field, text) in [("name", &self.name), ("version", &self.version)] {
            if !is_plain(text) {
                return refuse(field, format!("'{text}' is not letters, digits, '-', '_' and '.'"));
            }
        }
        if self.classes.len() < 2 {
            return refuse(
                "classes",
                format!("{} of them, where 2 are the least", self.classes.len()),
            );
        }
        if self.classes.iter().any(|name| name.trim().is_empty()) {
            return refuse("classes", "one of them has no name".into());
        }
        if let Some(name) = twice(self.classes.iter()) {
            return refuse("classes", format!("'{name}' stands there twice"));
        }
        if !(1..=1024).contains(&self.input.size) {
            return refuse("input.size", format!("{} is not in 1..=1024", self.input.size));
        }
        if self.input.mean.iter().any(|mean| !(0.0..=1.0).contains(mean)) {
            return refuse("input.mean", "it is of value / 255, and so in 0..=1".into());
        }
        if self.input.std.iter().any(|&s| !positive(s)) {
            return refuse("input.std", "every channel's must be above 0".into());
        }
        if self.exits.is_empty() {
            return refuse("exits", "there is none".into());
        }
        if let Some(exit) = self.exits.iter().find(|exit| !positive(exit.temperature)) {
            return refuse("exits.temperature", format!("{} is not above 0", exit.temperature));
        }
        let deciding = self.deciding();
        if deciding.is_empty() || deciding.iter().any(|exit| !exit.extends.is_empty()) {
            return refuse(
                "exits.extends",
                "an extension is the last exit, and not the only one".into(),
            );
        }
        let hard = self.extension().map_or(&[][..], |exit| &exit.extends);
        if let Some(name) = hard.iter().find(|name| !self.classes.contains(name)) {
            return refuse("exits.extends", format!("'{name}' is none of the classes"));
        }
        if let Some(name) = twice(self.exits.iter().map(|exit| &exit.name)) {
            return refuse("exits.name", format!("'{name}' stands there twice"));
        }
        for exit in deciding {
            if !exit.thresholds.contains_key(&self.policy) {
                return refuse(
                    "exits.thresholds",
                    format!("{} has none for the policy '{}'", exit.name, self.policy),
                );
            }
            if exit.appeals() != deciding[0].appeals() {
                return refuse("exits.thresholds", "not all exits have one for 'appeal'".into());
            }
            let ways = &exit.ways;
            let rising = ways.is_sorted_by(|a, b| a.from < b.from);
            if !rising || ways.first().is_some_and(|way| way.from != 0.0) {
                return refuse("exits.ways", "they begin at 0 and rise".into());
            }
        }
        for point in self.curves.values().flatten() {
            let counts = [point.thresholds.len(), point.shares.len()];
            if counts != [deciding.len(), self.exits.len()] {
                return refuse("curves", "a point has not one threshold and share an exit".into());
            }
            if point.ways.iter().any(|shares| shares.len() != self.exits.len() + 1) {
                return refuse(
                    "curves",
                    "a way has not one share an exit and one of the cloud".into(),
                );
            }
        }
        if !positive(self.split.scale) {
            return refuse("split.scale", format!("{} is not above 0", self.split.scale));
        }
        let payload =
            packed::packed_len(self.split.shape, self.split.bits).map_err(ManifestError::Split)?;
        if payload >= MAX_FRAME {
            return refuse(
                "split.shape",
                format!("{payload} bytes a sample do not fit into a frame"),
            );
        }
        for (name, file) in &self.files {
            let digest = hex::decode(&file.sha256).is_ok_and(|d| d.len() == 32);
            if !is_plain(name) || !digest {
                return refuse("files", format!("'{name}' has no plain name or no SHA-256"));
            }
        }
        Ok(())
    }
}

/// The first name that came before.
fn twice<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut known = BTreeSet::new();
    names.find(|name| !known.insert(*name))
}

/// A name that is safe in paths, and in the lines that the pair digest is made of.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

/// Above zero and finite; a NaN is neither.
fn positive(value: f32) -> bool {
    value > 0.0 && value.is_finite()
}
