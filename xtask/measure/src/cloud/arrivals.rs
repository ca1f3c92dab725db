//! Measures random arrivals and compares them with `fogline-capacity`'s simulation of the same load.

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

/// Target utilisation of the functions: high enough that requests queue, low enough that functions are sometimes idle.
const LOAD: f64 = 0.6;
/// Number of requests timed as input for the simulation.
const REQUESTS: usize = 1000;

/// The same figures, measured and simulated.
#[derive(Serialize)]
pub struct Arrivals {
    pub functions: usize,
    pub seconds: f64,
    pub requests_per_second: f64,
    pub measured: Answered,
    pub simulated: Answered,
}

/// Milliseconds from arrival to answer, including the wait for a function; and answers per second.
#[derive(Serialize)]
pub struct Answered {
    pub p50: f64,
    pub throughput: f64,
}

/// Sends single samples at random times for this long, to one function per two processors.
pub async fn arrivals(
    options: &Options,
    store: &LocalStore,
    pair: &str,
    event: &Bytes,
    time: Duration,
) -> Result<Arrivals> {
    // The other processors run the store, the runtime API and the client, so that a function is as fast as alone.
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
                // A separate statement, so that the lock is released while the function works.
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
        // Timers fire up to a millisecond late, so count from the planned arrival.
        arrive.send(Instant::now())?;
        next += pause(&mut random, 1.0 / rate);
    }
    drop(arrive);
    let mut latencies = vec![];
    for worker in workers {
        latencies.extend(worker.await??);
    }
    let seconds = start.elapsed().as_secs_f64();
    // Measure before and after, because the machine's speed may change.
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

/// Milliseconds for which each request occupies a function, until its log line. Requests come one after the other with
/// random pauses, because a processor that was idle is slower.
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

/// Seconds to the next random arrival (a Poisson process with this mean pause).
fn pause(random: &mut fastrand::Rng, mean: f64) -> f64 {
    -(1.0 - random.f64()).ln() * mean
}
