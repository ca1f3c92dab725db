//! Debian's packages, for what no other registry has.

use std::path::Path;
use std::process::Command;

use anyhow::Result;

use crate::step;

/// Installs a package if this user may.
pub fn install(package: &str, what: &str) -> Result<()> {
    let root_user = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if !root_user || !Path::new("/usr/bin/apt-get").is_file() {
        return Ok(());
    }
    let script =
        format!("apt-get update -qq && apt-get install -y -qq --no-install-recommends {package}");
    step::run(&format!("installing {what}"), &mut step::command("sh", &["-c", &script])).map(drop)
}
