//! Fogline's chores: `cargo xtask demo`, `cargo xtask test` and the tools behind them.
//!
//! Orchestration only. Every step says what it does and how long it took; its output goes to
//! `target/xtask/`, and its end is shown when it fails.

mod bench;
mod call;
mod demo;
mod deploy;
#[cfg(test)]
mod docs;
mod first;
mod fresh;
mod fuzz;
mod pack;
mod plan;
mod release;
mod size;
mod stack;
mod stages;
mod step;
mod tally;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Fogline's chores.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build everything, bring up store, function and page on this machine, and classify the samples.
    ///
    /// Installs what is missing into target/tools first. Then it stays up and prints the page's address; Ctrl-C
    /// ends it. Needs Rust, Node and Python; no account, no AWS, no dataset.
    Demo(demo::Options),
    /// Build edge-wasm/pkg, the npm package: the browser's engines with their types; and target/page.
    Engine,
    /// Build the gateway's component, target/wasm32-wasip2/component/fogline.wasm.
    Component,
    /// Run every check and test, as CI does.
    Test(test::Options),
    /// Pack an edge model: QONNX to edge.fog beside it, noted in the manifest.json there.
    Pack(pack::Options),
    /// Measure a pair on a dataset, with the real engine and the real cloud plan; `cargo xtask eval --help` says how.
    #[command(disable_help_flag = true)]
    Eval(Passed),
    /// Measure the neighbouring systems beside the plain network; `cargo xtask compare --help` says how.
    #[command(disable_help_flag = true)]
    Compare(Passed),
    /// Time the edge beside other runtimes, in one run.
    #[command(subcommand)]
    Bench(bench::What),
    /// Reckon what a fleet of edges asks of the function and costs, by simulation from measured times.
    Plan(plan::Options),
    /// Feed hostile bytes to everything that parses them: frames, manifests, packed models.
    Fuzz(fuzz::Options),
    /// Print what a visitor downloads, engine and model, raw and compressed, beside onnxruntime-web and tfjs.
    Size(size::Options),
    /// Write the tables of all report.json files into docs/results.md, README.md and the model cards; --check only compares.
    #[command(disable_help_flag = true)]
    Figures(Passed),
    /// Put a pair into a bucket, its manifest last; `cargo xtask publish --help` says how.
    #[command(disable_help_flag = true)]
    Publish(Passed),
    /// Build what others install into target/release-files: component, browser package, the function's zips, lists of what is
    /// in them, checksums.
    Release(release::Options),
    /// Put function, pair and page on AWS, and send a picture all the way.
    Deploy(deploy::Options),
    /// Put the version of a stage's function before the present one in its place.
    Rollback(deploy::Rollback),
    /// Take a stage down, but for its buckets.
    Destroy(deploy::Destroy),
}

/// Options that go to fogline-measure as they are.
#[derive(clap::Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// The workspace's folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Where cargo puts what it builds.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn main() -> ExitCode {
    let done = match Args::parse().chore {
        Chore::Demo(options) => demo::run(&options),
        Chore::Engine => engine(),
        Chore::Component => tools::targets().and_then(|()| demo::build_component()),
        Chore::Test(options) => test::run(&options),
        Chore::Pack(options) => pack::run(&options),
        Chore::Bench(what) => bench::run(&what),
        Chore::Plan(options) => plan::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Size(options) => size::run(&options),
        Chore::Release(options) => release::run(&options),
        Chore::Deploy(options) => deploy::deploy(&options),
        Chore::Rollback(stage) => deploy::rollback(&stage),
        Chore::Destroy(options) => deploy::destroy(&options),
        Chore::Eval(passed) => heavy("eval", &passed),
        Chore::Compare(passed) => compare(&passed),
        Chore::Figures(passed) => heavy("figures", &passed),
        Chore::Publish(passed) => heavy("publish", &passed),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nerror: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// And the page as it is served, which deploying takes along.
fn engine() -> anyhow::Result<()> {
    tools::targets()?;
    demo::build_page_engines()?;
    tools::page()
}

/// With --keep, the plot as well.
fn compare(passed: &Passed) -> anyhow::Result<()> {
    heavy("compare", passed)?;
    if passed.options.iter().any(|option| option == "--keep") {
        step::run(
            "plotting",
            bench::recipe("plot-compare")?.arg("--models").arg(root().join("onnx-models")),
        )?;
    }
    Ok(())
}

/// A chore that needs the function's crate, and so tract and the AWS SDK.
fn heavy(chore: &str, passed: &Passed) -> anyhow::Result<()> {
    // What runs networks on thousands of pictures is worth an optimised tract.
    let runs_networks = ["eval", "compare"].contains(&chore);
    let folder =
        if runs_networks { step::build_measure()? } else { step::build().map(|()| "debug")? };
    let mut program = std::process::Command::new(target().join(folder).join("fogline-measure"));
    let status = program.arg(chore).args(&passed.options).status()?;
    anyhow::ensure!(status.success(), "cargo xtask {chore} ended with {status}");
    Ok(())
}
