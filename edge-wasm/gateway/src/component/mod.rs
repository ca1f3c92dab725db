//! The command line: its arguments, and one module per command.

mod auth;
mod bench;
mod classifier;
mod classify;
mod cloud;
mod config;
mod drift;
mod eval;
mod fault;
mod fetch;
mod hard;
mod info;
mod line;
mod pair;
mod progress;
mod pull;
mod rollback;
mod serve;
mod settle;
mod signal;
mod spool;
mod transport;
mod watch;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use fogline::{coding, frame, manifest};
use fogline_edge::model;

use fault::{Fault, complain, json, say};

/// Classifies pictures on this device; hard ones are finished in the cloud.
///
/// Options of commands can also be set in the environment or in a TOML file. `COMMAND --help` names each option's variable; its
/// key in the file is its long name. The command line takes precedence over the environment, and the environment over the file.
#[derive(Parser)]
#[command(name = "fogline", version, long_version = versions())]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Classify(classify::Options),
    Eval(eval::Options),
    Watch(Box<watch::Options>),
    Settle(settle::Options),
    Serve(serve::Options),
    Info(info::Options),
    Bench(bench::Options),
    Pull(pull::Options),
    Rollback(rollback::Options),
}

/// Runs the command that the command line names, and returns its exit status.
pub fn main() -> ExitCode {
    let command = match config::layered(Args::command()) {
        Ok(command) => Args::from_arg_matches(&command.get_matches()),
        Err(fault) => return failed(&fault, std::env::args().any(|word| word == "--json")),
    };
    let command = command.unwrap_or_else(|error| error.exit()).command;
    let (result, in_json) = match &command {
        Command::Classify(options) => {
            (wstd::runtime::block_on(classify::run(options)), options.json)
        }
        Command::Eval(options) => (wstd::runtime::block_on(eval::run(options)), options.json),
        Command::Watch(options) => (wstd::runtime::block_on(watch::run(options)), true),
        Command::Settle(options) => (wstd::runtime::block_on(settle::run(options)), options.json),
        Command::Serve(options) => (serve::run(options), false),
        Command::Info(options) => (info::run(options), options.json),
        Command::Bench(options) => (bench::run(options), options.json),
        Command::Pull(options) => (wstd::runtime::block_on(pull::run(options)), options.json),
        Command::Rollback(options) => (rollback::run(options), options.json),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => failed(&fault, in_json),
    }
}

/// The version, and those of the formats that a function and a pair must share with it.
fn versions() -> String {
    format!(
        "{}\nframes: {}, {}\nmanifest.json: 1 to {}\nedge.fog: 1 to {}\nsplit.coder: {}",
        env!("CARGO_PKG_VERSION"),
        frame::VERSION,
        frame::CODED,
        manifest::FORMAT,
        model::VERSION,
        coding::VERSION,
    )
}

fn failed(fault: &Fault, in_json: bool) -> ExitCode {
    if in_json {
        // If this cannot be printed either, the line below still is.
        let _ = say(&json(fault));
    }
    complain(fault);
    ExitCode::FAILURE
}
