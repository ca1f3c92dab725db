//! The tasks of `cargo xtask` that need tract and the AWS SDK, which take minutes to compile.

mod cloud;
mod compare;
mod curve;
mod dataset;
mod drift;
mod eval;
mod figures;
mod gallery;
mod gateway;
mod labels;
mod load;
mod publish;
mod rate;
mod report;
mod subject;
mod times;
mod try_cloud;
mod try_function;
mod twin;

use std::process::ExitCode;

use clap::Parser;

/// Measure and publish pairs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Measure a pair on a dataset's test pictures, with the real engine and cloud function.
    ///
    /// Prints the table that docs and model card show, then the classes and what to photograph next, and writes report.json
    /// to the pair's folder. With --limit, --policy or --constant, it writes files only if --json names one.
    ///
    /// With --rate-curve, it also measures accuracy against bytes, of the system and of pictures that are sent as JPEG or WebP
    /// to the full-precision twin, which must be in the pair's folder as twin.onnx.
    ///
    /// With --drift, it also measures how soon a device notices that its pictures got worse.
    Eval(eval::Options),
    /// Benchmark the function as Lambda runs it: cold start, warm requests by batch size, memory; against onnxruntime.
    BenchCloud(cloud::Options),
    /// Benchmark the component under `wasmtime serve`: the cost of HTTP on top of the engine, and a load test.
    BenchGateway(gateway::Options),
    /// Compare the plain network with related systems: AppealNet, MEANet, per-sample precision, hashed weights.
    ///
    /// All run on the same pictures with the same energy model and runtime. Prints each system as deployed, and its gain or
    /// loss against the plain network at the same offload rate and at the same accuracy.
    Compare(compare::Options),
    /// Update the tables in docs/results.md, README.md and the model cards from the report.json files.
    Figures(figures::Options),
    /// Copy some of a dataset's test pictures and their classes to a folder for the page.
    Gallery(gallery::Options),
    /// Upload a pair to a bucket: files first, manifest last, overwriting nothing.
    ///
    /// A version that is in the bucket never changes. An interrupted upload can be repeated. AWS credentials come from
    /// AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary credentials, AWS_SESSION_TOKEN.
    Publish(publish::Options),
    /// Run a pair's cloud part once, as the function would.
    TryCloud(try_cloud::Options),
    /// Send one event to a built function, as Lambda would.
    TryFunction(try_function::Options),
}

fn main() -> ExitCode {
    let done = match Chore::parse() {
        Chore::Eval(options) => eval::run(&options),
        Chore::BenchCloud(options) => cloud::run(&options),
        Chore::BenchGateway(options) => gateway::run(&options),
        Chore::Compare(options) => compare::run(&options),
        Chore::Figures(options) => figures::run(&options),
        Chore::Gallery(options) => gallery::run(&options),
        Chore::Publish(options) => publish::run(&options),
        Chore::TryCloud(options) => try_cloud::run(&options),
        Chore::TryFunction(options) => try_function::run(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[path = "../../src/docs/commands.rs"]
mod commands;
#[cfg(test)]
#[path = "../../src/docs/pages.rs"]
mod pages;

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn commands_in_the_docs_exist() {
        crate::commands::check("cargo xtask", &super::Chore::command(), false);
    }
}
