//! Runs the function's process behind its own runtime API.

use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use fogline_stack::runtime::Lambda;
use fogline_stack::store::{BUCKET, KEY, LocalStore};
use serde::Serialize;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::load::resident;
use crate::times::ms;

/// Timeout of a request, as Lambda would set it.
const TIME: Duration = Duration::from_secs(30);

/// Timings of one request in milliseconds.
#[derive(Clone, Copy, Serialize)]
pub struct Sample {
    /// From sending the event to receiving the response, at the runtime API.
    pub whole: f64,
    /// Time in tract.
    pub tract: f64,
    /// Time in the rest of the handler. The remainder of `whole` is logging, Lambda's runtime client and the runtime API.
    pub own: f64,
}

/// A running function process and its log.
pub struct Function {
    pub lambda: Lambda,
    process: Child,
    /// Log lines that have not been read yet.
    log: Arc<Mutex<Vec<Value>>>,
}

impl Function {
    /// Starts the function with a store and has it preload this pair. With a runner such as QEMU, `program` is the runner.
    pub async fn start(
        program: &Path,
        arguments: &[&Path],
        store: &LocalStore,
        pair: &str,
    ) -> Result<Self> {
        let lambda = Lambda::start().await?;
        let mut process = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", &lambda.address)
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "1769")
            .env("AWS_ENDPOINT_URL_S3", &store.url)
            .env("AWS_REGION", "eu-central-1")
            .env("AWS_ACCESS_KEY_ID", KEY.0)
            .env("AWS_SECRET_ACCESS_KEY", KEY.1)
            .env("FOGLINE_AUTH", "none")
            .env("FOGLINE_BUCKET", BUCKET)
            .env("FOGLINE_PRELOAD", pair)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| program.display().to_string())?;
        let log = Arc::new(Mutex::new(vec![]));
        let (lines, kept) = (process.stdout.take().context("no output")?, Arc::clone(&log));
        tokio::spawn(async move {
            let mut lines = BufReader::new(lines).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let line = serde_json::from_str(&line).unwrap_or(Value::Null);
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        Ok(Self { lambda, process, log })
    }

    /// Waits for a log line that has this field and returns it; earlier lines are dropped.
    pub async fn logged(&self, field: &str) -> Result<Value> {
        for _ in 0..2000 {
            {
                let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(at) = log.iter().position(|line| line[field].is_number()) {
                    return log.drain(..=at).next_back().context("the line was there");
                }
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        bail!("the function did not log {field}")
    }

    /// Sends an event and times the response.
    pub async fn sample(&self, event: &Bytes) -> Result<Sample> {
        self.lambda.asked().await;
        let start = Instant::now();
        let outcome = self.lambda.invoke(event.clone(), TIME).await?;
        let whole = ms(start);
        let answer =
            outcome.map_err(|error| anyhow::anyhow!("{}", String::from_utf8_lossy(&error)))?;
        ensure!(status(&answer) == Some(200), "{}", String::from_utf8_lossy(&answer));
        let line = self.logged("InferMs").await?;
        let tract = number(&line, "InferMs");
        Ok(Sample { whole, tract, own: number(&line, "TotalMs") - tract })
    }

    /// Resident memory of the process in MiB.
    pub fn resident(&self) -> Result<f64> {
        resident(self.process.id())
    }

    /// Kills the process and waits until it has exited.
    pub async fn kill(mut self) -> Result<()> {
        Ok(self.process.kill().await?)
    }
}

/// A numeric field of a log line; NaN if it is missing.
pub fn number(line: &Value, field: &str) -> f64 {
    line[field].as_f64().unwrap_or(f64::NAN)
}

fn status(answer: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(answer).ok()?["statusCode"].as_u64()
}
