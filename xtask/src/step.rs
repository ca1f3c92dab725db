//! Runs one step: a command with a name, a timer and a log. Several may run at once.

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

/// The last lines on the terminal: the running steps, each with its elapsed time.
static RUNNING: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// Writes a line to standard error, above the running steps.
pub fn say(line: &str) {
    RUNNING.suspend(|| eprintln!("{line}"));
}

/// A cargo command that runs in the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    command(cargo, arguments)
}

/// Builds the whole workspace for this machine. Building single packages, except [with the same features](build_stack),
/// would select other features of shared dependencies and compile tract and the AWS SDK again.
pub fn build() -> Result<()> {
    run("building the workspace", &mut cargo(&["build", "--workspace"])).map(drop)
}

/// Builds fogline-measure and returns the name of its folder in target/. It is optimised, unless FOGLINE_MEASURE is `dev`:
/// tests use few pictures, which are not worth minutes of compiling.
pub fn build_measure() -> Result<&'static str> {
    if std::env::var_os("FOGLINE_MEASURE").is_some_and(|profile| profile == "dev") {
        return build().map(|()| "debug");
    }
    let packages = ["build", "--profile", "measure", "--package", "fogline-measure"];
    run(
        "building the evaluation with an optimised tract (takes minutes the first time)",
        &mut cargo(&packages),
    )
    .map(|_| "measure")
}

/// Builds the function and the local stack. Together they select the same features as the whole workspace.
pub fn build_stack() -> Result<()> {
    let packages = ["build", "--package", "fogline-cloud", "--package", "fogline-stack"];
    run(
        "building the function and the local stack (tract and the AWS SDK take minutes)",
        &mut cargo(&packages),
    )
    .map(drop)
}

/// A command that runs in the workspace.
pub fn command(program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    // Remove the variables that `cargo run` sets for xtask. Build scripts that watch them would otherwise rerun, and
    // their dependents recompile, at every switch between shell and xtask.
    let own = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "OUT_DIR"];
    for (name, _) in std::env::vars_os() {
        if own.iter().any(|prefix| name.to_string_lossy().starts_with(prefix)) {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `command` and shows its elapsed time. Its output goes to a log and is returned.
///
/// # Errors
/// If it cannot be started or fails; the end of its output is printed.
pub fn run(name: &str, command: &mut Command) -> Result<String> {
    fed(name, command, "")
}

/// Like [`run`], with `input` on the command's standard input.
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
    // Dropping the input closes it. Ignore errors: a child that exits early reports its own failure.
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
    bail!("'{name}' failed with {status}; its full output is in {}", log.display())
}

fn log_file(name: &str) -> PathBuf {
    let file: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(48).collect();
    target().join("xtask").join(file + ".log")
}

/// Output of the step's last run.
pub fn log(name: &str) -> String {
    fs::read_to_string(log_file(name)).unwrap_or_default()
}
