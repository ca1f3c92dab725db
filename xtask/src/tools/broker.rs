//! Finds or installs mosquitto, the MQTT broker for the gateway's tests.

use std::env;
use std::path::PathBuf;

use anyhow::{Context, Result};

use super::debian;

/// The program: that of the PATH, or of the folder of servers, which is not on every user's.
fn found() -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(["/usr/sbin".into(), "/usr/local/sbin".into()]);
    folders.map(|folder| folder.join("mosquitto")).find(|file| file.is_file())
}

/// Finds mosquitto, or installs it from Debian's packages if this user may.
pub fn mosquitto() -> Result<PathBuf> {
    if let Some(program) = found() {
        return Ok(program);
    }
    debian::install("mosquitto", "mosquitto, a broker for the gateway's tests")?;
    found().context(
        "the gateway's tests need mosquitto: apt-get install mosquitto, or brew install mosquitto",
    )
}
