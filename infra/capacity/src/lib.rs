//! What a fleet of edges asks of the function, before anybody pays for it.
//!
//! Pictures arrive at the edges at random, most end at an exit, the others ask the function. Lambda gives each request an
//! instance of its own: an idle one, else a new one, which has to start first, else none, and the client tries again. All of
//! that is simulated event by event, with service times that were measured ([`Scenario`] to [`Outcome`]), and priced by a
//! file that a person can read ([`Prices`]).
//!
//! ```
//! use fogline_capacity::{Link, Scenario, simulate};
//!
//! let scenario = Scenario {
//!     pictures_per_second: 200.0,
//!     offload: 0.34,
//!     link: Link { round_trip_ms: 40.0, up_mbit: 10.0, bytes_up: 1085, bytes_down: 80 },
//!     ..Scenario::new(vec![4.0, 5.0, 6.0], vec![180.0])
//! };
//! let outcome = simulate(&scenario, 60.0, 1);
//! assert!(outcome.all.p50 < outcome.offloaded.p50);
//! assert_eq!(outcome.degraded, 0);
//! ```

mod cost;
mod fleet;
mod simulation;

use serde::Serialize;

pub use cost::{Architecture, Cost, Prices, PricesError};
pub use fleet::{Point, fleet};
pub use simulation::simulate;

/// Tries of a client, its longest first pause and its deadline in milliseconds: those of the edge's own.
const TRIES: u32 = 3;
const FIRST_PAUSE: f64 = 200.0;
const DEADLINE: f64 = 10_000.0;

/// New instances that Lambda starts within ten seconds at most, refilled all the time
/// (docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html).
const STARTS: f64 = 1000.0;

/// Requests a second that Lambda lets through for each instance there may be, however short they are
/// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const RATE: f64 = 10.0;

/// Between an edge and the function.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Link {
    /// There and back again, without the bytes' own time.
    pub round_trip_ms: f64,
    /// Megabits a second from an edge.
    pub up_mbit: f64,
    /// Bytes of a request and of its answer.
    pub bytes_up: u64,
    /// See `bytes_up`.
    pub bytes_down: u64,
}

impl Link {
    /// None: edge and function are one machine.
    pub const LOOPBACK: Self =
        Self { round_trip_ms: 0.0, up_mbit: f64::INFINITY, bytes_up: 0, bytes_down: 0 };

    /// Milliseconds that a request is on its way, answer included.
    fn ms(&self) -> f64 {
        self.round_trip_ms + self.bytes_up as f64 * 8.0 / (self.up_mbit * 1e3)
    }
}

/// What happens to a request for which no instance is idle and none may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Full {
    /// Lambda answers 429, and the client tries again after a while.
    Refuse,
    /// It waits its turn, as before a fixed number of processes.
    Queue,
}

/// A fleet and its function.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Scenario {
    /// Of the whole fleet, at random (a Poisson process).
    pub pictures_per_second: f64,
    /// The share of pictures that asks the function.
    pub offload: f64,
    /// A picture's time in the edge.
    pub edge_ms: f64,
    /// The way to the function.
    pub link: Link,
    /// A request's time in a warm instance: samples, one of which is drawn for each request.
    pub service_ms: Vec<f64>,
    /// From an instance's start to its taking requests: samples.
    pub start_ms: Vec<f64>,
    /// The most instances at once: reserved concurrency, or the account's.
    pub concurrency: u32,
    /// How long an idle instance is kept. AWS does not say; minutes are what people see.
    pub keep_seconds: f64,
    /// Instances that are warm at the beginning.
    pub warm: u32,
    /// What happens beyond `concurrency`.
    pub full: Full,
}

impl Scenario {
    /// One picture a second, all of which ask a function with these times, of a thousand instances at most, without a way
    /// to it.
    pub fn new(service_ms: Vec<f64>, start_ms: Vec<f64>) -> Self {
        Self {
            pictures_per_second: 1.0,
            offload: 1.0,
            edge_ms: 0.0,
            link: Link::LOOPBACK,
            service_ms,
            start_ms,
            concurrency: 1000,
            keep_seconds: 300.0,
            warm: 0,
            full: Full::Refuse,
        }
    }

    /// Requests a second.
    pub fn requests_per_second(&self) -> f64 {
        self.pictures_per_second * self.offload
    }

    /// A request's mean time in a warm instance.
    pub fn mean_service_ms(&self) -> f64 {
        self.service_ms.iter().sum::<f64>() / self.service_ms.len() as f64
    }
}

/// Milliseconds from a picture's arrival to its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// The median.
    pub p50: f64,
    /// Of twenty, nineteen are faster.
    pub p95: f64,
    /// Of a hundred, ninety-nine are faster.
    pub p99: f64,
}

/// What a simulation comes to. The first tenth of its time is not counted, but for `peak`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Seconds that count.
    pub seconds: f64,
    /// Pictures that arrived in them.
    pub pictures: u64,
    /// Requests that the function answered.
    pub answered: u64,
    /// Pictures that the best exit answered, since the function refused to the last.
    pub degraded: u64,
    /// Refusals, most of which a later try made good.
    pub refused: u64,
    /// Requests whose instance had to start.
    pub cold: u64,
    /// Of every picture.
    pub all: Latency,
    /// Of those that the function answered.
    pub offloaded: Latency,
    /// Answers a second.
    pub throughput: f64,
    /// Instances at work: the most at once, and the mean.
    pub peak: u32,
    /// See `peak`.
    pub mean_busy: f64,
    /// The concurrency that this takes: instances at once, or a tenth of the requests a second.
    pub needed: u32,
    /// Seconds that are billed, starts included, each request's rounded up to a millisecond.
    pub billed_seconds: f64,
}
