//! Prices, and the cost of a simulation.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::{Outcome, Scenario};

const MILLION: f64 = 1e6;
const GB: f64 = 1e9;

/// AWS prices in US dollars, for one region on one date.
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs)]
pub struct Prices {
    /// Date of the prices, as YYYY-MM-DD.
    pub date: String,
    /// The AWS region, such as `us-east-1`.
    pub region: String,
    /// Lambda: per million requests.
    pub requests_per_million: f64,
    /// Lambda on arm64: per GB of memory and second.
    pub gb_second_arm64: f64,
    /// Lambda on x86-64: per GB of memory and second.
    pub gb_second_x86_64: f64,
    /// Traffic to the internet: per GB.
    pub gb_out: f64,
    /// CloudWatch: per GB of logs ingested.
    pub gb_logged: f64,
    /// Bytes of one request's log line; not a price.
    pub bytes_logged: f64,
    /// S3: per million GET requests.
    pub gets_per_million: f64,
    /// GET requests per start of an instance; not a price.
    pub gets_per_start: f64,
}

/// Why a price list is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PricesError(String);

impl fmt::Display for PricesError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for PricesError {}

impl Prices {
    /// Parses a price list in TOML.
    ///
    /// # Errors
    /// Names the key that is missing, unknown or not a valid price, and its line if there is one.
    pub fn parse(text: &str) -> Result<Self, PricesError> {
        let prices: Self = toml::from_str(text).map_err(|error| PricesError(error.to_string()))?;
        let numbers = [
            ("requests_per_million", prices.requests_per_million),
            ("gb_second_arm64", prices.gb_second_arm64),
            ("gb_second_x86_64", prices.gb_second_x86_64),
            ("gb_out", prices.gb_out),
            ("gb_logged", prices.gb_logged),
            ("bytes_logged", prices.bytes_logged),
            ("gets_per_million", prices.gets_per_million),
            ("gets_per_start", prices.gets_per_start),
        ];
        match numbers.into_iter().find(|(_, number)| !(0.0..1e9).contains(number)) {
            Some((name, number)) => Err(PricesError(format!("{name} is {number}"))),
            None => Ok(prices),
        }
    }
}

impl Default for Prices {
    /// The prices in `infra/capacity/prices.toml`.
    fn default() -> Self {
        Self::parse(include_str!("../prices.toml")).expect("a test parses this file")
    }
}

/// Processor architecture of the Lambda function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[allow(clippy::exhaustive_enums)]
pub enum Architecture {
    /// AWS Graviton processors.
    Arm64,
    /// Intel and AMD processors.
    X86_64,
}

/// Cost in dollars, by cause.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Cost {
    /// Memory for the billed time.
    pub compute: f64,
    /// Answered requests; Lambda does not bill refused ones.
    pub requests: f64,
    /// Responses sent to the internet.
    pub traffic: f64,
    /// Log lines, one per request.
    pub logs: f64,
    /// Downloads when instances start.
    pub store: f64,
}

impl Cost {
    /// The cost of a simulated period.
    pub fn of(
        outcome: &Outcome,
        scenario: &Scenario,
        memory_mib: u32,
        architecture: Architecture,
        prices: &Prices,
    ) -> Self {
        let answered = outcome.answered as f64;
        let gb_second = match architecture {
            Architecture::Arm64 => prices.gb_second_arm64,
            Architecture::X86_64 => prices.gb_second_x86_64,
        };
        Self {
            compute: outcome.billed_seconds * f64::from(memory_mib) / 1024.0 * gb_second,
            requests: answered / MILLION * prices.requests_per_million,
            traffic: answered * scenario.link.bytes_down as f64 / GB * prices.gb_out,
            logs: answered * prices.bytes_logged / GB * prices.gb_logged,
            store: outcome.cold as f64 * prices.gets_per_start / MILLION * prices.gets_per_million,
        }
    }

    /// The sum of all causes, in dollars.
    pub fn total(&self) -> f64 {
        self.compute + self.requests + self.traffic + self.logs + self.store
    }

    /// The cost multiplied by a factor.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self {
            compute: self.compute * factor,
            requests: self.requests * factor,
            traffic: self.traffic * factor,
            logs: self.logs * factor,
            store: self.store * factor,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Link;

    #[test]
    fn a_million_requests_cost_what_one_counts_by_hand() {
        let link = Link { bytes_down: 1000, ..Link::LOOPBACK };
        let scenario = Scenario { link, ..Scenario::new(vec![10.0], vec![0.0]) };
        let outcome = Outcome {
            pictures: 3_000_000,
            answered: 1_000_000,
            cold: 1000,
            billed_seconds: 10_000.0,
            ..Outcome::default()
        };
        let cost = Cost::of(&outcome, &scenario, 2048, Architecture::Arm64, &Prices::default());
        let near = |a: f64, b: f64| assert!((a - b).abs() < 1e-9, "{a} {b}");
        near(cost.compute, 20_000.0 * 0.000_013_333_4);
        near(cost.requests, 0.2);
        near(cost.traffic, 0.09);
        near(cost.logs, 0.45);
        near(cost.store, 0.0008);
        near(cost.times(2.0).total(), 2.0 * cost.total());
    }

    #[test]
    fn a_wrong_price_list_is_refused_by_name() {
        let good = include_str!("../prices.toml");
        let without = good.replace("gb_out = 0.09", "");
        let unknown = format!("{good}\ngb_in = 0\n");
        let negative = good.replace("gb_out = 0.09", "gb_out = -1.0");
        for (text, word) in [(without, "gb_out"), (unknown, "gb_in"), (negative, "gb_out is -1")] {
            let error = Prices::parse(&text).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
