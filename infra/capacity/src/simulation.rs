//! The event-driven simulation of requests and instances.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};

use crate::{DEADLINE, FIRST_PAUSE, Full, Latency, Outcome, RATE, STARTS, Scenario, TRIES};

/// An event and its time in milliseconds; ordered so that the earliest is the greatest, for the heap.
struct Event {
    at: f64,
    what: What,
}

enum What {
    /// A picture arrives at a device; the next arrival is drawn.
    Picture,
    Request(Request),
    /// An instance becomes idle after an answer.
    Idle,
}

#[derive(Clone, Copy)]
struct Request {
    /// Arrival time of its picture.
    since: f64,
    tries: u32,
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Event {}
impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Event {
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at)
    }
}

/// A token bucket: allows bursts up to its size and refills continuously.
struct Allowance {
    left: f64,
    most: f64,
    each_ms: f64,
    /// Time of the last update of `left`.
    since: f64,
}

impl Allowance {
    fn new(most: f64, each_ms: f64) -> Self {
        Self { left: most, most, each_ms, since: 0.0 }
    }

    /// Takes a token; returns false if there is none.
    fn take(&mut self, now: f64) -> bool {
        self.left = (self.left + (now - self.since) * self.each_ms).min(self.most);
        self.since = now;
        let is_left = self.left >= 1.0;
        self.left -= f64::from(u8::from(is_left));
        is_left
    }
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    random: fastrand::Rng,
    events: BinaryHeap<Event>,
    /// Since when each instance has been idle. The last one was busy most recently and is taken first.
    idle: VecDeque<f64>,
    busy: u32,
    waiting: VecDeque<Request>,
    /// Limit on starting instances.
    starts: Allowance,
    /// Limit on requests.
    rate: Allowance,
    /// Time at which counting begins.
    counted: f64,
    /// Time up to which `busy` has been integrated, and the instance-milliseconds until then.
    work: (f64, f64),
    edge_only: u64,
    latencies: Vec<f64>,
    outcome: Outcome,
}

/// Simulates a scenario for this many seconds, with random numbers from `seed`.
///
/// # Panics
/// If the scenario has no service times or no start times.
pub fn simulate(scenario: &Scenario, seconds: f64, seed: u64) -> Outcome {
    let (counted, end) = (seconds * 100.0, seconds * 1e3);
    let rate = RATE * f64::from(scenario.concurrency);
    let mut simulation = Simulation {
        scenario,
        random: fastrand::Rng::with_seed(seed),
        events: BinaryHeap::new(),
        idle: std::iter::repeat_n(0.0, scenario.warm as usize).collect(),
        busy: 0,
        waiting: VecDeque::new(),
        starts: Allowance::new(STARTS, STARTS / 10_000.0),
        rate: Allowance::new(rate, rate / 1e3),
        counted,
        work: (counted, 0.0),
        edge_only: 0,
        latencies: vec![],
        outcome: Outcome { seconds: seconds * 0.9, ..Outcome::default() },
    };
    simulation.next_picture(0.0);
    while let Some(Event { at, what }) = simulation.events.pop() {
        simulation.count_work(at.min(end));
        match what {
            // Events in progress at the end still finish.
            What::Picture if at >= end => {}
            What::Picture => simulation.picture(at),
            What::Request(request) => simulation.request(at, request),
            What::Idle => simulation.idle(at),
        }
    }
    simulation.outcome()
}

impl Simulation<'_> {
    fn at(&mut self, at: f64, what: What) {
        self.events.push(Event { at, what });
    }

    fn next_picture(&mut self, now: f64) {
        // 1 - u is never zero.
        let gap = -(1.0 - self.random.f64()).ln() * 1e3 / self.scenario.pictures_per_second;
        self.at(now + gap, What::Picture);
    }

    fn picture(&mut self, now: f64) {
        self.next_picture(now);
        self.outcome.pictures += u64::from(now >= self.counted);
        if self.random.f64() < self.scenario.offload {
            // Half of the network time is before the function.
            let there = now + self.scenario.edge_ms + self.scenario.link.ms() / 2.0;
            self.at(there, What::Request(Request { since: now, tries: 1 }));
        } else if now >= self.counted {
            self.edge_only += 1;
        }
    }

    fn request(&mut self, now: f64, request: Request) {
        let kept = now - self.scenario.keep_seconds * 1e3;
        while self.idle.front().is_some_and(|&since| since < kept) {
            self.idle.pop_front();
        }
        if self.scenario.full == Full::Refuse && !self.rate.take(now) {
            return self.refuse(now, request);
        }
        if self.idle.pop_back().is_some() {
            return self.serve(now, request, 0.0);
        }
        if self.busy < self.scenario.concurrency && self.starts.take(now) {
            let start = self.random.choice(&self.scenario.start_ms).copied().expect("start times");
            self.outcome.cold += u64::from(request.since >= self.counted);
            return self.serve(now, request, start);
        }
        match self.scenario.full {
            Full::Queue => self.waiting.push_back(request),
            Full::Refuse => self.refuse(now, request),
        }
    }

    /// Assigns a request to an instance that is ready after `start` milliseconds.
    fn serve(&mut self, now: f64, request: Request, start: f64) {
        self.busy += 1;
        self.outcome.peak = self.outcome.peak.max(self.busy);
        let service = self.random.choice(&self.scenario.service_ms).expect("service times");
        let (taken, service) = (start + service, service.ceil());
        self.at(now + taken, What::Idle);
        if request.since < self.counted {
            return;
        }
        self.outcome.answered += 1;
        self.outcome.billed_seconds += (start.ceil() + service) / 1e3;
        self.latencies.push(now + taken + self.scenario.link.ms() / 2.0 - request.since);
    }

    fn refuse(&mut self, now: f64, request: Request) {
        let counts = request.since >= self.counted;
        self.outcome.refused += u64::from(counts);
        let longest = FIRST_PAUSE * f64::from(1_u32 << (request.tries - 1));
        let pause = self.scenario.link.ms() + longest * self.random.f64();
        if request.tries == TRIES || now + pause - request.since >= DEADLINE {
            self.outcome.degraded += u64::from(counts);
        } else {
            self.at(now + pause, What::Request(Request { tries: request.tries + 1, ..request }));
        }
    }

    fn idle(&mut self, now: f64) {
        self.busy -= 1;
        match self.waiting.pop_front() {
            Some(request) => self.serve(now, request, 0.0),
            None => self.idle.push_back(now),
        }
    }

    fn count_work(&mut self, now: f64) {
        let (till, sum) = self.work;
        if now > till {
            self.work = (now, sum + (now - till) * f64::from(self.busy));
        }
    }

    fn outcome(mut self) -> Outcome {
        let ms = self.outcome.seconds * 1e3;
        self.outcome.mean_busy = self.work.1 / ms;
        self.outcome.throughput = self.outcome.answered as f64 * 1e3 / ms;
        self.outcome.needed = self.outcome.peak.max((self.outcome.throughput / RATE).ceil() as u32);
        self.latencies.sort_by(f64::total_cmp);
        self.outcome.offloaded = latency(&self.latencies, 0);
        // All pictures answered at the edge have the same latency, which is the lowest.
        let edge = self.edge_only + self.outcome.degraded;
        self.outcome.all = latency(&self.latencies, edge as usize);
        for quantile in
            [&mut self.outcome.all.p50, &mut self.outcome.all.p95, &mut self.outcome.all.p99]
        {
            *quantile = quantile.max(self.scenario.edge_ms);
        }
        self.outcome
    }
}

/// Percentiles of `zeros` zeros followed by these sorted numbers.
fn latency(sorted: &[f64], zeros: usize) -> Latency {
    let count = sorted.len() + zeros;
    let of = |share: f64| {
        let at = (count.saturating_sub(1) as f64 * share).round() as usize;
        at.checked_sub(zeros).and_then(|at| sorted.get(at)).copied().unwrap_or(0.0)
    };
    Latency { p50: of(0.5), p95: of(0.95), p99: of(0.99) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Link;

    /// The Erlang B formula: the share of requests refused because all servers are busy.
    fn erlang_b(load: f64, servers: u32) -> f64 {
        (1..=servers).fold(1.0, |b, n| load * b / (f64::from(n) + load * b))
    }

    #[test]
    fn a_full_house_turns_away_what_erlang_says() {
        // The formula holds for any distribution of service times, not only exponential ones.
        let scenario = Scenario {
            pictures_per_second: 40.0,
            concurrency: 10,
            warm: 10,
            ..Scenario::new(vec![100.0, 200.0, 300.0], vec![0.0])
        };
        // Without retries, only first attempts count.
        let outcome = simulate(&scenario, 8000.0, 1);
        let firsts = outcome.pictures as f64;
        // Retries add to the load: between the formula's result for one attempt and for three.
        let refused = outcome.refused as f64 / firsts;
        let low = erlang_b(8.0, 10);
        assert!((low..3.0 * low).contains(&refused), "{refused} {low}");
        assert_eq!(outcome.answered + outcome.degraded, outcome.pictures);
    }

    #[test]
    fn short_requests_are_refused_beyond_ten_a_second_for_each_instance() {
        let scenario = Scenario {
            pictures_per_second: 400.0,
            concurrency: 20,
            warm: 20,
            ..Scenario::new(vec![1.0], vec![0.0])
        };
        let outcome = simulate(&scenario, 100.0, 1);
        assert!((outcome.throughput - 200.0).abs() < 2.0, "{}", outcome.throughput);
        assert!(outcome.degraded > 0 && outcome.peak < 20, "{outcome:?}");
        let enough = simulate(&Scenario { concurrency: 60, ..scenario }, 100.0, 1);
        assert!(enough.refused == 0 && (38..=42).contains(&enough.needed), "{enough:?}");
    }

    #[test]
    fn a_queue_waits_as_long_as_pollaczek_and_khinchine_say() {
        let scenario = Scenario {
            pictures_per_second: 8.0,
            concurrency: 1,
            warm: 1,
            full: Full::Queue,
            ..Scenario::new(vec![100.0], vec![0.0])
        };
        let outcome = simulate(&scenario, 50_000.0, 1);
        // Load 0.8 of equal times: 100 ms of service, and a mean wait of 0.8 / (2 * 0.2) * 100 = 200 ms.
        assert!((outcome.mean_busy - 0.8).abs() < 0.02, "{}", outcome.mean_busy);
        assert!((200.0..260.0).contains(&outcome.offloaded.p50), "{:?}", outcome.offloaded);
        assert!((outcome.throughput - 8.0).abs() < 0.1);
    }

    #[test]
    fn an_instance_that_was_idle_for_too_long_starts_anew() {
        let scenario = Scenario {
            pictures_per_second: 0.01,
            keep_seconds: 1.0,
            ..Scenario::new(vec![5.0], vec![200.0])
        };
        let outcome = simulate(&scenario, 100_000.0, 1);
        assert!(outcome.cold * 100 > outcome.answered * 98, "{outcome:?}");
        assert_eq!(outcome.offloaded.p50, 205.0);
        let kept = simulate(&Scenario { keep_seconds: 1e9, ..scenario }, 100_000.0, 1);
        assert_eq!((kept.cold, kept.offloaded.p50), (0, 5.0));
    }

    #[test]
    fn the_way_counts_there_and_back() {
        let link = Link { round_trip_ms: 40.0, up_mbit: 1.0, bytes_up: 1000, bytes_down: 80 };
        let scenario =
            Scenario { link, edge_ms: 2.0, warm: 9, ..Scenario::new(vec![5.0], vec![200.0]) };
        let outcome = simulate(&scenario, 1000.0, 1);
        // 40 ms, 8,000 bits at 1 Mbit/s, the edge and the service.
        assert!((outcome.offloaded.p50 - 55.0).abs() < 1e-6, "{}", outcome.offloaded.p50);
    }

    #[test]
    fn lambda_starts_a_thousand_instances_in_ten_seconds() {
        let scenario = Scenario {
            pictures_per_second: 1000.0,
            concurrency: 100_000,
            ..Scenario::new(vec![20_000.0], vec![0.0])
        };
        let outcome = simulate(&scenario, 10.0, 1);
        assert!((1800..2300).contains(&outcome.peak), "{}", outcome.peak);
        assert!(outcome.degraded > 0);
    }

    proptest! {
        #[test]
        fn every_picture_has_one_answer(
            rate in 1.0..300.0, offload in 0.0..1.0, service in 1.0..200.0,
            concurrency in 1u32..20, queue: bool, seed: u64,
        ) {
            let scenario = Scenario {
                pictures_per_second: rate,
                offload,
                concurrency,
                full: if queue { Full::Queue } else { Full::Refuse },
                ..Scenario::new(vec![service], vec![50.0])
            };
            let outcome = simulate(&scenario, 20.0, seed);
            let offloaded = outcome.answered + outcome.degraded;
            prop_assert!(offloaded <= outcome.pictures);
            prop_assert!(outcome.peak <= concurrency);
            prop_assert!(outcome.cold <= outcome.answered);
            prop_assert!(outcome.all.p50 <= outcome.all.p95 && outcome.all.p95 <= outcome.all.p99);
            if queue {
                prop_assert_eq!(outcome.degraded, 0);
            }
        }
    }
}
