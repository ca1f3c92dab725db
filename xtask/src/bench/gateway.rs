//! `cargo xtask bench gateway`: the component under `wasmtime serve` and `wasmtime run`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::{build, text};
use crate::{Passed, demo, heavy, step, target, tools};

/// Options of `cargo xtask bench gateway`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair to benchmark: a folder with manifest.json and edge.fog [default: the latest cifar10-w1].
    #[arg(long, value_name = "DIR")]
    pair: Option<PathBuf>,
    /// After single requests, also run a load test of this length, with one busy connection per processor.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    load: u64,
    /// Pictures as DIR/CLASS/*.jpg: also run `eval` on them, through the component and natively.
    #[arg(long, value_name = "DIR")]
    eval: Option<PathBuf>,
}

/// Builds the component and the benchmark, runs them and prints the results.
pub fn run(options: &Options) -> Result<()> {
    tools::targets()?;
    let (pair, wasmtime) = (super::pair(options.pair.as_deref())?, tools::wasmtime()?);
    demo::build_component()?;
    if let Some(pictures) = &options.eval {
        let pictures = pictures.canonicalize().with_context(|| pictures.display().to_string())?;
        eval(&pair, &wasmtime, &pictures)?;
    }
    let passed = [
        ("--pair", text(&pair)),
        ("--wasmtime", text(&wasmtime)),
        ("--component", text(&demo::component())),
        ("--scratch", text(&target().join("bench"))),
        ("--load", options.load.to_string()),
    ];
    let options = passed.into_iter().flat_map(|(name, value)| [name.to_owned(), value]).collect();
    heavy("bench-gateway", &Passed { options })
}

/// Prints pictures per second through the component and natively, with each kernel this machine has. Both builds use the
/// same profile and take turns; the first turn only warms the file cache.
fn eval(pair: &Path, wasmtime: &Path, pictures: &Path) -> Result<()> {
    build(&["--profile", "component", "--features", "eval", "--bin", "fogline-bench-eval"], "")?;
    let native = || {
        let mut eval = step::command(target().join("component/fogline-bench-eval"), &[]);
        step::run("eval natively", eval.arg(pair).arg(pictures))
    };
    let component = || {
        let mut eval = step::command(wasmtime, &["run", "-S", "http"]);
        eval.arg("--dir").arg(pair).arg("--dir").arg(pictures).arg(demo::component());
        eval.arg("eval").arg(pictures).arg("--json").arg("--model").arg(pair);
        step::run("eval through the component", &mut eval)
    };
    native()?;
    let (mut ours, mut theirs) = (0.0_f64, BTreeMap::new());
    for _ in 0..3 {
        let report: Value = serde_json::from_str(&component()?)?;
        let rate = report["picturesPerSecond"].as_f64().context("eval printed no rate")?;
        ours = ours.max(rate);
        let rates: BTreeMap<String, f64> = serde_json::from_str(&native()?)?;
        for (kernels, rate) in rates {
            let best = theirs.entry(kernels).or_insert(0.0_f64);
            *best = best.max(rate);
        }
    }
    println!(
        "eval, pictures per second, best of three turns\n\n{:<24} {ours:8.0}",
        "component, simd128"
    );
    for (kernels, rate) in theirs {
        println!(
            "{:<24} {rate:8.0} {:6.2} times as many",
            format!("native, {kernels}"),
            rate / ours
        );
    }
    println!();
    Ok(())
}
