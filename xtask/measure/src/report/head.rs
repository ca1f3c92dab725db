//! What was measured, and how: the beginning of every kept result.

use std::fmt;

use anyhow::{Result, ensure};
use fogline::manifest::sha256_hex;
use fogline::policy::Policy;
use serde::{Deserialize, Serialize};

use super::Setting;

/// The pair, the data, and the exit policy.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Head {
    pub model: String,
    pub version: String,
    /// SHA-256 of the measured manifest, which covers the files and the thresholds.
    manifest_sha256: String,
    pub data: String,
    date: String,
    pub policy: Policy,
    samples: usize,
}

impl Head {
    pub fn new(setting: &Setting, samples: usize) -> Self {
        Self {
            model: setting.manifest.name.clone(),
            version: setting.manifest.version.clone(),
            manifest_sha256: setting.manifest_sha256.clone(),
            data: setting.data.clone(),
            date: setting.date.clone(),
            policy: setting.policy,
            samples,
        }
    }

    /// Fails if `manifest` is not the measured one. `options` are those with which `eval` measures again.
    pub fn check_is_of(&self, manifest: &[u8], options: &str) -> Result<()> {
        let Self { model, version, .. } = self;
        ensure!(
            self.manifest_sha256 == sha256_hex(manifest),
            "older than the manifest; run cargo xtask eval{options} --model {model}/{version}"
        );
        Ok(())
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, version, data, date, policy, samples, .. } = self;
        writeln!(f, "{model} {version} on {data}")?;
        write!(f, "{samples} test pictures, exits decide by {policy}, {date}")
    }
}
