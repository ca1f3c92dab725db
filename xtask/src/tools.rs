//! Installs the tools that the tasks need, in pinned versions, into `target/tools/bin`.
//!
//! A tool on the PATH is used if its version fits; otherwise a prebuilt binary, checked by SHA-256. If there is neither,
//! the tool is compiled with settings for a fast build, because none of the tools is performance-critical here.

mod broker;
mod browser;
mod debian;
mod python;

pub use broker::mosquitto;
pub use browser::{browser, browser_or_install, how_to_install};
pub use python::{aws, cargo_lambda, cargo_lambda_with_zig, infra, recipe, ruff};

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::fresh::removed;
use crate::{root, step, target};

/// The version to compile; xtask/wheels/wasmtime.txt has the prebuilt one.
const WASMTIME: (&str, &str) = ("wasmtime-cli", "48.0.8");
/// Oldest supported major version of wasmtime.
const OLDEST_WASMTIME: u32 = 48;
const NEXTEST: (&str, &str) = ("cargo-nextest", "0.9.148");
/// Must equal the version of the crate `wasm-bindgen` in edge-wasm/Cargo.toml.
const WASM_BINDGEN: (&str, &str) = ("wasm-bindgen-cli", "0.2.130");
const WASM_PACK: (&str, &str) = ("wasm-pack", "0.15.1");
const CARGO_DENY: (&str, &str) = ("cargo-deny", "0.20.2");
const CARGO_FUZZ: (&str, &str) = ("cargo-fuzz", "0.13.2");
const CARGO_SBOM: (&str, &str) = ("cargo-sbom", "0.10.0");

/// The folder of all tools, `target/tools`.
pub fn folder() -> PathBuf {
    target().join("tools")
}

/// Path of a tool's executable.
pub fn program(name: &str) -> PathBuf {
    folder().join("bin").join(name)
}

/// PATH with the tools' folders first.
pub fn path() -> std::ffi::OsString {
    let old = env::var_os("PATH").unwrap_or_default();
    let own = [folder().join("bin"), folder().join("python/bin")];
    env::join_paths(own.into_iter().chain(env::split_paths(&old))).unwrap_or(old)
}

/// Installs Rust's two WebAssembly targets.
pub fn targets() -> Result<()> {
    ["wasm32-unknown-unknown", "wasm32-wasip2"].into_iter().try_for_each(add_target)
}

/// Installs Rust's standard library for a target if it is missing.
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

/// Installs the wasmtime CLI and returns its path.
pub fn wasmtime() -> Result<PathBuf> {
    const NAME: &str = "wasmtime";
    // Link to the executable inside the wheel: the script that the wheel puts into bin starts Python first.
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

/// Whether the output of `wasmtime --version` names a supported version.
fn is_new_enough(said: &str) -> bool {
    let version = said.strip_prefix("wasmtime ").and_then(|rest| rest.split('.').next());
    version.and_then(|first| first.parse().ok()).is_some_and(|first: u32| first >= OLDEST_WASMTIME)
}

/// Installs cargo-nextest; any version will do.
pub fn nextest() -> Result<PathBuf> {
    cargo_tool(NEXTEST.0, NEXTEST, |_| true, &["--locked"])
}

/// Installs wasm-pack, wasm-bindgen and wasm-bindgen's test runner.
pub fn wasm_pack() -> Result<PathBuf> {
    for name in ["wasm-bindgen-test-runner", "wasm-bindgen"] {
        // Its only default feature is TLS for remote browsers.
        exactly(name, WASM_BINDGEN, &["--no-default-features"])?;
    }
    exactly("wasm-pack", WASM_PACK, &["--locked"])
}

/// Installs cargo-deny and returns its path.
pub fn cargo_deny() -> Result<PathBuf> {
    exactly("cargo-deny", CARGO_DENY, &["--locked"])
}

/// Installs cargo-fuzz and returns its path.
pub fn cargo_fuzz() -> Result<PathBuf> {
    exactly("cargo-fuzz", CARGO_FUZZ, &["--locked"])
}

/// Installs cargo-sbom and returns its path.
pub fn cargo_sbom() -> Result<PathBuf> {
    exactly("cargo-sbom", CARGO_SBOM, &["--locked"])
}

/// Installs a tool in exactly its pinned version.
fn exactly(name: &str, package: (&str, &str), options: &[&str]) -> Result<PathBuf> {
    cargo_tool(name, package, |said| said.contains(package.1), options)
}

/// Installs a tool whose version `fits`: one that exists, one from a wheel in xtask/wheels, or a compiled one.
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

/// Finds a tool whose version fits: already installed, on the PATH, or prebuilt, in this order.
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

/// Compiles and installs all executables of a package.
fn compile((package, version): (&str, &str), options: &[&str]) -> Result<()> {
    let root = folder();
    // --force replaces a stale link to a tool on the PATH.
    let mut install = step::cargo(&["install", "--force", package, "--version", version]);
    install
        .args(options)
        .arg("--root")
        .arg(&root)
        .env("CARGO_TARGET_DIR", root.join("build"))
        // wasm-pack and wasm-bindgen have little to do, so they need no optimisation.
        .env(
            "CARGO_PROFILE_RELEASE_OPT_LEVEL",
            if package.starts_with("wasm-") { "0" } else { "1" },
        )
        .env("CARGO_PROFILE_RELEASE_LTO", "off")
        .env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16")
        .env("CARGO_PROFILE_RELEASE_DEBUG", "0");
    step::run(&format!("installing {package} {version}"), &mut install).map(drop)
}

/// Output of `program --version`.
fn says(program: &Path) -> Option<String> {
    let out = Command::new(program).arg("--version").output().ok()?;
    out.status.success().then(|| String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Looks up an executable on the PATH.
fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
}

/// Links `program` in the tools' folder to `found`.
fn link(found: &Path, program: &Path) -> Result<()> {
    fs::create_dir_all(folder().join("bin"))?;
    removed(fs::remove_file(program))?;
    Ok(std::os::unix::fs::symlink(found, program)?)
}

/// Builds the page with its libraries.
pub fn page() -> Result<()> {
    page_libraries()?;
    build_page(&root().join("web-demo"))
}

/// Installs the page's libraries (bundled into web-demo/lib), its bundler and its test driver.
pub fn page_libraries() -> Result<()> {
    let folder = root().join("web-demo");
    let time = |file: &str| folder.join(file).metadata().and_then(|m| m.modified()).ok();
    let wanted = time("package-lock.json");
    // Check the bundles too: npm writes its own marker file before they are built.
    let made = ["node_modules/.package-lock.json", "lib/chart.d.ts"];
    if made.iter().all(|made| time(made) >= wanted) {
        return Ok(());
    }
    let mut install = step::command("npm", &["ci", "--no-audit", "--no-fund"]);
    install.current_dir(&folder);
    step::run("installing the page's libraries and test driver", &mut install)
        .map(drop)
        .context("npm is needed; install Node.js 20.10 or newer")
}

/// Builds the served page: minifies every file separately, so that it keeps its name from web-demo. Comments, types and
/// indentation are two fifths of the JavaScript.
fn build_page(folder: &Path) -> Result<()> {
    // Start empty, or files that were removed from web-demo would still be served and deployed.
    removed(fs::remove_dir_all(site()))?;
    let mut build = step::command("npm", &["run", "build", "--"]);
    build.arg(format!("--outdir={}", site().display())).current_dir(folder);
    step::run("building the page", &mut build).map(drop)
}

/// Folder of the built page.
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
