//! The chores that need tract and the AWS SDK, which compile for minutes; `cargo xtask` starts them.

mod cloud;
mod compare;
mod curve;
mod dataset;
mod eval;
mod figures;
mod gallery;
mod gateway;
mod load;
mod publish;
mod report;
mod subject;
mod times;
mod try_function;
mod twin;

use std::process::ExitCode;

use clap::Parser;

/// Chores that measure and publish.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
enum Chore {
    /// Measure a pair on a dataset's test pictures, with the real engine and the real cloud plan.
    ///
    /// Prints the table that docs and model card show, and writes report.json beside the pair. With --limit,
    /// --policy or --constant nothing is written unless --json names a file.
    Eval(eval::Options),
    /// Time the function as Lambda runs it: cold start, warm requests by batch size, memory, beside onnxruntime.
    BenchCloud(cloud::Options),
    /// Time the component under `wasmtime serve`: what HTTP takes beside the engine, and a bounded load.
    BenchGateway(gateway::Options),
    /// Measure the neighbouring systems beside the plain network: AppealNet, MEANet, sample-wise precision, hashed weights.
    ///
    /// All of them on the same pictures, with the same energy model and runtime. Prints what each does as it is deployed, and
    /// what it gains or loses against the plain network at the same share of pictures at the edge, or as accurate.
    Compare(compare::Options),
    /// Write the tables of all report.json files into docs/results.md, README.md and the model cards.
    Figures(figures::Options),
    /// Write some of a dataset's test pictures into a folder, with their classes, for the page to show.
    Gallery(gallery::Options),
    /// Put a pair into a bucket: its files first, its manifest last, and nothing over what is there.
    ///
    /// A version that is in the bucket is never changed; what a publication that broke off left behind is taken up.
    /// Keys come from the environment, as for the AWS SDKs: AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and
    /// AWS_SESSION_TOKEN.
    Publish(publish::Options),
    /// Give a built function one event, as Lambda would.
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
mod tests {
    use clap::CommandFactory;

    #[test]
    fn commands_in_the_docs_exist() {
        crate::commands::check("cargo xtask", &super::Chore::command(), false);
    }
}
