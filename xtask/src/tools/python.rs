//! What comes from Python's package index: environments that are locked, and tools in wheels that are checked by SHA-256.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::folder;
use crate::{root, step};

/// The Python that runs the recipe, with the packages that it is locked to.
pub fn recipe() -> Result<PathBuf> {
    locked("recipe", "onnx-models/recipe", "PyTorch and what else the recipe needs (a few GB)")
}

/// Python's linter.
pub fn ruff() -> Result<PathBuf> {
    locked("ruff", "xtask", "ruff, Python's linter")?;
    Ok(folder().join("ruff/bin/ruff"))
}

/// The Python that tests the template.
pub fn infra() -> Result<PathBuf> {
    locked("infra", "infra/tests", "what tests CloudFormation's templates")
}

/// Where the AWS and SAM command lines are.
pub fn aws() -> Result<PathBuf> {
    locked("aws", "infra", "the AWS and SAM command lines")?;
    Ok(folder().join("aws/bin"))
}

/// cargo-lambda.
pub fn cargo_lambda() -> Result<PathBuf> {
    Ok(wheel("cargo-lambda")?.join("bin/cargo-lambda"))
}

/// cargo-lambda, and the compiler with which it builds for other machines.
pub fn cargo_lambda_with_zig() -> Result<PathBuf> {
    wheel("zig")?;
    cargo_lambda()
}

/// The Python of the environment `name`, with the packages that the requirements in `from` are locked to.
fn locked(name: &str, from: &str, what: &str) -> Result<PathBuf> {
    let venv = folder().join(name);
    let program = venv.join("bin/python");
    let installed = venv.join("requirements.txt");
    install(&venv, &root().join(from).join("requirements.txt"), &installed, what, &[])?;
    Ok(program)
}

/// Installs the tool of xtask/wheels/NAME.txt, which names its version and digests; gives the folder that it is under.
///
/// # Errors
/// Also where there is no wheel for this machine.
pub fn wheel(name: &str) -> Result<PathBuf> {
    let venv = folder().join("python");
    let installed = venv.join(format!("{name}.txt"));
    let options = ["--no-deps", "--require-hashes", "--only-binary", ":all:"];
    install(&venv, &requirements(name), &installed, &format!("{name}, prebuilt"), &options)?;
    Ok(venv)
}

/// The file with a tool's version and digests, where it comes in a wheel.
pub fn requirements(name: &str) -> PathBuf {
    root().join("xtask/wheels").join(format!("{name}.txt"))
}

/// Installs `wanted`, a file of requirements, unless `installed` says that it is.
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
        step::run("making a Python environment", create.arg(venv))
            .context("python3 with its venv module is needed")?;
    }
    let mut install = step::command(venv.join("bin/pip"), &["install", "--quiet"]);
    install.args(options).arg("--requirement").arg(wanted);
    step::run(&format!("installing {what}"), &mut install)?;
    Ok(fs::write(installed, requirements)?)
}
