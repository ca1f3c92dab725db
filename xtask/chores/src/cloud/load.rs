//! A bounded load: single samples, as fast as the functions take them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use fogline_stack::store::LocalStore;
use serde::Serialize;

use super::function::Function;
use super::{Options, quantile};

/// What came of it.
#[derive(Serialize)]
pub struct Load {
    pub seconds: f64,
    pub functions: usize,
    pub requests: usize,
    pub p50: f64,
    pub p99: f64,
    /// Resident memory of all functions in MiB, every ten seconds.
    pub resident: Vec<f64>,
}

/// Single samples to one function a processor, as fast as each takes them.
pub async fn load(
    options: &Options,
    store: &LocalStore,
    pair: &str,
    event: &Bytes,
    time: Duration,
) -> Result<Load> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let mut functions = vec![];
    for _ in 0..processors {
        functions.push(Arc::new(Function::start(&options.function, &[], store, pair).await?));
    }
    let start = Instant::now();
    let workers: Vec<_> = functions
        .iter()
        .map(|function| {
            let (function, event) = (Arc::clone(function), event.clone());
            tokio::spawn(async move {
                let mut samples = vec![];
                while start.elapsed() < time {
                    samples.push(function.sample(&event).await?.whole);
                }
                anyhow::Ok(samples)
            })
        })
        .collect();
    let mut memory = vec![];
    while start.elapsed() + Duration::from_secs(10) <= time {
        tokio::time::sleep(Duration::from_secs(10)).await;
        let all: Result<f64> = functions.iter().map(|function| function.resident()).sum();
        memory.push(all?);
        eprint!("\r  {} s of load", start.elapsed().as_secs());
    }
    let mut samples = vec![];
    for worker in workers {
        samples.extend(worker.await??);
    }
    eprintln!();
    Ok(Load {
        seconds: start.elapsed().as_secs_f64(),
        functions: processors,
        requests: samples.len(),
        p50: quantile(&samples, 0.5),
        p99: quantile(&samples, 0.99),
        resident: memory,
    })
}
