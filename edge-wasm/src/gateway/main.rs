//! `fogline`, the command for gateways: a WASI 0.2 component that runs under the wasmtime CLI.

#[cfg(not(target_os = "wasi"))]
compile_error!("the gateway is a WASI component: build it with --target wasm32-wasip2");

mod auth;
mod bench;
mod classify;
mod cloud;
mod eval;
mod fault;
mod info;
mod pair;
mod progress;
mod settle;
mod spool;
mod transport;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use fault::{complain, json, say};

/// Classifies pictures on this device; hard ones finish in the cloud.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Classify(classify::Options),
    Eval(eval::Options),
    Settle(settle::Options),
    Info(info::Options),
    Bench(bench::Options),
}

fn main() -> ExitCode {
    let command = Args::parse().command;
    let (result, in_json) = match &command {
        Command::Classify(options) => {
            (wstd::runtime::block_on(classify::run(options)), options.json)
        }
        Command::Eval(options) => (wstd::runtime::block_on(eval::run(options)), options.json),
        Command::Settle(options) => (wstd::runtime::block_on(settle::run(options)), options.json),
        Command::Info(options) => (info::run(options), options.json),
        Command::Bench(options) => (bench::run(options), options.json),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(fault) => {
            if in_json {
                // Where this cannot be said, the line below is all there is.
                let _ = say(&json(&fault));
            }
            complain(&fault);
            ExitCode::FAILURE
        }
    }
}
