//! The component under `wasmtime serve`, on a port of its own, and a client that can send anything.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use prometheus_parse::{Scrape, Value as Metric};
use serde_json::Value;

use crate::bench::{Bench, variable};

pub struct Server {
    pub bench: Bench,
    child: Child,
    address: String,
}

/// Tokio's variable for the number of wasmtime's threads, as in the same files.
pub const THREADS: (&str, &str) = ("TOKIO_WORKER_THREADS", "20");

/// The limits in docs/gateway.md and infra/gateway/fogline-serve.service: wasmtime's options for what clients may cost.
pub const BOUNDS: [&str; 12] = [
    "--max-concurrent-requests",
    "20",
    "--max-instance-reuse-count",
    "1000000",
    "--idle-instance-timeout",
    "8s",
    "-O",
    "pooling-allocator=y,pooling-total-component-instances=40",
    "-W",
    "max-memory-size=117440512",
    "-H",
    "host:gateway",
];

impl Server {
    /// Serves the bench's pair and keeps metrics, with further variables.
    pub fn start(bench: Bench, environment: &[&str]) -> Self {
        let mut command = Command::new(variable("FOGLINE_WASMTIME"));
        command.args(["serve", "--allow-precompiled", "-S", "cli", "--addr", "127.0.0.1:0"]);
        command.args(BOUNDS).args(["--dir", "."]);
        for (name, value) in [("FOGLINE_MODEL", "."), ("FOGLINE_METRICS", "metrics")] {
            if !environment.iter().any(|given| given.starts_with(name)) {
                command.args(["--env", &format!("{name}={value}")]);
            }
        }
        for variable in environment {
            command.args(["--env", variable]);
        }
        command
            .arg(variable("FOGLINE_COMPONENT"))
            .current_dir(&bench.folder)
            .env("RUST_BACKTRACE", "1")
            .env(THREADS.0, THREADS.1)
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = said.next().expect("wasmtime says where it serves").unwrap();
        let address = line.strip_prefix("Serving HTTP on http://").expect(&line);
        let address = address.trim_end_matches('/').to_owned();
        // Further output is shown if a test fails.
        thread::spawn(move || said.map_while(Result::ok).for_each(|line| println!("{line}")));
        Self { bench, child, address }
    }

    /// A server with exits that are never sure.
    pub fn never_sure(environment: &[&str]) -> Self {
        let bench = Bench::new();
        bench.never_sure();
        Self::start(bench, environment)
    }

    /// The peak memory of wasmtime's process in KiB, from `VmHWM` in `/proc`.
    pub fn most_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Sends SIGINT to the process, which then accepts no more connections.
    pub fn interrupt(&self) {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &id]).status().unwrap().success());
    }

    /// Waits for a server that was told to stop. Returns whether it ended well.
    pub fn ended(mut self) -> bool {
        // One minute, so that the test fails instead of waiting for an idle instance, which lives for an hour.
        for _ in 0..600 {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.success();
            }
            thread::sleep(Duration::from_millis(100));
        }
        false
    }

    pub fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).unwrap()
    }

    pub fn get(&self, path: &str) -> Reply {
        ask(&mut self.connect(), "GET", path, "", b"")
    }

    pub fn classify(&self, content_type: &str, body: &[u8]) -> Reply {
        let content_type = format!("content-type: {content_type}\r\n");
        ask(&mut self.connect(), "POST", "/classify", &content_type, body)
    }

    /// The counters, by name and label, as Prometheus reads them. They are complete shortly after an answer.
    pub fn counters(&self) -> BTreeMap<String, f64> {
        let mut last = self.counted();
        loop {
            thread::sleep(Duration::from_millis(300));
            let counted = self.counted();
            if counted == last {
                return counted;
            }
            last = counted;
        }
    }

    fn counted(&self) -> BTreeMap<String, f64> {
        let reply = self.get("/metrics");
        assert_eq!(reply.status, 200, "{reply:?}");
        let text = String::from_utf8(reply.body).unwrap();
        let scrape = Scrape::parse(text.lines().map(|line| Ok(line.to_owned()))).unwrap();
        let counter = |sample: prometheus_parse::Sample| match sample.value {
            Metric::Counter(number) => {
                let label: String = sample.labels.values().cloned().collect();
                Some((format!("{} {label}", sample.metric).trim_end().to_owned(), number))
            }
            _ => None,
        };
        scrape.samples.into_iter().filter_map(counter).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// Lines of `name: value`, with lower-case names.
    pub head: Vec<String>,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The answers in a successful response.
    pub fn answers(&self) -> Vec<Value> {
        assert_eq!(self.status, 200, "{}", self.json());
        self.json()["answers"].as_array().unwrap().clone()
    }

    /// Checks that this is a refusal with this status and error code.
    pub fn refused(&self, status: u16, word: &str) {
        let said = self.json();
        assert_eq!((self.status, &said["error"]), (status, &word.into()), "{said}");
        assert!(said["message"].as_str().is_some_and(|message| !message.is_empty()), "{said}");
    }
}

/// Sends a request on a connection that stays open, and returns the reply.
pub fn ask(stream: &mut TcpStream, method: &str, path: &str, head: &str, body: &[u8]) -> Reply {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: gateway\r\n{head}content-length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    read(stream, method != "HEAD").expect("a reply")
}

/// Posts a picture and leaves before there is an answer.
pub fn leave(server: &Server, picture: &[u8]) {
    drop(promise(server, picture.len() as u64, picture));
}

/// Sends the head of a picture that announces `length` bytes, and the first of them. Returns the open connection.
pub fn promise(server: &Server, length: u64, first: &[u8]) -> TcpStream {
    let mut stream = server.connect();
    let head = format!(
        "POST /classify HTTP/1.1\r\nhost: gateway\r\ncontent-type: image/png\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), first].concat()).unwrap();
    stream
}

/// Reads the next reply on a connection.
pub fn read(stream: &mut TcpStream, has_body: bool) -> Option<Reply> {
    let mut lines = vec![];
    let mut reader = BufReader::new(stream);
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" if lines.is_empty() => return None,
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let status = lines.remove(0).split(' ').nth(1)?.parse().ok()?;
    let mut reply = Reply { status, head: lines, body: vec![] };
    let length = reply.header("content-length").and_then(|length| length.parse().ok());
    if has_body {
        reply.body.resize(length.unwrap_or_default(), 0);
        reader.read_exact(&mut reply.body).ok()?;
    }
    Some(reply)
}
