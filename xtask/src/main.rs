//! Fogline's development tasks: `cargo xtask demo`, `cargo xtask test` and the tools they need.
//!
//! Orchestration only. Every step prints what it does and how long it took. Its output goes to a log in
//! `target/xtask/`; if the step fails, the end of the log is printed.

mod bench;
mod call;
mod demo;
mod deploy;
#[cfg(test)]
mod docs;
mod engines;
mod first;
mod fresh;
mod fuzz;
mod oci;
mod pack;
mod plan;
mod release;
mod size;
mod stack;
mod stages;
mod step;
mod tally;
mod teach;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Build, test, run, measure and deploy Fogline.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    /// Build everything, start the store, the function and the page locally, and classify the sample pictures.
    ///
    /// Installs missing tools into target/tools first. Prints the page's address and keeps running until Ctrl-C. Needs
    /// Rust, Node and Python, but no AWS account and no dataset.
    Demo(demo::Options),
    /// Build the npm package in edge-wasm/pkg (browser engines and their types) and the page in target/page.
    Engine,
    /// Build the gateway component, target/wasm32-wasip2/component/fogline.wasm.
    Component,
    /// Run all checks and tests, as CI does.
    Test(test::Options),
    /// Train a pair on a folder of your own pictures, and pack and evaluate it.
    Teach(teach::Options),
    /// Pack an edge model: convert edge.qonnx to edge.fog and update manifest.json, all in the same folder.
    Pack(pack::Options),
    /// Measure a pair on a dataset with the real engine and cloud function; see `cargo xtask eval --help`.
    #[command(disable_help_flag = true)]
    Eval(Passed),
    /// Compare the plain network with related systems (AppealNet, MEANet and others); see `cargo xtask compare --help`.
    #[command(disable_help_flag = true)]
    Compare(Passed),
    /// Benchmark the edge, the cloud function or the gateway against other runtimes.
    #[command(subcommand)]
    Bench(bench::What),
    /// Estimate the load and cost of a fleet of devices, by simulation from measured times.
    Plan(plan::Options),
    /// Fuzz the parsers of frames, manifests, packed models, pictures, camera streams and MQTT.
    Fuzz(fuzz::Options),
    /// Print the download sizes of engine and model, raw and compressed, next to onnxruntime-web and tfjs.
    Size(size::Options),
    /// Update the tables in docs/results.md, README.md and the model cards from the report.json files; --check only compares.
    #[command(disable_help_flag = true)]
    Figures(Passed),
    /// Upload a pair to a bucket, manifest last; see `cargo xtask publish --help`.
    #[command(disable_help_flag = true)]
    Publish(Passed),
    /// Build the release files in target/release-files: component, browser package, Lambda zips, SBOMs and checksums.
    Release(release::Options),
    /// Deploy the function, a pair and the page to AWS, and verify that a picture is answered by the function.
    Deploy(deploy::Options),
    /// Roll a stage's function back to an earlier version, by default the previous one.
    Rollback(deploy::Rollback),
    /// Delete a stage, except for its buckets.
    Destroy(deploy::Destroy),
}

/// Options that are passed on to fogline-measure unchanged.
#[derive(clap::Args)]
struct Passed {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// The workspace's root folder.
fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// Cargo's target folder.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn main() -> ExitCode {
    let done = match Args::parse().chore {
        Chore::Demo(options) => demo::run(&options),
        Chore::Engine => engine(),
        Chore::Component => tools::targets().and_then(|()| demo::build_component()),
        Chore::Test(options) => test::run(&options),
        Chore::Teach(options) => teach::run(&options),
        Chore::Pack(options) => pack::run(&options),
        Chore::Bench(what) => bench::run(&what),
        Chore::Plan(options) => plan::run(&options),
        Chore::Fuzz(options) => fuzz::run(&options),
        Chore::Size(options) => size::run(&options),
        Chore::Release(options) => release::run(&options),
        Chore::Deploy(options) => deploy::deploy(&options),
        Chore::Rollback(stage) => deploy::rollback(&stage),
        Chore::Destroy(options) => deploy::destroy(&options),
        Chore::Eval(passed) => eval(passed),
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

/// Builds the npm package and the page, both of which `deploy` uploads.
fn engine() -> anyhow::Result<()> {
    tools::targets()?;
    engines::build()?;
    tools::page()
}

/// Runs the evaluation; with --rate-curve, it gets the Python that plots.
fn eval(mut passed: Passed) -> anyhow::Result<()> {
    if passed.options.iter().any(|option| option == "--rate-curve") {
        let python = tools::recipe()?.display().to_string();
        passed.options.extend(["--python".to_owned(), python]);
    }
    heavy("eval", &passed)
}

/// Runs the comparison; with --keep, also draws its plot.
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

/// Runs a subcommand of fogline-measure, which needs the function's crate and with it tract and the AWS SDK.
fn heavy(chore: &str, passed: &Passed) -> anyhow::Result<()> {
    // Optimise tract for commands that run thousands of pictures.
    let runs_networks = ["eval", "compare"].contains(&chore);
    let folder =
        if runs_networks { step::build_measure()? } else { step::build().map(|()| "debug")? };
    measure(folder, chore, passed)
}

/// Runs a subcommand of the fogline-measure in a `folder` of target/.
fn measure(folder: &str, chore: &str, passed: &Passed) -> anyhow::Result<()> {
    let mut program = std::process::Command::new(target().join(folder).join("fogline-measure"));
    let status = program.arg(chore).args(&passed.options).status()?;
    anyhow::ensure!(status.success(), "cargo xtask {chore} failed with {status}");
    Ok(())
}
