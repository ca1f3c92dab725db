//! The local stack as a child: store, function and page, up while this lives.

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

/// Lines of its log that a failure shows.
const SHOWN_LINES: usize = 40;

/// The running stack; ends with its standard input, when this is dropped.
pub struct Stack {
    child: Child,
    /// Where everything is.
    pub at: Addresses,
}

/// The line that the stack prints when it is up.
#[derive(Deserialize)]
pub struct Addresses {
    /// The page.
    pub page: String,
    /// The function's base URL.
    pub function: String,
    /// The function's process.
    pub function_pid: Option<u32>,
    /// Folder of the pair that was chosen.
    pub model: PathBuf,
}

impl Stack {
    /// Brings the stack up, with a folder of pictures to show where there is one. The binaries must have been built.
    pub fn start(model: Option<&str>, models: &Path, gallery: Option<&Path>) -> Result<Self> {
        Self::start_on(0, model, models, gallery)
    }

    /// The same with the page on this port; 0 is any free one.
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
            .with_context(|| format!("the local stack did not come up:\n{}", said()))?;
        eprintln!("✓ store, function and page are up  {:.1} s", began.elapsed().as_secs_f64());
        Ok(Self { child, at })
    }

    /// Waits until the stack ends by itself: for ever, or until Ctrl-C reaches it.
    ///
    /// # Errors
    /// When it did not end because it was asked to: a part of it died, or it was killed.
    pub fn wait(mut self) -> Result<()> {
        // Held: `Child::wait` closes the input that it finds, which asks the stack to end.
        let _input = self.child.stdin.take();
        let status = self.child.wait().context("waiting for the stack")?;
        ensure!(status.success(), "the local stack ended, with {status}:\n{}", said());
        Ok(())
    }
}

/// Where the stack's own words go, and the function's.
fn log() -> PathBuf {
    target().join("xtask/stack.log")
}

/// The end of them.
fn said() -> String {
    let text = fs::read_to_string(log()).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

impl Addresses {
    /// How to ask the function oneself: its address, and a command line that is ready to be run in the workspace.
    pub fn how_to_ask(&self) -> String {
        let here = |path: &Path| path.strip_prefix(root()).unwrap_or(path).display().to_string();
        let mut line = here(&tools::program("wasmtime")) + " run -S http --dir .";
        let model = here(&self.model);
        if Path::new(&model).is_absolute() {
            // wasmtime shows the component nothing else.
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

/// Whether the folder has a pair of this name or NAME/VERSION: said before minutes of building, and not after.
///
/// # Errors
/// When it has none; the names that it has are said.
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
    ensure!(!known.is_empty(), "{} holds no NAME/VERSION/manifest.json", models.display());
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
        // Closing its input asks it to end its children; then it goes.
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
        // wasmtime shows the component no other folder by itself, and a shell takes no space unquoted.
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
            assert!(error.starts_with("the local stack ended, with "), "{error}");
        }
    }
}
