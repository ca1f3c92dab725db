//! The page's engines: the npm package `edge-wasm/pkg`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::fresh::{Stamp, removed};
use crate::{root, step, tools};

/// RUSTFLAGS for WebAssembly builds with SIMD.
pub const SIMD: &str = "-C target-feature=+simd128";

/// RUSTFLAGS of the engine for browsers with relaxed SIMD. It is a separate build because a browser without it rejects the
/// whole module.
pub const RELAXED: &str = "-C target-feature=+simd128,+relaxed-simd";

/// RUSTFLAGS of the engine for browsers without SIMD.
const SCALAR: &str = "-C target-feature=-simd128";

/// RUSTFLAGS that keep the page's engine small: kernels say themselves what is compiled into them; of the rest, less is.
pub const INLINE: &str = " -C llvm-args=-inline-threshold=25";

/// Linker options of the page's engine. They drop the function names, a tenth of the download, which Cargo's `strip` would
/// keep. wasm-bindgen needs the two kept sections.
const STRIP: &str = " -C link-arg=--strip-all -C link-arg=--keep-section=__wasm_bindgen_unstable \
                     -C link-arg=--keep-section=target_features";

/// The sources of the page's engines and of this build.
const SOURCES: [&str; 10] = [
    "edge-wasm/src",
    "edge-wasm/Cargo.toml",
    "edge-wasm/README.md",
    "shared/src",
    "shared/Cargo.toml",
    "shared/policies.json",
    "Cargo.toml",
    "Cargo.lock",
    "rust-toolchain.toml",
    "xtask/src",
];

/// An engine: which pages run it, its folder in the package, and its RUSTFLAGS.
type Engine = (&'static str, &'static str, &'static str);

/// The page's engines: for browsers with SIMD, with relaxed SIMD, and with neither.
const ENGINES: [Engine; 3] = [
    ("the page", "", SIMD),
    ("pages with relaxed SIMD", "relaxed", RELAXED),
    ("pages without SIMD", "scalar", SCALAR),
];

/// Builds the npm package with all three engines.
pub fn build() -> Result<()> {
    if are_fresh(&ENGINES) {
        return Ok(());
    }
    stamp().set(false)?;
    build_these(&ENGINES)?;
    join_packages()?;
    stamp().set(true)
}

/// Builds only the engine with SIMD, unless all three are up to date. The local stack serves it to browsers with relaxed SIMD
/// too, and the demo's first run is a minute shorter.
pub fn build_simd() -> Result<()> {
    let (simd, others) = ENGINES.split_at(1);
    if are_fresh(simd) {
        return Ok(());
    }
    stamp().set(false)?;
    // They are of older sources, and [`build`] must miss them.
    for (_, folder, _) in others {
        removed(fs::remove_dir_all(package().join(folder)))?;
    }
    build_these(simd)?;
    stamp().set(true)
}

/// When the engines that are there were built.
fn stamp() -> Stamp {
    Stamp::of("engines")
}

fn are_fresh(engines: &[Engine]) -> bool {
    let is_there =
        |(_, folder, _): &Engine| package().join(folder).join("fogline_edge_bg.wasm").is_file();
    stamp().is_fresh(&SOURCES) && engines.iter().all(is_there)
}

/// The folder of the npm package.
fn package() -> PathBuf {
    root().join("edge-wasm/pkg")
}

/// Builds engines with wasm-pack, each as a package of its own.
fn build_these(engines: &[Engine]) -> Result<()> {
    for (name, folder, features) in engines {
        let mut build =
            step::command(tools::wasm_pack()?, &["build", "edge-wasm", "--mode", "no-install"]);
        build.args(["--target", "web", "--profile", "wasm", "--no-opt", "--out-dir"]);
        build.arg(Path::new("pkg").join(folder));
        build.env("PATH", tools::path()).env("RUSTFLAGS", [features, INLINE, STRIP].concat());
        step::run(&format!("building the engine for {name}"), &mut build)?;
    }
    tools::page_libraries()?;
    for (name, folder, _) in engines {
        // Half of the JavaScript from wasm-bindgen is comments and indentation, which every visitor would download.
        let glue = package().join(folder).join("fogline_edge.js");
        let esbuild = root().join("web-demo/node_modules/.bin/esbuild");
        let mut minify = step::command(esbuild, &["--minify", "--format=esm", "--allow-overwrite"]);
        minify.arg(format!("--outfile={}", glue.display())).arg(&glue);
        step::run(&format!("minifying the bindings for {name}"), &mut minify)?;
    }
    Ok(())
}

/// Joins wasm-pack's three packages into one: the other two engines become entry points of the first.
fn join_packages() -> Result<()> {
    let description = package().join("package.json");
    let mut joined: serde_json::Value = serde_json::from_slice(&fs::read(&description)?)?;
    joined["exports"] = serde_json::json!({
        ".": "./fogline_edge.js",
        "./relaxed": "./relaxed/fogline_edge.js",
        "./scalar": "./scalar/fogline_edge.js",
        "./*.wasm": "./*.wasm",
    });
    let files =
        joined["files"].as_array_mut().context("wasm-pack's package.json has no 'files'")?;
    for (_, folder, _) in &ENGINES[1..] {
        // npm would treat a nested package.json as a separate package, and leave out what .gitignore lists.
        for file in ["package.json", ".gitignore", "README.md"] {
            fs::remove_file(package().join(folder).join(file))?;
        }
        files.push(format!("{folder}/*").into());
    }
    Ok(fs::write(description, serde_json::to_string_pretty(&joined)? + "\n")?)
}
