//! Runs the component under `wasmtime serve`, and its clients.

use std::fs;
use std::net::SocketAddr;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::Options;
use crate::load::{Worker, resident};
use crate::times::ms;

/// Timings of one request in milliseconds.
pub struct Sample {
    pub whole: f64,
    /// Time in the engine, as the answer reports it.
    pub edge: f64,
}

/// A request body and its content type.
pub type Question = (&'static str, Bytes);

/// A running `wasmtime serve` with the component.
pub struct Server {
    process: Child,
    address: SocketAddr,
}

impl Server {
    /// Starts the component, with a folder for its metrics.
    pub async fn start(options: &Options) -> Result<Self> {
        let metrics = options.scratch.join("metrics");
        let _ = fs::remove_dir_all(&metrics);
        fs::create_dir_all(&metrics)?;
        let mut command = Command::new(&options.wasmtime);
        command.args(["serve", "-S", "cli", "--addr", "127.0.0.1:0"]);
        command.args(["--max-instance-reuse-count", "1000000000"]);
        command.args(["--idle-instance-timeout", "3600s", "--max-concurrent-requests", "16"]);
        for (variable, folder) in [("MODEL", &options.pair), ("METRICS", &metrics)] {
            let folder = folder.display();
            command.args(["--dir", &folder.to_string()]);
            command.args(["--env", &format!("FOGLINE_{variable}={folder}")]);
        }
        command.arg(&options.component).stderr(Stdio::piped()).kill_on_drop(true);
        let mut process = command.spawn().context("starting wasmtime")?;
        let mut lines = BufReader::new(process.stderr.take().context("no output")?).lines();
        let line = lines.next_line().await?.context("wasmtime ended")?;
        let address = line.strip_prefix("Serving HTTP on http://").context(line.clone())?;
        let address = address.trim_end_matches('/').parse()?;
        tokio::spawn(async move {
            while let Ok(Some(line)) = lines.next_line().await {
                eprintln!("{line}");
            }
        });
        Ok(Self { process, address })
    }

    /// Resident memory of wasmtime in MiB.
    pub fn resident(&self) -> Result<f64> {
        resident(self.process.id())
    }

    /// Connects a client that sends these requests in turn.
    pub async fn client(&self, questions: &[Question]) -> Result<Client> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(Client { sender, questions: questions.into(), next: 0 })
    }

    /// Number of answers according to /metrics.
    pub async fn counted(&self) -> Result<usize> {
        let request = Request::get("/metrics").header("host", "gateway").body(Full::default())?;
        let mut client = self.client(&[]).await?;
        let text = String::from_utf8(client.send(request).await?.to_vec())?;
        let samples = text.lines().filter(|line| line.starts_with("fogline_samples_total{"));
        let numbers = samples.filter_map(|line| line.rsplit(' ').next()?.parse::<usize>().ok());
        Ok(numbers.sum())
    }
}

/// A client with one connection.
pub struct Client {
    sender: SendRequest<Full<Bytes>>,
    questions: Arc<[Question]>,
    next: usize,
}

impl Client {
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Bytes> {
        self.sender.ready().await?;
        let response = self.sender.send_request(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(status == 200, "{status}: {}", String::from_utf8_lossy(&body));
        Ok(body)
    }
}

impl Worker for Client {
    type Sample = Sample;

    async fn ask(&mut self) -> Result<Sample> {
        let (content_type, body) = self.questions[self.next % self.questions.len()].clone();
        self.next += 1;
        let request = Request::post("/classify")
            .header("host", "gateway")
            .header("content-type", content_type)
            .body(Full::new(body))?;
        let start = Instant::now();
        let answer = self.send(request).await?;
        let whole = ms(start);
        let answer: Value = serde_json::from_slice(&answer)?;
        let edge = answer["answers"][0]["timings"]["edgeMs"].as_f64();
        Ok(Sample { whole, edge: edge.context("an answer without the engine's time")? })
    }
}
