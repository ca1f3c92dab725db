//! One step of a chore: a command with a name, a clock and a log. Several may run at once.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::{root, target};

const SHOWN_LINES: usize = 40;

/// The terminal's last lines: the steps that are running, each with its clock.
static RUNNING: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes a line to standard error, above the steps that are running.
pub fn say(line: &str) {
    RUNNING.suspend(|| eprintln!("{line}"));
}

/// cargo, in the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(cargo, arguments)
}

/// Builds the whole workspace for this machine. All of it, or [what is a part of it to the last feature](build_stack):
/// other parts would choose other features of shared dependencies, and compile tract and the AWS SDK anew for each choice.
pub fn build() -> Result<()> {
    run("building the workspace", &mut cargo(&["build", "--workspace"])).map(drop)
}

/// Builds the evaluation, and gives the folder that it is in: optimised, but where FOGLINE_MEASURE names cargo's profile `dev`,
/// as tests do, whose few pictures are not worth minutes of compiling.
pub fn build_measure() -> Result<&'static str> {
    if std::env::var_os("FOGLINE_MEASURE").is_some_and(|profile| profile == "dev") {
        return build().map(|()| "debug");
    }
    let packages = ["build", "--profile", "measure", "--package", "fogline-measure"];
    run(
        "building the evaluation with an optimised tract (minutes, the first time)",
        &mut cargo(&packages),
    )
    .map(|_| "measure")
}

/// Builds function and local stack, whose features are those of the whole workspace.
pub fn build_stack() -> Result<()> {
    let packages = ["build", "--package", "fogline-cloud", "--package", "fogline-stack"];
    run(
        "building function and local stack (tract and the AWS SDK take minutes)",
        &mut cargo(&packages),
    )
    .map(drop)
}

/// Any command, in the workspace.
pub fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // What `cargo run` tells xtask about itself is not for the cargo below it: build scripts that watch these
    // would run again, and all that depends on them be compiled again, at every change between shell and xtask.
    let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "OUT_DIR"];
    for (name, _) in std::env::vars_os() {
        if own.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` to its end, with the time on the terminal; its output goes to a log and is given back.
///
/// # Errors
/// When it cannot be started or fails; the error shows the end of its output.
pub fn run(name: &str, command: &mut Command) -> Result<String> {
    fed(name, command, "")
}

/// The same for a command that reads `input`.
pub fn fed(name: &str, command: &mut Command, input: &str) -> Result<String> {
    let log = log_file(name);
    fs::create_dir_all(target().join("xtask"))?;
    let output = File::create(&log).with_context(|| format!("writing {}", log.display()))?;
    command.stdin(Stdio::piped()).stdout(output.try_clone()?).stderr(output);
    let program = command.get_program().to_string_lossy().into_owned();
    let began = Instant::now();
    let mut child = command.spawn().with_context(|| format!("starting {program}"))?;
    let style = ProgressStyle::with_template("  {msg} … {elapsed}").expect("a template");
    let line =
        RUNNING.add(ProgressBar::new_spinner().with_style(style).with_message(name.to_owned()));
    if RUNNING.is_hidden() {
        eprintln!("  {name} …");
    }
    line.enable_steady_tick(Duration::from_secs(1));
    // Closed at once: what reads on finds the end. A child that reads nothing has its own word to say.
    let _ = child.stdin.take().map(|mut stdin| stdin.write_all(input.as_bytes()));
    let status = child.wait()?;
    line.finish_and_clear();
    let text = String::from_utf8_lossy(&fs::read(&log)?).into_owned();
    let seconds = began.elapsed().as_secs_f64();
    if status.success() {
        say(&format!("✓ {name}  {seconds:.1} s"));
        return Ok(text);
    }
    let lines: Vec<&str> = text.lines().collect();
    let end = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n    ");
    say(&format!("✗ {name}  {seconds:.1} s\n    {end}"));
    bail!("'{name}' failed with {status}; all of its output is in {}", log.display())
}

fn log_file(name: &str) -> PathBuf {
    let file: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(48).collect();
    target().join("xtask").join(file + ".log")
}

/// What the last run of a step printed.
pub fn log(name: &str) -> String {
    fs::read_to_string(log_file(name)).unwrap_or_default()
}
