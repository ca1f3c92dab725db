//! Requests at random, and what `fogline-capacity` says of them: how far its simulation can be believed.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use fogline_capacity::{Full, Scenario, simulate};
use fogline_stack::store::LocalStore;
use serde::Serialize;
use tokio::sync::{Mutex, mpsc};

use super::Options;
use super::function::Function;
use crate::load::processors;
use crate::times::{median, ms};

/// How busy the functions are kept: they wait for work and work waits for them.
const LOAD: f64 = 0.6;
/// Requests that are timed for the simulation.
const REQUESTS: usize = 1000;

/// The same of a real run and of the simulation.
#[derive(Serialize)]
pub struct Arrivals {
    pub functions: usize,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub measured: Answered,
    pub simulated: Answered,
}

/// From arrival to answer in milliseconds, the wait for a function included; answers a second.
#[derive(Serialize)]
pub struct Answered {
    pub p50: f64,
    pub throughput: f64,
}

/// Lets single samples arrive at random for so long, before one function for every two processors.
pub async fn arrivals(
    options: &Options,
    store: &LocalStore,
    pair: &str,
    event: &Bytes,
    time: Duration,
) -> Result<Arrivals> {
    // On the other processors are the store, the runtime API and whoever asks, so that a function takes as long as it did alone.
    let count = (processors() / 2).max(1);
    let mut functions = vec![];
    for _ in 0..count {
        let function = Function::start(&options.function, &[], store, pair).await?;
        function.sample(event).await?;
        functions.push(Arc::new(function));
    }
    let mut random = fastrand::Rng::with_seed(1);
    let mut taken = service(&functions[0], event, &mut random).await?;
    let scenario = Scenario {
        concurrency: count as u32,
        warm: count as u32,
        full: Full::Queue,
        ..Scenario::new(taken.clone(), vec![0.0])
    };
    let rate = LOAD * count as f64 * 1e3 / scenario.mean_service_ms();
    let (arrive, arrived) = mpsc::unbounded_channel::<Instant>();
    let arrived = Arc::new(Mutex::new(arrived));
    let mut workers = vec![];
    for function in &functions {
        let (function, arrived) = (Arc::clone(function), Arc::clone(&arrived));
        let event = event.clone();
        workers.push(tokio::spawn(async move {
            let mut latencies = vec![];
            loop {
                // In a statement of its own, so that the lock is gone while the function works.
                let next = arrived.lock().await.recv().await;
                let Some(since) = next else { return anyhow::Ok(latencies) };
                function.sample(&event).await?;
                latencies.push(ms(since));
            }
        }));
    }
    let (start, mut next) = (Instant::now(), 0.0);
    while next < time.as_secs_f64() {
        tokio::time::sleep_until((start + Duration::from_secs_f64(next)).into()).await;
        // A timer comes late by up to a millisecond: what came in at once did.
        arrive.send(Instant::now())?;
        next += pause(&mut random, 1.0 / rate);
    }
    drop(arrive);
    let mut latencies = vec![];
    for worker in workers {
        latencies.extend(worker.await??);
    }
    let seconds = start.elapsed().as_secs_f64();
    // Before and after: a machine may be faster now than it was.
    taken.extend(service(&functions[0], event, &mut random).await?);
    let scenario = Scenario { pictures_per_second: rate, service_ms: taken, ..scenario };
    let predicted = simulate(&scenario, 600.0, 1);
    Ok(Arrivals {
        functions: count,
        seconds,
        requests_per_second: rate,
        measured: Answered {
            p50: median(&latencies),
            throughput: latencies.len() as f64 / seconds,
        },
        simulated: Answered { p50: predicted.offloaded.p50, throughput: predicted.throughput },
    })
}

/// For how many milliseconds a request takes a function up, from its coming to its line in the log: one after the other, and
/// with pauses as arrivals at random leave them, since a processor that slept is slower than one that did not.
async fn service(
    function: &Function,
    event: &Bytes,
    random: &mut fastrand::Rng,
) -> Result<Vec<f64>> {
    let mut taken = vec![];
    for _ in 0..REQUESTS {
        if !taken.is_empty() && random.f64() >= LOAD {
            let seconds = median(&taken) / 1e3;
            tokio::time::sleep(Duration::from_secs_f64(pause(random, seconds / LOAD))).await;
        }
        let start = Instant::now();
        function.sample(event).await?;
        taken.push(ms(start));
    }
    Ok(taken)
}

/// Seconds to the next of arrivals at random, whose pauses are of `mean` seconds.
fn pause(random: &mut fastrand::Rng, mean: f64) -> f64 {
    -(1.0 - random.f64()).ln() * mean
}
