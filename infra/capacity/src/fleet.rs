//! How concurrency and cost grow with the size of the fleet.

use serde::Serialize;

use crate::{Outcome, Scenario, simulate};

/// Requests to simulate per fleet size: enough to find the peak, in about a second of computing.
const REQUESTS: f64 = 200_000.0;
/// Upper limit of the simulated time in seconds, for fleets with little traffic: one day.
const LONGEST: f64 = 86_400.0;

/// Results for one fleet size in the steady state.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Point {
    /// Number of devices.
    pub devices: u64,
    /// Outcome of the simulation, with unlimited instances.
    pub outcome: Outcome,
}

/// Simulates fleets of these sizes, in which each device takes `each` pictures per second.
pub fn fleet(scenario: &Scenario, each: f64, devices: &[u64], seed: u64) -> Vec<Point> {
    let point = |&devices: &u64| {
        let mut own = Scenario {
            pictures_per_second: devices as f64 * each,
            concurrency: u32::MAX,
            ..scenario.clone()
        };
        let requests = own.requests_per_second();
        // Start with twice the mean number of busy instances, to avoid a burst of starts.
        own.warm = (2.0 * requests * own.mean_service_ms() / 1e3).ceil() as u32;
        let seconds = (REQUESTS / requests).min(LONGEST);
        Point { devices, outcome: simulate(&own, seconds, seed) }
    };
    devices.iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_times_the_devices_need_less_than_ten_times_the_instances() {
        let scenario = Scenario { offload: 0.34, ..Scenario::new(vec![5.0, 9.0], vec![150.0]) };
        let points = fleet(&scenario, 0.1, &[1000, 10_000, 1_000_000], 1);
        for pair in points.windows(2) {
            let grown = pair[1].devices as f64 / pair[0].devices as f64;
            let busy = pair[1].outcome.mean_busy / pair[0].outcome.mean_busy;
            assert!((busy / grown - 1.0).abs() < 0.1, "{busy} {grown}");
            assert!(f64::from(pair[1].outcome.peak) < grown * f64::from(pair[0].outcome.peak));
        }
        // 34,000 requests per second of 7 ms each.
        assert!((points[2].outcome.mean_busy - 238.0).abs() < 5.0);
        assert!((3350..3450).contains(&points[2].outcome.needed), "{}", points[2].outcome.needed);
    }
}
