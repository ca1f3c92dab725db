//! Finds or installs the browser for the page's tests: Chromium, Chrome or Edge.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use super::debian;

const NAMES: [&str; 8] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "microsoft-edge-stable",
    "msedge",
];

/// Where browsers are installed outside the PATH.
const PLACES: [&str; 7] = [
    "/snap/bin/chromium",
    "/usr/lib/chromium/chromium",
    "/opt/google/chrome/chrome",
    "/opt/microsoft/msedge/msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Microsoft Edge.app/Contents/MacOS/Microsoft Edge",
];

/// Finds a browser that can run headless: the one in FOGLINE_BROWSER or CHROME, else the first on the PATH, else one in a
/// usual place.
pub fn browser() -> Option<PathBuf> {
    let mut named = ["FOGLINE_BROWSER", "CHROME"].into_iter().filter_map(env::var_os);
    // An empty variable counts as unset.
    if let Some(named) = named.find(|named| !named.is_empty()) {
        return Some(named.into());
    }
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .flat_map(|folder| NAMES.map(|name| folder.join(name)))
        .chain(PLACES.map(PathBuf::from))
        .find(|file| file.is_file())
}

/// Advice for installing a browser on this machine.
pub fn how_to_install() -> &'static str {
    let packages = [
        ("/usr/bin/apt-get", "apt-get install chromium"),
        ("/usr/bin/dnf", "dnf install chromium"),
        ("/usr/bin/pacman", "pacman -S chromium"),
        ("/sbin/apk", "apk add chromium"),
        ("/opt/homebrew/bin/brew", "brew install --cask chromium"),
        ("/usr/local/bin/brew", "brew install --cask chromium"),
    ];
    packages
        .into_iter()
        .find(|(manager, _)| Path::new(manager).is_file())
        .map_or("install Chromium, Chrome or Edge, or set CHROME to its path", |(_, command)| {
            command
        })
}

/// Finds a browser, or installs Chromium from Debian's packages if this user may.
pub fn browser_or_install() -> Result<PathBuf> {
    if let Some(browser) = browser() {
        return Ok(browser);
    }
    debian::install("chromium", "Chromium for the page's tests")?;
    match browser() {
        Some(browser) => Ok(browser),
        None => bail!("the page's tests need Chromium; to get it: {}", how_to_install()),
    }
}
