//! A load test of the function: single samples, as fast as possible.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use fogline_stack::store::LocalStore;
use serde::Serialize;

use super::Options;
use super::function::Function;
use crate::load::{Loaded, Worker, load as run, processors};
use crate::times::quantile;

/// Results of the load test.
#[derive(Serialize)]
pub struct Load {
    pub seconds: f64,
    pub functions: usize,
    pub requests: usize,
    pub p50: f64,
    pub p99: f64,
    /// Resident memory of all functions in MiB, sampled every ten seconds.
    pub resident: Vec<f64>,
}

/// A client that sends one event to one function repeatedly.
struct Asker(Arc<Function>, Bytes);

impl Worker for Asker {
    type Sample = f64;

    async fn ask(&mut self) -> Result<f64> {
        Ok(self.0.sample(&self.1).await?.whole)
    }
}

/// Sends single samples to one function per processor, as fast as each answers.
pub async fn load(
    options: &Options,
    store: &LocalStore,
    pair: &str,
    event: &Bytes,
    time: Duration,
) -> Result<Load> {
    let mut functions = vec![];
    for _ in 0..processors() {
        functions.push(Arc::new(Function::start(&options.function, &[], store, pair).await?));
    }
    let askers = functions.iter().map(|function| Asker(Arc::clone(function), event.clone()));
    let resident = || functions.iter().map(|function| function.resident()).sum();
    let Loaded { seconds, samples, resident } = run(askers.collect(), time, resident).await?;
    Ok(Load {
        seconds,
        functions: functions.len(),
        requests: samples.len(),
        p50: quantile(&samples, 0.5),
        p99: quantile(&samples, 0.99),
        resident,
    })
}
