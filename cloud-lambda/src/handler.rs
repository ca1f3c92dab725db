//! From an HTTP request to an HTTP response.
//!
//! No header of cross-origin sharing is set here: the function URL's own configuration sets
//! them, and a browser refuses an answer that carries them twice.

use std::sync::Arc;
use std::time::Instant;

use fogline::frame::{MAX_FRAME, MEDIA_TYPE, Request as Frame, Response as Scores};
use fogline::policy::{Policy, Verdict};
use fogline::refusal::{
    BODY_TOO_LARGE, INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, NOT_READY, Refusal,
};
use lambda_http::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use lambda_http::{Body, Request, RequestExt, Response};
use serde::Serialize;
use tracing::{info, warn};

use crate::plan::Plan;
use crate::plans::Plans;

const JSON: &str = "application/json";

/// The answer as JSON, for those who would rather read than decode.
#[derive(Serialize)]
struct Answer<'a> {
    request_id: String,
    pair: String,
    samples: Vec<Sample<'a>>,
}

#[derive(Serialize)]
struct Sample<'a> {
    label: &'a str,
    index: usize,
    confidence: f32,
    scores: Vec<f32>,
}

#[derive(Serialize)]
struct Ready<'a> {
    status: &'static str,
    pairs: Vec<ReadyPair<'a>>,
}

#[derive(Serialize)]
struct ReadyPair<'a> {
    name: &'a str,
    version: &'a str,
    digest: String,
}

/// Answers one request. Every refusal is a typed one.
pub async fn handle(plans: &Arc<Plans>, request: Request) -> Response<Body> {
    // A function URL has the whole path in `rawPath`; the URI would add a stage, where one is.
    let path = match request.raw_http_path() {
        "" => request.uri().path(),
        path => path,
    };
    let (allowed, answer) = match (path, request.method().as_str()) {
        ("/infer", "POST") => ("POST", infer(plans, request).await),
        ("/health", "GET") => ("GET", Ok(json(200, &serde_json::json!({"status": "live"})))),
        ("/ready", "GET") => ("GET", ready(plans)),
        ("/infer", method) => ("POST", Err(wrong_method(path, method))),
        ("/health" | "/ready", method) => ("GET", Err(wrong_method(path, method))),
        _ => ("", Err(Refusal::new(NOT_FOUND, format!("there is nothing at '{path}'")))),
    };
    answer.unwrap_or_else(|refusal| {
        let mut response = json(refusal.status(), &refusal);
        if refusal.error == METHOD_NOT_ALLOWED
            && let Ok(value) = allowed.parse()
        {
            response.headers_mut().insert(ALLOW, value);
        }
        response
    })
}

fn wrong_method(path: &str, method: &str) -> Refusal {
    Refusal::new(METHOD_NOT_ALLOWED, format!("'{path}' does not answer to {method}"))
}

fn ready(plans: &Plans) -> Result<Response<Body>, Refusal> {
    let loaded = plans.loaded();
    if loaded.is_empty() {
        return Err(Refusal::new(NOT_READY, "no pair is loaded yet; try again soon"));
    }
    let pair = |plan: &'_ Arc<Plan>| hex::encode(plan.digest());
    let pairs = loaded
        .iter()
        .map(|plan| ReadyPair {
            name: &plan.manifest().name,
            version: &plan.manifest().version,
            digest: pair(plan),
        })
        .collect();
    Ok(json(200, &Ready { status: "ready", pairs }))
}

async fn infer(plans: &Plans, request: Request) -> Result<Response<Body>, Refusal> {
    let start = Instant::now();
    let wants_json = accepts_json(&request);
    let body: &[u8] = request.body();
    if body.len() > MAX_FRAME {
        let message = format!("the body has {} bytes, a frame at most {MAX_FRAME}", body.len());
        return Err(Refusal::new(BODY_TOO_LARGE, message));
    }
    let frame = Frame::decode(body).map_err(|error| {
        warn!(error = error.word(), bytes = body.len(), "not a frame");
        Refusal::from(&error)
    })?;
    let id = hex::encode(frame.request_id);
    let answer = scores(plans, frame).await;
    let (plan, scores) = answer.inspect_err(|refusal| {
        warn!(request = id, error = refusal.error, "{}", refusal.message);
    })?;
    info!(
        request = id,
        pair = %format_args!("{}/{}", plan.manifest().name, plan.manifest().version),
        samples = scores.scores.len(),
        ms = start.elapsed().as_secs_f64() * 1e3,
        "inferred"
    );
    if wants_json {
        return Ok(json(200, &readable(&plan, &scores)));
    }
    let bytes = scores.encode().map_err(|error| Refusal::new(INTERNAL, error.to_string()))?;
    Ok(response(200, MEDIA_TYPE, bytes))
}

async fn scores(plans: &Plans, frame: Frame) -> Result<(Arc<Plan>, Scores), Refusal> {
    let plan = plans.get(&frame.pair).await?;
    plan.check(&frame.tensors)?;
    let worker = Arc::clone(&plan);
    let scores = apart(move || frame.tensors.iter().map(|map| worker.logits(map)).collect());
    Ok((plan, Scores { request_id: frame.request_id, scores: scores.await? }))
}

/// Runs `work` where it may take its time, and makes a panic in it a refusal.
async fn apart<T, F>(work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Refusal> + Send + 'static,
{
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|_| Err(Refusal::new(INTERNAL, "the inference broke off; see the log")))
}

fn readable<'a>(plan: &'a Plan, scores: &Scores) -> Answer<'a> {
    let samples = scores.scores.iter().map(|logits| {
        // The last word is the cloud's: no threshold applies, only the label and the softmax.
        let verdict = Verdict::of(logits, 1.0, Policy::MaxProbability, 0.0);
        Sample {
            label: &plan.manifest().classes[verdict.label],
            index: verdict.label,
            confidence: verdict.confidence,
            scores: verdict.scores,
        }
    });
    Answer {
        request_id: hex::encode(scores.request_id),
        pair: hex::encode(plan.digest()),
        samples: samples.collect(),
    }
}

fn accepts_json(request: &Request) -> bool {
    let types = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    types.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(JSON));
        // A weight of zero means: not this one.
        json && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}

fn json(status: u16, body: &impl Serialize) -> Response<Body> {
    response(status, JSON, serde_json::to_vec(body).unwrap_or_default())
}

fn response(status: u16, media_type: &str, body: Vec<u8>) -> Response<Body> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, media_type)
        .body(Body::Binary(body))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_the_model_is_a_typed_refusal() {
        let refusal = apart::<(), _>(|| panic!("index out of range")).await.unwrap_err();
        assert_eq!((refusal.error.as_str(), refusal.status()), (INTERNAL, 500));
    }

    #[test]
    fn accept_is_read_as_a_list() {
        let with = |value: &str| {
            let request = Request::default();
            let (mut parts, body) = request.into_parts();
            parts.headers.insert(ACCEPT, value.parse().unwrap());
            accepts_json(&Request::from_parts(parts, body))
        };
        assert!(with("application/json"));
        assert!(with("text/html, Application/JSON;q=0.9"));
        assert!(!with("*/*"));
        assert!(!with("application/vnd.fogline.frame, application/json; q=0"));
        assert!(!with("application/json-seq"));
        assert!(!accepts_json(&Request::default()));
    }
}
