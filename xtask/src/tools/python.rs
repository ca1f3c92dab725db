//! Installs from Python's package index: locked environments, and tools in wheels that are checked by SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::folder;
use crate::{root, step};

/// Installs the recipe's locked packages and returns their Python.
pub fn recipe() -> Result<PathBuf> {
    locked("recipe", "onnx-models/recipe", "PyTorch and the recipe's other packages (a few GB)")
}

/// Installs ruff, the Python linter, and returns its path.
pub fn ruff() -> Result<PathBuf> {
    locked("ruff", "xtask", "ruff, Python's linter")?;
    Ok(folder().join("ruff/bin/ruff"))
}

/// Installs the packages that test the template and returns their Python.
pub fn infra() -> Result<PathBuf> {
    locked("infra", "infra/tests", "the test tools for CloudFormation templates")
}

/// Installs the AWS and SAM command lines and returns their folder.
pub fn aws() -> Result<PathBuf> {
    locked("aws", "infra", "the AWS and SAM command lines")?;
    Ok(folder().join("aws/bin"))
}

/// Installs cargo-lambda and returns its path.
pub fn cargo_lambda() -> Result<PathBuf> {
    Ok(wheel("cargo-lambda")?.join("bin/cargo-lambda"))
}

/// Installs cargo-lambda and Zig, its cross compiler.
pub fn cargo_lambda_with_zig() -> Result<PathBuf> {
    wheel("zig")?;
    cargo_lambda()
}

/// Installs the locked requirements in `from` into the environment `name` and returns its Python.
fn locked(name: &str, from: &str, what: &str) -> Result<PathBuf> {
    let venv = folder().join(name);
    let program = venv.join("bin/python");
    let installed = venv.join("requirements.txt");
    install(&venv, &root().join(from).join("requirements.txt"), &installed, what, &[])?;
    Ok(program)
}

/// Installs the tool in xtask/wheels/NAME.txt, which has its version and digests. Returns the folder it is under.
///
/// # Errors
/// If the installation fails, for example because there is no wheel for this machine.
pub fn wheel(name: &str) -> Result<PathBuf> {
    let venv = folder().join("python");
    let installed = venv.join(format!("{name}.txt"));
    let options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"];
    install(&venv, &requirements(name), &installed, &format!("{name}, prebuilt"), &options)?;
    Ok(venv)
}

/// The file with the version and digests of a tool's wheel.
pub fn requirements(name: &str) -> PathBuf {
    root().join("xtask/wheels").join(format!("{name}.txt"))
}

/// Installs the requirements file `wanted`, unless its copy `installed` shows that this was already done.
fn install(
    venv: &Path,
    wanted: &Path,
    installed: &Path,
    what: &str,
    options: &[&str],
) -> Result<()> {
    let requirements = fs::read(wanted)?;
    if fs::read(installed).is_ok_and(|there| there == requirements) {
        return Ok(());
    }
    if !venv.join("bin/pip").is_file() {
        let mut create = step::command("python3", &["-m", "venv"]);
        step::run("creating a Python environment", create.arg(venv))
            .context("python3 and its venv module are needed; on Debian, install python3-venv")?;
    }
    let mut install = step::command(venv.join("bin/pip"), &["install", "--quiet"]);
    install.args(options).arg("--requirement").arg(wanted);
    step::run(&format!("installing {what}"), &mut install)?;
    Ok(fs::write(installed, requirements)?)
}
