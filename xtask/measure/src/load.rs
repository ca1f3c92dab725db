//! A bounded load: workers that ask as fast as they are answered.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

/// Asks the same, over and over.
pub trait Worker: Send + 'static {
    /// What is kept of an answer.
    type Sample: Send + 'static;

    /// Asks once; an answer that is none is an error, and ends the load.
    fn ask(&mut self) -> impl Future<Output = Result<Self::Sample>> + Send;
}

/// What came of it.
pub struct Loaded<S> {
    pub seconds: f64,
    pub samples: Vec<S>,
    /// Resident memory in MiB, every ten seconds.
    pub resident: Vec<f64>,
}

/// Lets all workers ask for so long, and looks at what they take of memory meanwhile.
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

/// As many workers as keep this machine busy.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Resident memory of a process in MiB, as Linux counts it.
pub fn resident(process: Option<u32>) -> Result<f64> {
    let path = format!("/proc/{}/status", process.context("it has ended")?);
    let status = std::fs::read_to_string(&path).context(path)?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kib / 1024.0)
}

/// What memory settled at after the first minute: the least and the most of it, or of all where the load was shorter.
pub fn settled(resident: &[f64]) -> (f64, f64) {
    let settled = resident.get(6..).filter(|later| !later.is_empty()).unwrap_or(resident);
    let least = settled.iter().copied().fold(f64::INFINITY, f64::min);
    (least, settled.iter().copied().fold(0.0, f64::max))
}
