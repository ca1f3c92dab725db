//! Runs the function in cargo-lambda's emulator of Lambda and function URLs.

use std::collections::VecDeque;
use std::env;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::pin::pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::{StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncRead, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{Child, Command};
use tokio::time::{Instant, sleep, timeout};

use crate::store::{BUCKET, KEY, LocalStore};
use crate::{bound, tree};

/// The function's name, package and binary.
const NAME: &str = "fogline-cloud";
/// Number of output lines shown after a failure.
const TAIL: usize = 40;
/// How long the processes may take to exit before they are killed.
const GRACE: Duration = Duration::from_secs(5);
/// Interval of the health checks.
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// Timeout of a health check: as long as Lambda would give the requests before it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Settings for starting the function.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// Path of the cargo-lambda executable.
    pub cargo_lambda: &'a Path,
    /// Path of a built function; `None` to have the emulator build it with cargo.
    pub prebuilt: Option<&'a Path>,
    /// The store that holds its models.
    pub store: &'a LocalStore,
}

type Tail = Arc<Mutex<VecDeque<String>>>;

/// A running emulator and, unless the emulator runs it itself, the function.
#[derive(Debug)]
pub struct Function<'a> {
    start: Start<'a>,
    address: SocketAddr,
    emulator: Child,
    prebuilt: Option<Child>,
    tail: Tail,
    /// The function's URL in the emulator.
    pub url: String,
}

impl<'a> Function<'a> {
    /// Starts the emulator on a free port and the function in it.
    ///
    /// # Errors
    /// If either cannot be started.
    pub async fn start(start: Start<'a>) -> Result<Self> {
        // The emulator cannot take over a socket, so another program may grab the port in between.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let tail = Tail::default();
        // A bare name is looked up on the PATH; any other path must survive the change of folder below.
        let program = start.cargo_lambda.canonicalize();
        let mut watch = command(program.as_deref().unwrap_or(start.cargo_lambda), start.store);
        watch.args(["lambda", "watch", "--ignore-changes", "--disable-cors"]);
        watch.args(["--invoke-address", "127.0.0.1"]);
        watch.args(["--invoke-port", &address.port().to_string()]);
        match start.prebuilt {
            // It lists every file below its folder before it listens: seconds if that holds a `target`.
            Some(_) => watch
                .arg("--only-lambda-apis")
                .arg("--manifest-path")
                .arg(env::current_dir()?.join("Cargo.toml"))
                .current_dir(start.store.folder()),
            // Without `--wait` the emulator would start the function twice, by name and by default.
            None => watch.args(["--package", NAME, "--wait"]),
        };
        let mut started = Self {
            start,
            address,
            emulator: spawn(&mut watch, &tail)?,
            prebuilt: None,
            url: format!("http://{address}/lambda-url/{NAME}"),
            tail,
        };
        if let Some(path) = start.prebuilt
            && let Err(error) = started.run(path).await
        {
            started.stop().await;
            return Err(error);
        }
        Ok(started)
    }

    /// Runs the built function against the emulator, with the environment that Lambda would set.
    async fn run(&mut self, path: &Path) -> Result<()> {
        let address = self.address;
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).await.is_err() {
            self.alive()?;
            if Instant::now() > deadline {
                bail!("the emulator is not listening on {address}");
            }
            sleep(Duration::from_millis(50)).await;
        }
        let path = path.canonicalize().with_context(|| path.display().to_string())?;
        let mut function = command(&path, self.start.store);
        function
            .env("AWS_LAMBDA_RUNTIME_API", format!("http://{address}/.rt/{NAME}"))
            .env("AWS_LAMBDA_FUNCTION_NAME", NAME)
            .env("AWS_LAMBDA_FUNCTION_VERSION", "1")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "4096");
        self.prebuilt = Some(spawn(&mut function, &self.tail)?);
        Ok(())
    }

    /// Waits until the function is ready.
    ///
    /// # Errors
    /// If it exits, or is not ready within `patience`.
    pub async fn ready(&mut self, patience: Duration) -> Result<()> {
        let uri: Uri = format!("{}/ready", self.url).parse()?;
        let deadline = Instant::now() + patience;
        loop {
            self.alive()?;
            // While cargo builds, the emulator delays requests, so use a short timeout.
            if let Ok(Some(StatusCode::OK)) = timeout(Duration::from_secs(10), status(&uri)).await {
                return Ok(());
            }
            if Instant::now() > deadline {
                let seconds = patience.as_secs();
                return Err(self.with_tail(&format!("the function is not ready after {seconds} s")));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Process id of a prebuilt function.
    pub fn pid(&self) -> Option<u32> {
        self.prebuilt.as_ref().and_then(Child::id)
    }

    /// Resolves when a process exits unexpectedly or the emulator stops answering. A prebuilt function that was killed is
    /// restarted, as Lambda would.
    pub async fn failure(&mut self) -> Error {
        let health = match format!("{}/health", self.url).parse() {
            Ok(health) => health,
            Err(error) => return Error::new(error),
        };
        let mut silence = pin!(silence(health, ASKED_EVERY, PATIENCE));
        loop {
            if let Err(error) = self.revived().await {
                return error;
            }
            tokio::select! {
                () = sleep(Duration::from_millis(500)) => {}
                () = &mut silence => return self.with_tail(
                    "the emulator has stopped answering, which happens after more than 100 concurrent requests: \
                     restart the stack",
                ),
            }
        }
    }

    async fn revived(&mut self) -> Result<()> {
        if let (Some(path), Some(function)) = (self.start.prebuilt, &mut self.prebuilt)
            && function.try_wait()?.is_some_and(|status| status.signal().is_some())
        {
            eprintln!("the function was killed; restarting it");
            self.run(path).await?;
        }
        self.alive()
    }

    fn alive(&mut self) -> Result<()> {
        if let Some(status) = self.emulator.try_wait()? {
            return Err(self.with_tail(&format!("cargo-lambda ended: {status}")));
        }
        if let Some(function) = &mut self.prebuilt
            && let Some(status) = function.try_wait()?
        {
            return Err(self.with_tail(&format!("the function ended: {status}")));
        }
        Ok(())
    }

    fn with_tail(&self, what: &str) -> Error {
        let tail = self.tail.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: Vec<_> = tail.iter().map(String::as_str).collect();
        anyhow!("{what}; its last output:\n{}", lines.join("\n"))
    }

    /// Stops emulator, cargo and function: asks them to exit, then kills what is left.
    pub async fn stop(mut self) {
        let children = [Some(&mut self.emulator), self.prebuilt.as_mut()];
        let mut children: Vec<_> = children.into_iter().flatten().collect();
        // The emulator puts its children into their own process groups, so its own group does not include them. They can
        // only be found while their parents live.
        let family: Vec<_> =
            children.iter().filter_map(|child| child.id()).flat_map(tree::family).collect();
        for process in &family {
            process.signal(Signal::TERM);
        }
        let ended = async {
            for child in &mut children {
                let _ = child.wait().await;
            }
            while family.iter().any(tree::Process::lives) {
                sleep(Duration::from_millis(50)).await;
            }
        };
        if timeout(GRACE, ended).await.is_err() {
            for process in &family {
                process.signal(Signal::KILL);
            }
            for child in children {
                let _ = child.kill().await;
            }
        }
    }
}

/// Resolves after two unanswered health checks in a row. A single one may be lost when the function is killed.
async fn silence(uri: Uri, every: Duration, patience: Duration) {
    let mut passed = 0;
    while passed < 2 {
        sleep(every).await;
        let answered = timeout(patience, status(&uri)).await.is_ok();
        passed = if answered { 0 } else { passed + 1 };
    }
}

/// Status code of the response; `None` if the connection fails.
async fn status(uri: &Uri) -> Option<StatusCode> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    Some(client.get(uri.clone()).await.ok()?.status())
}

/// A command with the store's settings and without the variables that cargo sets for programs it runs: build scripts that
/// watch those would rerun and trigger rebuilds.
fn command(program: &Path, store: &LocalStore) -> Command {
    let mut command = bound::command(program);
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        let of_package = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_MANIFEST_", "CARGO_CRATE_"];
        if of_package.iter().any(|prefix| name.starts_with(prefix)) {
            command.env_remove(name.as_ref());
        }
    }
    command
        .env_remove("OUT_DIR")
        .env_remove("AWS_SESSION_TOKEN")
        .env_remove("AWS_ENDPOINT_URL")
        .env("AWS_ENDPOINT_URL_S3", &store.url)
        .env("AWS_REGION", "eu-central-1")
        .env("AWS_ACCESS_KEY_ID", KEY.0)
        .env("AWS_SECRET_ACCESS_KEY", KEY.1)
        // The emulator only listens on this machine.
        .env("FOGLINE_AUTH", "none")
        .env("FOGLINE_BUCKET", BUCKET);
    command
}

/// Starts a command in its own process group, so that Ctrl-C does not reach it directly.
fn spawn(command: &mut Command, tail: &Tail) -> Result<Child> {
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", command.as_std().get_program().display()))?;
    if let Some(stdout) = child.stdout.take() {
        follow(stdout, Arc::clone(tail));
    }
    if let Some(stderr) = child.stderr.take() {
        follow(stderr, Arc::clone(tail));
    }
    Ok(child)
}

/// Copies output to stderr and keeps its last lines.
fn follow(output: impl AsyncRead + Send + Unpin + 'static, tail: Tail) {
    tokio::spawn(async move {
        let mut lines = BufReader::new(output).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            eprintln!("function: {line}");
            let mut tail = tail.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.len() == TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        }
    });
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::Full;
    use hyper::body::Incoming;
    use hyper::service::service_fn;
    use hyper::{Request, Response};

    use super::*;
    use crate::server;

    const MOMENT: Duration = Duration::from_millis(20);

    #[tokio::test]
    async fn an_emulator_that_takes_requests_and_answers_none_is_noticed() {
        let wedged = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let uri = format!("http://{}/health", wedged.local_addr().unwrap()).parse().unwrap();
        timeout(Duration::from_secs(20), silence(uri, MOMENT, MOMENT)).await.expect("noticed");

        let refusing = service_fn(|_: Request<Incoming>| async {
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::BAD_GATEWAY;
            Ok::<_, Infallible>(response)
        });
        let uri = server::serve(server::bind(0).await.unwrap(), refusing).unwrap().parse().unwrap();
        let lives = silence(uri, MOMENT, Duration::from_secs(10));
        assert!(timeout(MOMENT * 10, lives).await.is_err(), "whoever refuses answers");
    }
}
