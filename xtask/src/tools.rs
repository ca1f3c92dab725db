//! The tools that the chores need, in pinned versions, installed where they are missing.
//!
//! One that the PATH has, in a version that fits, is taken; else one that others have built, checked by SHA-256; what there
//! is none of is compiled, for a quick build rather than a fast tool: none of them spends its time where it matters here.
//! All are found in `target/tools/bin`.

mod browser;
mod python;

pub use browser::{browser, browser_or_install, how_to_install};
pub use python::{aws, cargo_lambda, cargo_lambda_with_zig, infra, recipe, ruff};

use std::env;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::{root, step, target};

/// Compiled where there is no other; see xtask/wheels/wasmtime.txt for the prebuilt one.
const WASMTIME: (&str, &str) = ("wasmtime-cli", "48.0.8");
/// The oldest wasmtime, by its first number, that all here was tried with.
const OLDEST_WASMTIME: u32 = 48;
const NEXTEST: (&str, &str) = ("cargo-nextest", "0.9.148");
/// Equal to the crate `wasm-bindgen` in edge-wasm/Cargo.toml, as it must be.
const WASM_BINDGEN: (&str, &str) = ("wasm-bindgen-cli", "0.2.130");
const WASM_PACK: (&str, &str) = ("wasm-pack", "0.15.1");
const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.20.2");
const CARGO_FUZZ: (&str, &str) = ("cargo-fuzz", "0.13.2");
const CARGO_SBOM: (&str, &str) = ("cargo-sbom", "0.10.0");

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
    const NAME: &str = "wasmtime";
    // The program itself, which the wheel holds as a file like any other: what it puts into bin starts a Python first.
    let prebuilt = || {
        let libraries = fs::read_dir(python::wheel(NAME).ok()?.join("lib")).ok()?;
        libraries.flatten().find_map(|python| {
            let program = python.path().join("site-packages/wasmtime_cli/wasmtime");
            fs::set_permissions(&program, Permissions::from_mode(0o755)).ok().map(|()| program)
        })
    };
    if let Some(program) = ready_made(NAME, is_new_enough, prebuilt)? {
        return Ok(program);
    }
    let features = "run,compile,cranelift,parallel-compilation,component-model,component-model-async,wasi-http,\
                    serve,wat,logging,backtrace,demangle,addr2line,pooling-allocator,cache";
    compile(WASMTIME, &["--locked", "--no-default-features", "--features", features])?;
    Ok(program(NAME))
}

/// Whether `wasmtime 49.0.4 (…)` is a version that this works with.
fn is_new_enough(said: &str) -> bool {
    let version = said.strip_prefix("wasmtime ").and_then(|rest| rest.split('.').next());
    version.and_then(|first| first.parse().ok()).is_some_and(|first: u32| first >= OLDEST_WASMTIME)
}

/// cargo-nextest, any version of it.
pub fn nextest() -> Result<PathBuf> {
    cargo_tool(NEXTEST.0, NEXTEST, |_| true, &["--locked"])
}

/// wasm-pack, the wasm-bindgen that it calls, and the runner of tests that comes with that.
pub fn wasm_pack() -> Result<PathBuf> {
    for name in ["wasm-bindgen-test-runner", "wasm-bindgen"] {
        // Its one feature is TLS, to drive browsers elsewhere.
        exactly(name, WASM_BINDGEN, &["--no-default-features"])?;
    }
    exactly("wasm-pack", WASM_PACK, &["--locked"])
}

/// cargo-deny.
pub fn cargo_deny() -> Result<PathBuf> {
    exactly("cargo-deny", CARGO_DENY, &["--locked"])
}

/// cargo-fuzz.
pub fn cargo_fuzz() -> Result<PathBuf> {
    exactly("cargo-fuzz", CARGO_FUZZ, &["--locked"])
}

/// cargo-sbom.
pub fn cargo_sbom() -> Result<PathBuf> {
    exactly("cargo-sbom", CARGO_SBOM, &["--locked"])
}

/// A tool in its package's pinned version.
fn exactly(name: &str, package: (&str, &str), options: &[&str]) -> Result<PathBuf> {
    cargo_tool(name, package, |said| said.contains(package.1), options)
}

/// A tool that says a version that `fits`: one that is there, a wheel of its name in xtask/wheels, or compiled.
fn cargo_tool(
    name: &str,
    package: (&str, &str),
    fits: impl Fn(&str) -> bool,
    options: &[&str],
) -> Result<PathBuf> {
    let has_wheel = python::requirements(name).is_file();
    let prebuilt =
        || has_wheel.then(|| python::wheel(name).ok())?.map(|venv| venv.join("bin").join(name));
    if let Some(program) = ready_made(name, fits, prebuilt)? {
        return Ok(program);
    }
    compile(package, options)?;
    Ok(program(name))
}

/// The tool that is installed, the PATH's, or the prebuilt one, in this order: the first that says a version that fits.
fn ready_made(
    name: &str,
    fits: impl Fn(&str) -> bool,
    prebuilt: impl FnOnce() -> Option<PathBuf>,
) -> Result<Option<PathBuf>> {
    let program = program(name);
    let fits = |path: &PathBuf| says(path).is_some_and(|said| fits(&said));
    if fits(&program) {
        return Ok(Some(program));
    }
    let Some(found) = on_path(name).filter(fits).or_else(|| prebuilt().filter(fits)) else {
        return Ok(None);
    };
    link(&found, &program)?;
    Ok(Some(program))
}

/// Compiles all programs of a package.
fn compile((package, version): (&str, &str), options: &[&str]) -> Result<()> {
    let root = folder();
    // By force, over a link to one of the PATH that is gone or outdated.
    let mut install = step::cargo(&["install", "--force", package, "--version", version]);
    install
        .args(options)
        .arg("--root")
        .arg(&root)
        .env("CARGO_TARGET_DIR", root.join("build"))
        // Those two read a small module, and start programs.
        .env(
            "CARGO_PROFILE_RELEASE_OPT_LEVEL",
            if package.starts_with("wasm-") { "0" } else { "1" },
        )
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    step::run(&format!("installing {package} {version}"), &mut install).map(drop)
}

/// What a program says to `--version`.
fn says(program: &Path) -> Option<String> {
    let out = Command::new(program).arg("--version").output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// The first program of this name that the PATH has.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Puts `found` among the tools.
fn link(found: &Path, program: &Path) -> Result<()> {
    fs::create_dir_all(folder().join("bin"))?;
    match fs::remove_file(program) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(std::os::unix::fs::symlink(found, program)?)
}

/// The page as it is served, with its libraries.
pub fn page() -> Result<()> {
    page_libraries()?;
    build_page(&root().join("web-demo"))
}

/// The page's libraries, bundled into web-demo/lib, its bundler and its test driver.
pub fn page_libraries() -> Result<()> {
    let folder = root().join("web-demo");
    let time = |file: &str| folder.join(file).metadata().and_then(|m| m.modified()).ok();
    let wanted = time("package-lock.json");
    // npm writes its mark before the bundles, which are the last step.
    let made = ["node_modules/.package-lock.json", "lib/chart.d.ts"];
    if made.iter().all(|made| time(made) >= wanted) {
        return Ok(());
    }
    let mut install = step::command("npm", &["ci", "--no-audit", "--no-fund"]);
    install.current_dir(&folder);
    step::run("installing the page's libraries and test driver", &mut install)
        .map(drop)
        .context("Node's npm is needed")
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_older_wasmtime_is_not_taken() {
        assert!(is_new_enough("wasmtime 49.0.4 (1a2b3c4 2026-10-08)\n"));
        assert!(is_new_enough("wasmtime 48.0.0"));
        assert!(is_new_enough("wasmtime 104.0.0"));
        assert!(!is_new_enough("wasmtime 47.9.9"));
        assert!(!is_new_enough("wasmtime-py 49.0.0"));
        assert!(!is_new_enough(""));
    }
}
