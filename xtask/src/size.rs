//! `cargo xtask size`: download sizes of engine and model, next to other runtimes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::{bench, engines, root, step};

/// Options of `cargo xtask size`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair to measure: a folder with edge.fog and edge.qonnx [default: the latest cifar10-w1].
    #[arg(long, value_name = "DIR")]
    pair: Option<PathBuf>,
    /// Print the sizes as one JSON object on standard output instead of a table.
    #[arg(long)]
    json: bool,
}

/// Total size of one or more files, in bytes.
#[derive(Clone, Copy, Serialize, Deserialize)]
pub struct Size {
    raw: u64,
    /// Size after gzip at level 9.
    pub gzip: u64,
    brotli: u64,
}

/// Builds the engine, installs the peers, measures all sizes and prints them.
pub fn run(options: &Options) -> Result<()> {
    let pair = bench::pair(options.pair.as_deref())?;
    engines::build()?;
    let models = bench::peers(&pair, None)?;
    let installed = |file: &str| root().join("xtask/bench/node_modules").join(file);
    let ort = "onnxruntime-web/dist/";
    let runtime = ["ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm"];
    let tfjs = [
        "tfjs-core/dist/tf-core.min.js",
        "tfjs-backend-wasm/dist/tf-backend-wasm.min.js",
        "tfjs-backend-wasm/dist/tfjs-backend-wasm-simd.wasm",
    ];
    let mut files = ours(&pair);
    files.extend([
        ("onnxruntime-web".into(), runtime.map(|file| installed(&format!("{ort}{file}"))).into()),
        (
            "tfjs, core and wasm".into(),
            tfjs.map(|file| installed(&format!("@tensorflow/{file}"))).into(),
        ),
        ("the edge as f32 ONNX".into(), vec![models.join("edge-f32.onnx")]),
        ("the edge as int8 ONNX".into(), vec![models.join("edge-int8.onnx")]),
    ]);
    let sizes = of(&files)?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&sizes)?);
        return Ok(());
    }
    println!("\nbytes {:>26} {:>10} {:>10}", "raw", "gzip", "brotli");
    // Keep the order of `files`; the map is sorted by name.
    for (name, _) in &files {
        let Size { raw, gzip, brotli } = sizes[name];
        println!("{name:22} {raw:9} {gzip:10} {brotli:10}");
    }
    Ok(())
}

/// Names and files of the page's engines and the pair's edge.
fn ours(pair: &Path) -> Vec<(String, Vec<PathBuf>)> {
    let engine = |folder: &str| {
        ["fogline_edge_bg.wasm", "fogline_edge.js"]
            .map(|file| root().join("edge-wasm").join(folder).join(file))
            .into()
    };
    vec![
        ("engine".into(), engine("pkg")),
        ("engine, relaxed SIMD".into(), engine("pkg/relaxed")),
        ("engine, no SIMD".into(), engine("pkg/scalar")),
        ("model".into(), vec![pair.join("edge.fog")]),
    ]
}

fn of(files: &[(String, Vec<PathBuf>)]) -> Result<BTreeMap<String, Size>> {
    let files: BTreeMap<_, _> = files.iter().map(|(name, files)| (name, files)).collect();
    let mut measure =
        step::command("node", &["xtask/bench/size.mjs", &serde_json::to_string(&files)?]);
    let text = step::run("compressing", &mut measure)?;
    serde_json::from_str(&text).context("xtask/bench/size.mjs printed no sizes")
}
