//! The function in cargo-lambda's emulator of Lambda and its function URLs.

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
/// Lines of output that a failure shows.
const TAIL: usize = 40;
/// How long the processes may take to end by themselves.
const GRACE: Duration = Duration::from_secs(5);
/// How often the function is asked whether it lives.
const ASKED_EVERY: Duration = Duration::from_secs(10);
/// How long it may take to say so: as long as Lambda would give the requests before.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the function is started with.
#[derive(Debug, Clone, Copy)]
pub struct Start<'a> {
    /// The cargo-lambda binary.
    pub cargo_lambda: &'a Path,
    /// A built function; without it the emulator has cargo build one.
    pub prebuilt: Option<&'a Path>,
    /// The store of its models.
    pub store: &'a LocalStore,
}

type Tail = Arc<Mutex<VecDeque<String>>>;

/// The emulator, and the function where it is not the emulator's own child.
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
    /// Starts the emulator on a free port, and the function in it.
    ///
    /// # Errors
    /// When either cannot be started.
    pub async fn start(start: Start<'a>) -> Result<Self> {
        // The emulator takes no listening socket; between this and its own, the port is anyone's.
        let address = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
        let tail = Tail::default();
        // A bare name is looked up on the PATH; any other path must survive the change of folder below.
        let program = start.cargo_lambda.canonicalize();
        let mut watch = command(program.as_deref().unwrap_or(start.cargo_lambda), start.store);
        watch.args(["lambda", "watch", "--ignore-changes", "--disable-cors"]);
        watch.args(["--invoke-address", "127.0.0.1"]);
        watch.args(["--invoke-port", &address.port().to_string()]);
        match start.prebuilt {
            // It lists every file below its folder before it listens: seconds, where that holds a `target`.
            Some(_) => watch
                .arg("--only-lambda-apis")
                .arg("--manifest-path")
                .arg(env::current_dir()?.join("Cargo.toml"))
                .current_dir(start.store.folder()),
            // `--wait`: or the emulator would start the function twice, by name and by default.
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

    /// Runs the built function against the emulator, with the variables that Lambda would set.
    async fn run(&mut self, path: &Path) -> Result<()> {
        let address = self.address;
        let deadline = Instant::now() + Duration::from_secs(20);
        while TcpStream::connect(address).await.is_err() {
            self.alive()?;
            if Instant::now() > deadline {
                bail!("the emulator does not listen on {address}");
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

    /// Waits until the function answers that it is ready.
    ///
    /// # Errors
    /// When it ends before, or takes longer than `patience`.
    pub async fn ready(&mut self, patience: Duration) -> Result<()> {
        let uri: Uri = format!("{}/ready", self.url).parse()?;
        let deadline = Instant::now() + patience;
        loop {
            self.alive()?;
            // While cargo builds, the emulator holds requests back: give each a moment only.
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

    /// The number of the built function's process.
    pub fn pid(&self) -> Option<u32> {
        self.prebuilt.as_ref().and_then(Child::id)
    }

    /// Resolves when a process ends that should not, or the emulator lives on and answers nothing. A built function that
    /// somebody kills is started again, as Lambda does.
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
                    "the emulator answers nothing any more, as cargo-lambda does after more than 100 requests at once: \
                     start anew",
                ),
            }
        }
    }

    async fn revived(&mut self) -> Result<()> {
        if let (Some(path), Some(function)) = (self.start.prebuilt, &mut self.prebuilt)
            && function.try_wait()?.is_some_and(|status| status.signal().is_some())
        {
            eprintln!("the function was killed, and is started again");
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

    /// Ends emulator, cargo and function: asks first, then kills whatever is left of them.
    pub async fn stop(mut self) {
        let children = [Some(&mut self.emulator), self.prebuilt.as_mut()];
        let mut children: Vec<_> = children.into_iter().flatten().collect();
        // The emulator puts what it starts into process groups of their own, so its own group
        // does not reach them; who they are can only be seen while their parents live.
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

/// Resolves when whoever is at this address has let two requests in a row pass. One may be lost with a function that is killed.
async fn silence(uri: Uri, every: Duration, patience: Duration) {
    let mut passed = 0;
    while passed < 2 {
        sleep(every).await;
        let answered = timeout(patience, status(&uri)).await.is_ok();
        passed = if answered { 0 } else { passed + 1 };
    }
}

/// The status of an answer; `None` where the connection breaks off or is refused.
async fn status(uri: &Uri) -> Option<StatusCode> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    Some(client.get(uri.clone()).await.ok()?.status())
}

/// A command that finds the store, and nothing of what cargo tells the programs it runs: build
/// scripts that watch those variables would be run again, and all that hangs on them rebuilt.
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
        // It listens on this machine alone.
        .env("FOGLINE_AUTH", "none")
        .env("FOGLINE_BUCKET", BUCKET);
    command
}

/// Starts a command in a process group of its own, so that Ctrl-C reaches it through us alone.
fn spawn(command: &mut Command, tail: &Tail) -> Result<Child> {
    let mut child = command
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot start a process")?;
    if let Some(stdout) = child.stdout.take() {
        follow(stdout, Arc::clone(tail));
    }
    if let Some(stderr) = child.stderr.take() {
        follow(stderr, Arc::clone(tail));
    }
    Ok(child)
}

/// Passes output on to stderr and keeps the end of it.
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
