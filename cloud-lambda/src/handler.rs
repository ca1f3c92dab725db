//! From an HTTP request to an HTTP response.
//!
//! No header of cross-origin sharing is set here: the function URL's own configuration sets
//! them, and a browser refuses an answer that carries them twice. For a page of another origin it has to
//! expose `server-timing` and `retry-after`, which an edge reads.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use fogline::frame::{MEDIA_TYPE, Request as Frame, Response as Scores};
use fogline::policy::Verdict;
use fogline::refusal::{
    DEADLINE, INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, NOT_READY, Refusal, UNKNOWN_PAIR,
};
use lambda_http::http::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use lambda_http::{Body, Request, RequestExt, Response};
use serde::Serialize;
use tracing::warn;

use crate::body::{self, JSON};
use crate::index::REFRESH_AT_MOST_EVERY;
use crate::metadata::Metadata;
use crate::plan::Plan;
use crate::plans::Plans;
use crate::record::Record;

/// What is kept of Lambda's time for saying that there is no more of it.
const LAST_WORD: Duration = Duration::from_millis(200);

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

/// Answers one request. Every refusal is a typed one, and so is a panic.
pub async fn handle(plans: &Arc<Plans>, request: Request) -> Response<Body> {
    let plans = Arc::clone(plans);
    let answer = tokio::spawn(async move { answer(&plans, request).await }).await;
    answer.unwrap_or_else(|error| {
        warn!(%error, "a request broke off");
        refused(&Refusal::new(INTERNAL, "the request broke off; see the log"))
    })
}

async fn answer(plans: &Arc<Plans>, request: Request) -> Response<Body> {
    // A function URL has the whole path in `rawPath`; the URI would add a stage, where one is.
    let path = match request.raw_http_path() {
        "" => request.uri().path(),
        path => path,
    };
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (allowed, answer) = match (&parts[..], request.method().as_str()) {
        (["infer"], "POST") => ("POST", observed(plans, request).await),
        (["health"], "GET") => ("GET", Ok(json(200, &serde_json::json!({"status": "live"})))),
        (["ready"], "GET") => ("GET", ready(plans)),
        (["v2", "models", name], "GET") => ("GET", model(plans, name, None).await),
        (["v2", "models", name, "versions", version], "GET") => {
            ("GET", model(plans, name, Some(version)).await)
        }
        (["infer"], method) => ("POST", Err(wrong_method(path, method))),
        (
            ["health" | "ready"] | ["v2", "models", _] | ["v2", "models", _, "versions", _],
            method,
        ) => ("GET", Err(wrong_method(path, method))),
        _ => ("", Err(Refusal::new(NOT_FOUND, format!("there is nothing at '{path}'")))),
    };
    answer.unwrap_or_else(|refusal| {
        let mut response = refused(&refusal);
        if refusal.error == METHOD_NOT_ALLOWED
            && let Ok(value) = allowed.parse()
        {
            response.headers_mut().insert(ALLOW, value);
        }
        response
    })
}

/// What a refusal looks like over HTTP.
pub fn refused(refusal: &Refusal) -> Response<Body> {
    json(refusal.status(), refusal)
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

async fn model(
    plans: &Plans,
    name: &str,
    version: Option<&str>,
) -> Result<Response<Body>, Refusal> {
    let index = plans.index();
    let found = || Metadata::of(&index.pairs(), name, version);
    // A function that has loaded one pair knows no other versions of it yet.
    if let Some(metadata) = found()
        && index.is_listed().await
    {
        return Ok(json(200, &metadata));
    }
    let listed = index.refresh(REFRESH_AT_MOST_EVERY).await;
    // Without the store, what is known of before.
    if let Some(metadata) = found() {
        return Ok(json(200, &metadata));
    }
    listed?;
    let version = version.map(|version| format!("/{version}")).unwrap_or_default();
    Err(Refusal::new(UNKNOWN_PAIR, format!("the cloud has no pair '{name}{version}'")))
}

/// Infers, and leaves a line of it in the log.
async fn observed(plans: &Arc<Plans>, request: Request) -> Result<Response<Body>, Refusal> {
    static WARM: AtomicBool = AtomicBool::new(false);
    let start = Instant::now();
    let context = request.lambda_context_ref();
    let until = context.and_then(|context| until(context.deadline()));
    let mut record = Record { cold: !WARM.swap(true, Ordering::Relaxed), ..Record::of(&request) };
    let mut answer = infer(plans, &request, until, &mut record).await;
    record.outcome = match &answer {
        Ok(_) => "ok".into(),
        Err(refusal) => refusal.error.clone(),
    };
    if let Err(refusal) = &answer {
        warn!(
            request = record.request,
            frame = record.frame,
            error = refusal.error,
            "{}",
            refusal.message
        );
    }
    record.total_ms = ms(start);
    if let (Ok(response), Ok(timing)) = (&mut answer, record.server_timing().parse()) {
        response.headers_mut().insert("server-timing", timing);
    }
    record.print();
    answer
}

/// When an answer must be on its way; `None` where nobody set a deadline, as outside Lambda. Lambda gives out no event whose
/// time is over, but emulators of it state times that were over long ago.
fn until(deadline: SystemTime) -> Option<Instant> {
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    Some(Instant::now() + left.saturating_sub(LAST_WORD))
}

fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

async fn infer(
    plans: &Arc<Plans>,
    request: &Request,
    until: Option<Instant>,
    record: &mut Record,
) -> Result<Response<Body>, Refusal> {
    let frame = body::frame(request)?;
    record.frame = Some(hex::encode(frame.request_id));
    record.samples = frame.tensors.len();
    let (plan, scores) = match until {
        None => scores(plans, frame, None, record).await?,
        Some(until) => {
            let late =
                || Refusal::new(DEADLINE, "the model was not loaded in time; try again soon");
            let scores = scores(plans, frame, Some(until), record);
            tokio::time::timeout_at(until.into(), scores).await.map_err(|_| late())??
        }
    };
    if accepts_json(request) {
        return Ok(json(200, &readable(&plan, &scores)));
    }
    let bytes = scores.encode().map_err(|error| Refusal::new(INTERNAL, error.to_string()))?;
    Ok(response(200, MEDIA_TYPE, bytes))
}

async fn scores(
    plans: &Arc<Plans>,
    frame: Frame,
    until: Option<Instant>,
    record: &mut Record,
) -> Result<(Arc<Plan>, Scores), Refusal> {
    let start = Instant::now();
    let plan = plans.get(&frame.pair).await;
    record.load_ms = ms(start);
    let plan = plan?;
    let manifest = plan.manifest();
    record.pair = Some(format!("{}/{}", manifest.name, manifest.version));
    plan.check(&frame.tensors)?;
    // On this thread: nobody else waits for it, since Lambda gives out one request at a time.
    let logits = catch_unwind(AssertUnwindSafe(|| plan.logits(&frame.tensors, until)));
    let logits = logits
        .unwrap_or_else(|_| Err(Refusal::new(INTERNAL, "the inference broke off; see the log")))?;
    record.infer_ms = logits.took.as_secs_f64() * 1e3;
    Ok((plan, Scores { request_id: frame.request_id, scores: logits.scores }))
}

fn readable<'a>(plan: &'a Plan, scores: &Scores) -> Answer<'a> {
    let samples = scores.scores.iter().map(|logits| {
        // The last word is the cloud's: no threshold applies, only the label and the softmax.
        let verdict = Verdict::last(logits);
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
