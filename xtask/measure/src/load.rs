//! A load test: workers that send requests as fast as they are answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// A worker that sends one request after the other.
pub trait Worker: Send + 'static {
    /// What to keep of an answer.
    type Sample: Send + 'static;

    /// Sends one request. An error ends the load test.
    fn ask(&mut self) -> impl Future<Output = Result<Self::Sample>> + Send;
}

/// Results of a load test.
pub struct Loaded<S> {
    pub seconds: f64,
    pub samples: Vec<S>,
    /// Resident memory in MiB, sampled every ten seconds.
    pub resident: Vec<f64>,
}

/// Runs all workers for this long and samples the memory use.
pub async fn load<W: Worker>(
    workers: Vec<W>,
    time: Duration,
    resident: impl Fn() -> Result<f64>,
) -> Result<Loaded<W::Sample>> {
    let start = Instant::now();
    let ask = move |mut worker: W| async move {
        let mut samples = vec![];
        while start.elapsed() < time {
            samples.push(worker.ask().await?);
        }
        anyhow::Ok(samples)
    };
    let workers: Vec<_> = workers.into_iter().map(|worker| tokio::spawn(ask(worker))).collect();
    let mut memory = vec![];
    while start.elapsed() + Duration::from_secs(10) <= time {
        tokio::time::sleep(Duration::from_secs(10)).await;
        memory.push(resident()?);
        eprint!("\r  {} s of load", start.elapsed().as_secs());
    }
    let mut samples = vec![];
    for worker in workers {
        samples.extend(worker.await??);
    }
    eprintln!();
    Ok(Loaded { seconds: start.elapsed().as_secs_f64(), samples, resident: memory })
}

/// Number of workers that keep this machine busy.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Resident memory of a process in MiB, from Linux's /proc.
pub fn resident(process: Option<u32>) -> Result<f64> {
    let path = format!("/proc/{}/status", process.context("it has ended")?);
    let status = std::fs::read_to_string(&path).context(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// Least and greatest memory use after the first minute, or of the whole test if it was shorter.
pub fn settled(resident: &[f64]) -> (f64, f64) {
    let settled = resident.get(6..).filter(|later| !later.is_empty()).unwrap_or(resident);
    let least = settled.iter().copied().fold(f64::INFINITY, f64::min);
    (least, settled.iter().copied().fold(0.0, f64::max))
}
