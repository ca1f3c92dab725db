//! The local stack as a child: store, function and page, up while this lives.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{root, step, target, tools};

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
        let began = Instant::now();
        let mut command =
            step::command(target().join("debug/fogline-stack"), &["--until-stdin-closes"]);
        command.arg("--cargo-lambda").arg(tools::cargo_lambda()?);
        command.arg("--function").arg(target().join("debug/fogline-cloud"));
        command.arg("--models").arg(models).arg("--page").arg(tools::site());
        command.arg("--pkg").arg(root().join("edge-wasm/pkg"));
        if let Some(model) = model {
            command.args(["--model", model]);
        }
        if let Some(gallery) = gallery {
            command.arg("--gallery").arg(gallery);
        }
        let log = target().join("xtask/stack.log");
        std::fs::create_dir_all(target().join("xtask"))?;
        let errors = std::fs::File::create(&log)?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors).spawn();
        let mut child = child.context("starting the local stack")?;
        let mut line = String::new();
        let output = child.stdout.take().context("the stack has no output")?;
        BufReader::new(output).read_line(&mut line)?;
        let at = serde_json::from_str(&line).with_context(|| {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            format!("the local stack did not come up:\n{said}")
        })?;
        eprintln!("✓ store, function and page are up  {:.1} s", began.elapsed().as_secs_f64());
        Ok(Self { child, at })
    }

    /// Waits until the stack ends by itself: for ever, or until Ctrl-C reaches it.
    pub fn wait(mut self) -> Result<()> {
        // Held: `Child::wait` closes the input that it finds, which asks the stack to end.
        let _input = self.child.stdin.take();
        self.child.wait().map(drop).context("waiting for the stack")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // Closing its input asks it to end its children; then it goes.
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}
