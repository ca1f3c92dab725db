//! The tools that the chores need, in pinned versions, installed where they are missing.
//!
//! Cargo's go to `target/tools/bin`, Python's to `target/tools/python`. They are compiled for a quick
//! build rather than a fast tool: none of them spends its time where it matters here.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{root, step, target};

const WASMTIME: (&str, &str) = ("wasmtime-cli", "48.0.8");
/// Equal to the crate `wasm-bindgen` in edge-wasm/Cargo.toml, as it must be.
const WASM_BINDGEN: (&str, &str) = ("wasm-bindgen-cli", "0.2.130");
const WASM_PACK: (&str, &str) = ("wasm-pack", "0.15.1");
const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.18.9");
const CARGO_FUZZ: (&str, &str) = ("cargo-fuzz", "0.13.2");
const CARGO_SBOM: (&str, &str) = ("cargo-sbom", "0.10.0");
const CARGO_LAMBDA: &str = "1.9.2";

/// Where the tools are.
pub fn folder() -> PathBuf {
    target().join("tools")
}

/// A tool's program.
pub fn program(name: &str) -> PathBuf {
    folder().join("bin").join(name)
}

/// PATH with the tools before everything else.
pub fn path() -> std::ffi::OsString {
    let old = env::var_os("PATH").unwrap_or_default();
    let own = [folder().join("bin"), folder().join("python/bin")];
    env::join_paths(own.into_iter().chain(env::split_paths(&old))).unwrap_or(old)
}

/// The wasm targets.
pub fn targets() -> Result<()> {
    ["wasm32-unknown-unknown", "wasm32-wasip2"].into_iter().try_for_each(add_target)
}

/// Rust's library for a target, which rustup adds where it is missing.
pub fn add_target(triple: &str) -> Result<()> {
    let sysroot =
        Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()).output()?;
    let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
    if sysroot.join("lib/rustlib").join(triple).is_dir() {
        return Ok(());
    }
    let mut add = step::command("rustup", &["target", "add", triple]);
    step::run(&format!("adding Rust's target {triple}"), &mut add).map(drop)
}

/// The wasmtime CLI.
pub fn wasmtime() -> Result<PathBuf> {
    let features = "run,compile,cranelift,parallel-compilation,component-model,component-model-async,wasi-http,\
                    serve,wat,logging,backtrace,demangle,addr2line,pooling-allocator";
    cargo_tool("wasmtime", WASMTIME, &["--locked", "--no-default-features", "--features", features])
}

/// wasm-pack, and the wasm-bindgen that it calls.
pub fn wasm_pack() -> Result<PathBuf> {
    cargo_tool("wasm-bindgen", WASM_BINDGEN, &[])?;
    cargo_tool("wasm-pack", WASM_PACK, &["--locked"])
}

/// cargo-deny.
pub fn cargo_deny() -> Result<PathBuf> {
    cargo_tool("cargo-deny", CARGO_DENY, &["--locked"])
}

/// cargo-fuzz.
pub fn cargo_fuzz() -> Result<PathBuf> {
    cargo_tool("cargo-fuzz", CARGO_FUZZ, &["--locked"])
}

/// cargo-sbom.
pub fn cargo_sbom() -> Result<PathBuf> {
    cargo_tool("cargo-sbom", CARGO_SBOM, &["--locked"])
}

fn cargo_tool(name: &str, (package, version): (&str, &str), options: &[&str]) -> Result<PathBuf> {
    let program = program(name);
    if says_version(&program, version) {
        return Ok(program);
    }
    let root = folder();
    let mut install = step::cargo(&["install", package, "--version", version]);
    install
        .args(options)
        .arg("--root")
        .arg(&root)
        .env("CARGO_TARGET_DIR", root.join("build"))
        // wasm-pack only starts other programs.
        .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", if name == "wasm-pack" { "0" } else { "1" })
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    step::run(&format!("installing {package} {version}"), &mut install)?;
    Ok(program)
}

fn says_version(program: &Path, version: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .output()
        .is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(version))
}

/// cargo-lambda, from its Python wheel.
pub fn cargo_lambda() -> Result<PathBuf> {
    let venv = folder().join("python");
    let program = venv.join("bin/cargo-lambda");
    let mut version = Command::new(&program);
    let there = version.args(["lambda", "--version"]).output();
    if there.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(CARGO_LAMBDA)) {
        return Ok(program);
    }
    python(&venv).context("cargo-lambda comes as a Python wheel")?;
    let mut install = step::command(venv.join("bin/pip"), &["install", "--quiet"]);
    install.arg(format!("cargo-lambda=={CARGO_LAMBDA}"));
    step::run(&format!("installing cargo-lambda {CARGO_LAMBDA}"), &mut install)?;
    Ok(program)
}

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

/// The Python of the environment `name`, with the packages that the requirements in `from` are locked to.
fn locked(name: &str, from: &str, what: &str) -> Result<PathBuf> {
    let locked = root().join(from).join("requirements.txt");
    let venv = folder().join(name);
    let installed = venv.join("requirements.txt");
    let program = venv.join("bin/python");
    let wanted = fs::read(&locked)?;
    if fs::read(&installed).is_ok_and(|there| there == wanted) {
        return Ok(program);
    }
    python(&venv)?;
    let mut install = step::command(venv.join("bin/pip"), &["install", "--quiet", "--requirement"]);
    step::run(&format!("installing {what}"), install.arg(&locked))?;
    fs::write(installed, wanted)?;
    Ok(program)
}

/// A Python environment of its own.
fn python(venv: &Path) -> Result<()> {
    let mut create = step::command("python3", &["-m", "venv"]);
    step::run("making a Python environment", create.arg(venv))
        .map(drop)
        .context("python3 with its venv module is needed")
}

/// The page's libraries, bundled into web-demo/lib, and its test driver; then the page as it is served.
pub fn page() -> Result<()> {
    let folder = root().join("web-demo");
    let time = |file: &str| folder.join(file).metadata().and_then(|m| m.modified()).ok();
    let wanted = time("package-lock.json");
    // npm writes its mark before the bundles, which are the last step.
    let made = ["node_modules/.package-lock.json", "lib/chart.d.ts"];
    if made.iter().any(|made| time(made) < wanted) {
        let mut install = step::command("npm", &["ci", "--no-audit", "--no-fund"]);
        install.current_dir(&folder);
        step::run("installing the page's libraries and test driver", &mut install)
            .context("Node's npm is needed")?;
    }
    build_page(&folder)
}

/// The page without its comments, types and indents, two fifths of its JavaScript: every file by itself, so that what is
/// served has the names that it has in web-demo.
fn build_page(folder: &Path) -> Result<()> {
    // A file that is gone would be served, and deployed, for ever.
    match fs::remove_dir_all(site()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut build = step::command("npm", &["run", "build", "--"]);
    build.arg(format!("--outdir={}", site().display())).current_dir(folder);
    step::run("building the page", &mut build).map(drop)
}

/// Where the page is, as it is served.
pub fn site() -> PathBuf {
    target().join("page")
}

/// A Chromium that can run headless, if there is one.
pub fn browser() -> Option<PathBuf> {
    if let Some(named) = env::var_os("FOGLINE_BROWSER") {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|p| p.is_file())
}

/// A Chromium, installed from Debian's packages where that is possible.
pub fn browser_or_install() -> Result<PathBuf> {
    if let Some(browser) = browser() {
        return Ok(browser);
    }
    let root_user = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
    if root_user && Path::new("/usr/bin/apt-get").is_file() {
        let script =
            "apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium";
        step::run(
            "installing Chromium for the page's tests",
            &mut step::command("sh", &["-c", script]),
        )?;
    }
    match browser() {
        Some(browser) => Ok(browser),
        None => bail!(
            "the page's tests need Chromium: install it (Debian: apt-get install chromium) or name one in FOGLINE_BROWSER"
        ),
    }
}
