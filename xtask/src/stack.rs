//! The local stack (store, function and page) as a child process.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::call::quoted;
use crate::{demo, root, step, target, tools};

/// Number of log lines shown after a failure.
const SHOWN_LINES: usize = 40;

/// A running stack. Dropping it closes the child's standard input, which stops it.
pub struct Stack {
    child: Child,
    /// The addresses of the stack's parts.
    pub at: Addresses,
}

/// The addresses that the stack prints as one JSON line when it is up.
#[derive(Deserialize)]
pub struct Addresses {
    /// URL that serves the page.
    pub page: String,
    /// Base URL of the Lambda function.
    pub function: String,
    /// The function's process id.
    pub function_pid: Option<u32>,
    /// Folder of the chosen pair.
    pub model: PathBuf,
}

impl Stack {
    /// Starts the stack, with a folder of pictures for the page if given. The binaries must already be built.
    pub fn start(model: Option<&str>, models: &Path, gallery: Option<&Path>) -> Result<Self> {
        Self::start_on(0, model, models, gallery)
    }

    /// Starts the stack with the page on this port; 0 chooses a free one.
    pub fn start_on(
        port: u16,
        model: Option<&str>,
        models: &Path,
        gallery: Option<&Path>,
    ) -> Result<Self> {
        let began = Instant::now();
        let mut command =
            step::command(target().join("debug/fogline-stack"), &["--until-stdin-closes"]);
        command.arg("--cargo-lambda").arg(tools::cargo_lambda()?);
        command.arg("--function").arg(target().join("debug/fogline-cloud"));
        command.arg("--models").arg(models).arg("--page").arg(tools::site());
        command.arg("--pkg").arg(root().join("edge-wasm/pkg"));
        command.args(["--port", &port.to_string()]);
        if let Some(model) = model {
            command.args(["--model", model]);
        }
        if let Some(gallery) = gallery {
            command.arg("--gallery").arg(gallery);
        }
        fs::create_dir_all(target().join("xtask"))?;
        let errors = fs::File::create(log())?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut child = child.context("starting the local stack")?;
        let mut line = String::new();
        let output = child.stdout.take().context("the stack has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let at = serde_json::from_str(&line)
            .with_context(|| format!("the local stack did not start:\n{}", said()))?;
        eprintln!("✓ store, function and page are running  {:.1} s", began.elapsed().as_secs_f64());
        Ok(Self { child, at })
    }

    /// Waits until the stack exits, usually because of Ctrl-C.
    ///
    /// # Errors
    /// If it failed: one of its parts exited, or it was killed.
    pub fn wait(mut self) -> Result<()> {
        // Take the input out: `Child::wait` would close it, and that stops the stack.
        let _input = self.child.stdin.take();
        let status = self.child.wait().context("waiting for the stack")?;
        ensure!(status.success(), "the local stack failed with {status}:\n{}", said());
        Ok(())
    }
}

/// The log file of the stack and the function.
fn log() -> PathBuf {
    target().join("xtask/stack.log")
}

/// The last lines of the log.
fn said() -> String {
    let text = fs::read_to_string(log()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

impl Addresses {
    /// Instructions for calling the function: its address, and a command line to run in the workspace.
    pub fn how_to_ask(&self) -> String {
        let here = |path: &Path| path.strip_prefix(root()).unwrap_or(path).display().to_string();
        let mut line = here(&tools::program("wasmtime")) + " run -S http --dir .";
        let model = here(&self.model);
        if Path::new(&model).is_absolute() {
            // wasmtime gives the component access to no other folder.
            let _ = write!(line, " --dir {}", quoted(&model));
        }
        format!(
            "The function is at {}\n\n    {line} {} \\\n        classify web-demo/samples/frog.png --model {} --cloud {}\n",
            self.function,
            quoted(&here(&demo::component())),
            quoted(&model),
            self.function
        )
    }
}

/// Checks, before minutes of building, that the folder has a pair NAME or NAME/VERSION.
///
/// # Errors
/// If it has none; the message lists those that it has.
pub fn has(models: &Path, model: Option<&str>) -> Result<()> {
    let folders = |folder: &Path| -> Result<Vec<PathBuf>> {
        let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
        Ok(entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_dir())
            .collect())
    };
    let mut known = vec![];
    for name in folders(models)? {
        for pair in folders(&name)? {
            if pair.join("manifest.json").is_file() {
                known.push(pair.strip_prefix(models)?.display().to_string());
            }
        }
    }
    ensure!(!known.is_empty(), "{} has no NAME/VERSION/manifest.json", models.display());
    known.sort();
    let is_meant = |pair: &String| match model {
        Some(model) => pair == model || pair.starts_with(&format!("{model}/")),
        None => true,
    };
    let (model, models) = (model.unwrap_or_default(), models.display());
    ensure!(known.iter().any(is_meant), "{models} has no '{model}', only {}", known.join(", "));
    Ok(())
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Closing its input makes it stop its children and exit.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_that_is_not_there_is_missed_before_anything_is_built() {
        let root = tempfile::tempdir().unwrap();
        let folder = root.path().join("mine/1.0.0");
        fs::create_dir_all(&folder).unwrap();
        assert!(has(root.path(), None).is_err());
        fs::write(folder.join("manifest.json"), "{}").unwrap();
        for there in [None, Some("mine"), Some("mine/1.0.0")] {
            has(root.path(), there).unwrap();
        }
        for none in ["min", "mine/1", "mine/1.0.1", "1.0.0", "", "mine/"] {
            let error = has(root.path(), Some(none)).unwrap_err().to_string();
            assert!(error.ends_with(&format!("has no '{none}', only mine/1.0.0")), "{error}");
        }
        assert!(has(&root.path().join("none"), None).is_err());
    }

    #[test]
    fn the_line_that_asks_the_function_is_ready_to_be_run() {
        let line = |model: &Path| {
            let [page, function] = ["http://p/", "http://f"].map(String::from);
            let at = Addresses { page, function, function_pid: None, model: model.into() };
            at.how_to_ask().replace("\\\n", "").split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let ours = line(&root().join("onnx-models/a/1"));
        assert!(ours.contains(" run -S http --dir . "), "{ours}");
        let end = "fogline.wasm classify web-demo/samples/frog.png --model onnx-models/a/1 --cloud http://f";
        assert!(ours.ends_with(end), "{ours}");
        // Folders outside the workspace need their own --dir, and spaces need quotes.
        let own = line(Path::new("/my models/a/1"));
        assert!(own.contains("--dir . --dir \"/my models/a/1\""), "{own}");
        assert!(own.contains("--model \"/my models/a/1\" --cloud"), "{own}");
    }

    #[test]
    fn a_part_that_dies_is_an_error_of_the_demos() {
        let stack = |script: &str| {
            let child = std::process::Command::new("sh").args(["-c", script]).spawn().unwrap();
            let [page, function] = ["http://p/", "http://f"].map(String::from);
            Stack { child, at: Addresses { page, function, function_pid: None, model: "m".into() } }
        };
        assert!(stack("exit 0").wait().is_ok());
        for script in ["exit 1", "kill -KILL $$"] {
            let error = stack(script).wait().unwrap_err().to_string();
            assert!(error.starts_with("the local stack failed with "), "{error}");
        }
    }
}
