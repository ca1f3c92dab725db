//! Estimates the load and cost that a fleet of devices puts on the function, by simulation.
//!
//! Pictures arrive at the devices at random. Exits answer most of them; the others become requests to the function. Lambda
//! gives each request its own instance: an idle one or, failing that, a new one, which must start first. If the limit is
//! reached, it refuses the request and the client retries. [`simulate`] plays this through event by event with measured
//! service times (from [`Scenario`] to [`Outcome`]), and [`Cost`] prices the result with a list of [`Prices`].
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

// The client's attempts, longest first pause and deadline in milliseconds: the same as the edge's.
const TRIES: u32 = 3;
const FIRST_PAUSE: f64 = 200.0;
const DEADLINE: f64 = 10_000.0;

/// Maximum number of instances that Lambda starts in ten seconds, refilled continuously
/// (docs.aws.amazon.com/lambda/latest/dg/scaling-behavior.html).
const STARTS: f64 = 1000.0;

/// Rate limit of Lambda: requests per second and unit of concurrency, however short the requests are
/// (docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html).
const RATE: f64 = 10.0;

/// The network between a device and the function.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Link {
    /// Round-trip time in milliseconds, without the time to transfer the bytes.
    pub round_trip_ms: f64,
    /// Upload rate of a device, in megabits per second.
    pub up_mbit: f64,
    /// Size of a request in bytes.
    pub bytes_up: u64,
    /// Size of a response in bytes.
    pub bytes_down: u64,
}

impl Link {
    /// No network: device and function are on one machine.
    pub const LOOPBACK: Self =
        Self { round_trip_ms: 0.0, up_mbit: f64::INFINITY, bytes_up: 0, bytes_down: 0 };

    /// Time that a request and its response spend on the network, in milliseconds.
    fn ms(&self) -> f64 {
        self.round_trip_ms + self.bytes_up as f64 * 8.0 / (self.up_mbit * 1e3)
    }
}

/// What happens to a request if no instance is idle and none may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)]
pub enum Full {
    /// Lambda answers 429, and the client retries after a pause.
    Refuse,
    /// The request waits in a queue, as for a fixed number of processes.
    Queue,
}

/// A fleet and its function: the input of a simulation.
#[derive(Debug, Clone, PartialEq)]
#[allow(clippy::exhaustive_structs)]
pub struct Scenario {
    /// Pictures per second of the whole fleet, arriving at random (a Poisson process).
    pub pictures_per_second: f64,
    /// Offload rate: the share of pictures that go to the function, from 0 to 1.
    pub offload: f64,
    /// Time per picture on the edge, in milliseconds.
    pub edge_ms: f64,
    /// The network to the function.
    pub link: Link,
    /// Measured times of a request in a warm instance, in milliseconds; one is drawn at random for each request.
    pub service_ms: Vec<f64>,
    /// Measured times from the start of an instance until it takes requests, in milliseconds.
    pub start_ms: Vec<f64>,
    /// Maximum number of concurrent instances: the function's reserved concurrency, or the account's limit.
    pub concurrency: u32,
    /// How long an idle instance is kept, in seconds. AWS does not document this; minutes are typical.
    pub keep_seconds: f64,
    /// Number of warm instances at the start.
    pub warm: u32,
    /// What happens beyond `concurrency`.
    pub full: Full,
}

impl Scenario {
    /// A scenario with one picture per second, an offload rate of 1, no network, at most a thousand instances, and these
    /// service and start times in milliseconds.
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

    /// Requests per second that go to the function.
    pub fn requests_per_second(&self) -> f64 {
        self.pictures_per_second * self.offload
    }

    /// Mean time of a request in a warm instance, in milliseconds.
    pub fn mean_service_ms(&self) -> f64 {
        self.service_ms.iter().sum::<f64>() / self.service_ms.len() as f64
    }
}

/// Latency from a picture's arrival to its answer, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Latency {
    /// The median latency.
    pub p50: f64,
    /// The 95th percentile.
    pub p95: f64,
    /// The 99th percentile.
    pub p99: f64,
}

/// Results of a simulation. The first tenth of its time is discarded, except for `peak`.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Length of the counted time in seconds.
    pub seconds: f64,
    /// Number of pictures that arrived in this time.
    pub pictures: u64,
    /// Number of requests that the function answered.
    pub answered: u64,
    /// Number of pictures that the best exit answered because every attempt was refused.
    pub degraded: u64,
    /// Number of refused attempts, including those that succeeded on retry.
    pub refused: u64,
    /// Number of requests that had to wait for an instance to start.
    pub cold: u64,
    /// Latency over all pictures, wherever they were answered.
    pub all: Latency,
    /// Latency of the pictures that the function answered.
    pub offloaded: Latency,
    /// Answers of the function per second.
    pub throughput: f64,
    /// Maximum number of busy instances.
    pub peak: u32,
    /// Mean number of busy instances.
    pub mean_busy: f64,
    /// Concurrency that this load needs: the peak of busy instances, or a tenth of the requests per second if that is more.
    pub needed: u32,
    /// Billed time in seconds, including starts, with each request rounded up to a millisecond.
    pub billed_seconds: f64,
}
