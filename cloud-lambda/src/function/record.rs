//! The access log: one line of JSON per request with its size, timings and outcome. The same line carries CloudWatch
//! metrics in the embedded metric format, so that nothing else need be sent.
//!
//! It never contains a feature map, a score or a picture.

use std::io::{self, Write};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fogline::trace::{self, Traceparent};
use http::{HeaderMap, Request};
use serde::Serialize;
use serde_json::{Value, json};

use super::call::Call;
use crate::store::variable;

/// One request's log line. Times are in milliseconds.
#[derive(Debug, Default, Serialize)]
pub struct Record {
    /// The host's request id.
    pub request: String,
    /// The frame's request id, the same for every retry.
    pub frame: Option<String>,
    /// The trace that the caller's `traceparent` names, if it sent a valid one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// The caller's own span in that trace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_span_id: Option<String>,
    /// The pair, as NAME/VERSION.
    pub pair: Option<String>,
    /// `ok`, or the refusal's error code.
    pub outcome: String,
    /// Whether this is the first request of the process.
    pub cold: bool,
    /// Size of the request body in bytes.
    #[serde(rename = "Bytes")]
    pub bytes: usize,
    /// Number of samples in the request.
    #[serde(rename = "Samples")]
    pub samples: usize,
    /// Time to get the plan, including loading it if it was not in memory.
    #[serde(rename = "LoadMs")]
    pub load_ms: f64,
    /// Time spent in tract.
    #[serde(rename = "InferMs")]
    pub infer_ms: f64,
    /// Time from the request to its response.
    #[serde(rename = "TotalMs")]
    pub total_ms: f64,
}

impl Record {
    /// A record with what is known before the request is handled: the host's id, the caller's trace and the body's size.
    pub fn of(request: &Request<Bytes>, call: &Call) -> Self {
        let trace = traceparent(request.headers());
        Self {
            request: call.id.clone(),
            trace_id: trace.map(|trace| hex::encode(trace.trace_id)),
            parent_span_id: trace.map(|trace| hex::encode(trace.span_id)),
            bytes: request.body().len(),
            ..Self::default()
        }
    }

    /// Writes the line to standard output, where Lambda collects it.
    pub fn print(&self) {
        // A failure to log must not fail the request.
        let _ = writeln!(io::stdout().lock(), "{}", self.line());
    }

    /// The timings as the value of a `Server-Timing` header.
    pub fn server_timing(&self) -> String {
        let Self { load_ms, infer_ms, total_ms, .. } = self;
        format!("fogline;dur={total_ms:.3}, load;dur={load_ms:.3}, infer;dur={infer_ms:.3}")
    }

    /// The log line in CloudWatch's embedded metric format.
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

/// The caller's trace, if the headers name exactly one.
fn traceparent(headers: &HeaderMap) -> Option<Traceparent> {
    let mut named = headers.get_all(trace::HEADER).iter();
    let only = named.next().filter(|_| named.next().is_none())?;
    Traceparent::parse(only.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The log line of a request with these `traceparent` headers.
    fn traced(values: &[&str]) -> Value {
        let mut request = Request::new(Bytes::new());
        for value in values {
            request.headers_mut().append(trace::HEADER, value.parse().unwrap());
        }
        Record::of(&request, &Call::default()).line()
    }

    #[test]
    fn a_caller_s_trace_is_in_the_line_if_it_is_valid_and_the_only_one() {
        let valid = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
        let line = traced(&[valid]);
        assert_eq!(line["trace_id"], "0af7651916cd43dd8448eb211c80319c", "{line}");
        assert_eq!(line["parent_span_id"], "b7ad6b7169203331", "{line}");
        for untraced in [&[][..], &["00-0-0-00"], &[valid, valid]] {
            let line = traced(untraced);
            let names = line.as_object().unwrap();
            assert!(!names.contains_key("trace_id") && !names.contains_key("parent_span_id"));
        }
    }

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
