//! One line of JSON a request: what it was, how long it took, how it ended. The same line carries
//! CloudWatch's embedded metrics, so that nothing else need be sent.
//!
//! No feature map, no score and no picture is in it.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::Request;
use serde::Serialize;
use serde_json::{Value, json};

use super::call::Call;
use crate::store::variable;

/// A request, as logged. Times are milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct Record {
    /// The host's id of the request.
    pub request: String,
    /// The frame's own id, the same on every retry.
    pub frame: Option<String>,
    /// NAME/VERSION.
    pub pair: Option<String>,
    /// `ok`, or the refusal's word.
    pub outcome: String,
    /// Whether it was the first of this process.
    pub cold: bool,
    /// Bytes of the body.
    #[serde(rename = "Bytes")]
    pub bytes: usize,
    /// How many samples it asked for.
    #[serde(rename = "Samples")]
    pub samples: usize,
    /// Waiting for the plan: loading it, unless it was there.
    #[serde(rename = "LoadMs")]
    pub load_ms: f64,
    /// In tract.
    #[serde(rename = "InferMs")]
    pub infer_ms: f64,
    /// From the request to its answer.
    #[serde(rename = "TotalMs")]
    pub total_ms: f64,
}

impl Record {
    /// What a request says of itself, and its host of it.
    pub fn of(request: &Request<Bytes>, call: &Call) -> Self {
        Self { request: call.id.clone(), bytes: request.body().len(), ..Self::default() }
    }

    /// Writes the line to standard output, where the host collects it.
    pub fn print(&self) {
        // A log that cannot be written must not keep an answer back.
        let _ = writeln!(io::stdout().lock(), "{}", self.line());
    }

    /// The times for the edge that asked, as the value of `Server-Timing`.
    pub fn server_timing(&self) -> String {
        let Self { load_ms, infer_ms, total_ms, .. } = self;
        format!("fogline;dur={total_ms:.3}, load;dur={load_ms:.3}, infer;dur={infer_ms:.3}")
    }

    /// The line, in CloudWatch's embedded metric format.
    fn line(&self) -> Value {
        static FUNCTION: OnceLock<String> = OnceLock::new();
        let function = FUNCTION.get_or_init(|| {
            variable("AWS_LAMBDA_FUNCTION_NAME").unwrap_or_else(|| "fogline-cloud".into())
        });
        let unit = |name: &str, unit: &str| json!({"Name": name, "Unit": unit});
        let (count, time) = (|name| unit(name, "Count"), |name| unit(name, "Milliseconds"));
        let now =
            SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64;
        let refused = self.outcome != "ok";
        let mut metrics = vec![json!({
            "Namespace": "Fogline",
            "Dimensions": [["Function"]],
            "Metrics": [count("Requests"), count("Samples"), count("Refusals"), unit("Bytes", "Bytes"),
                        time("LoadMs"), time("InferMs"), time("TotalMs")],
        })];
        if refused {
            metrics.push(json!({
                "Namespace": "Fogline", "Dimensions": [["Function", "outcome"]], "Metrics": [count("Refusals")],
            }));
        }
        let mut line = json!(self);
        line["Function"] = json!(function);
        line["Requests"] = json!(1);
        line["Refusals"] = json!(u8::from(refused));
        line["_aws"] = json!({"Timestamp": now, "CloudWatchMetrics": metrics});
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_that_is_named_is_there_as_a_number() {
        for outcome in ["ok", "malformed"] {
            let line = Record { outcome: outcome.into(), ..Record::default() }.line();
            let groups = line["_aws"]["CloudWatchMetrics"].as_array().unwrap();
            assert_eq!(groups.len(), if outcome == "ok" { 1 } else { 2 });
            for group in groups {
                for metric in group["Metrics"].as_array().unwrap() {
                    assert!(line[metric["Name"].as_str().unwrap()].is_number(), "{metric}");
                }
                for dimension in group["Dimensions"][0].as_array().unwrap() {
                    assert!(line[dimension.as_str().unwrap()].is_string(), "{dimension}");
                }
            }
        }
    }
}
