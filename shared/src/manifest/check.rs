//! The checks of a parsed manifest.

use std::collections::BTreeSet;

use super::{FORMAT, Manifest, ManifestError};
use crate::frame::MAX_FRAME;
use crate::packed;

impl Manifest {
    pub(super) fn check(&self) -> Result<(), ManifestError> {
        let refuse = |field, why: String| Err(ManifestError::Field { field, why });
        if !(1..=FORMAT).contains(&self.format) {
            return Err(ManifestError::Format(self.format));
        }
        for (field, text) in [("name", &self.name), ("version", &self.version)] {
            if !is_plain(text) {
                return refuse(
                    field,
                    format!("'{text}' may only have letters, digits, '-', '_', '.'"),
                );
            }
        }
        if self.classes.len() < 2 {
            return refuse("classes", format!("there are {}, need at least 2", self.classes.len()));
        }
        if self.classes.iter().any(|name| name.trim().is_empty()) {
            return refuse("classes", "a name is empty".into());
        }
        if let Some(name) = twice(self.classes.iter()) {
            return refuse("classes", format!("'{name}' is listed twice"));
        }
        if !(1..=1024).contains(&self.input.size) {
            return refuse("input.size", format!("{} is not in 1..=1024", self.input.size));
        }
        if self.input.mean.iter().any(|mean| !(0.0..=1.0).contains(mean)) {
            return refuse("input.mean", "must be of value / 255: 0..=1".into());
        }
        if self.input.std.iter().any(|&s| !positive(s)) {
            return refuse("input.std", "every channel must be above 0".into());
        }
        if self.exits.is_empty() {
            return refuse("exits", "need at least 1".into());
        }
        if let Some(exit) = self.exits.iter().find(|exit| !positive(exit.temperature)) {
            return refuse("exits.temperature", format!("{} is not above 0", exit.temperature));
        }
        let deciding = self.deciding();
        if deciding.is_empty() || deciding.iter().any(|exit| !exit.extends.is_empty()) {
            return refuse("exits.extends", "only the last of several exits may extend".into());
        }
        let hard = self.extension().map_or(&[][..], |exit| &exit.extends);
        if let Some(name) = hard.iter().find(|name| !self.classes.contains(name)) {
            return refuse("exits.extends", format!("'{name}' is not a class"));
        }
        if let Some(name) = twice(self.exits.iter().map(|exit| &exit.name)) {
            return refuse("exits.name", format!("'{name}' is listed twice"));
        }
        for exit in deciding {
            if !exit.thresholds.contains_key(&self.policy) {
                return refuse(
                    "exits.thresholds",
                    format!("{} has none for the policy '{}'", exit.name, self.policy),
                );
            }
            if exit.appeals() != deciding[0].appeals() {
                return refuse("exits.thresholds", "all or no exits need 'appeal'".into());
            }
            let ways = &exit.ways;
            let rising = ways.is_sorted_by(|a, b| a.from < b.from);
            if !rising || ways.first().is_some_and(|way| way.from != 0.0) {
                return refuse("exits.ways", "must start at 0 and rise".into());
            }
        }
        for point in self.curves.values().flatten() {
            let counts = [point.thresholds.len(), point.shares.len()];
            if counts != [deciding.len(), self.exits.len()] {
                return refuse("curves", "need a threshold and share per exit".into());
            }
            if point.ways.iter().any(|shares| shares.len() != self.exits.len() + 1) {
                return refuse("curves", "need a share per exit and one for the cloud".into());
            }
        }
        if !positive(self.split.scale) {
            return refuse("split.scale", format!("{} is not above 0", self.split.scale));
        }
        if !self.split.signed && self.format < 2 {
            return refuse("split.signed", "needs format 2".into());
        }
        if !self.split.signed && self.split.bits == 1 {
            return refuse("split.signed", "levels of 1 bit are signs".into());
        }
        let payload =
            packed::packed_len(self.split.shape, self.split.bits).map_err(ManifestError::Split)?;
        if payload >= MAX_FRAME {
            return refuse("split.shape", format!("{payload} bytes per sample do not fit a frame"));
        }
        for (name, file) in &self.files {
            let digest = hex::decode(&file.sha256).is_ok_and(|d| d.len() == 32);
            if !is_plain(name) || !digest {
                return refuse("files", format!("'{name}': invalid name or SHA-256"));
            }
        }
        Ok(())
    }
}

/// The first name that an earlier one equals.
fn twice<'a>(mut names: impl Iterator<Item = &'a String>) -> Option<&'a String> {
    let mut known = BTreeSet::new();
    names.find(|name| !known.insert(*name))
}

/// Whether a name is safe in paths and in the lines of the pair digest.
fn is_plain(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    !text.is_empty() && !text.starts_with('.') && text.chars().all(plain)
}

/// Whether `value` is finite and above 0, which a NaN is not.
fn positive(value: f32) -> bool {
    value > 0.0 && value.is_finite()
}
