//! Handling of requests.

use std::cell::Cell;
use std::io::{Write as _, stderr};
use std::time::Instant;

use fogline::refusal::{MALFORMED, NOT_FOUND, TOO_LARGE};
use fogline::trace::{self, Traceparent};
use serde::Serialize;
use serde_json::json;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

use super::counted::{self, count};
use super::gateway::Gateway;
use super::http::{BODY_LATE, BUSY, Response, UNSUPPORTED_MEDIA_TYPE, body, header};
use super::page::Page;
use super::pictures::{Picture, pictures};
use super::slot::Slot;
use super::{Level, Options, not_ready, options};
use crate::component::drift;
use crate::component::fault::Fault;
use crate::component::line::Line;
use crate::component::transport::random;

/// The body of a response to `/classify`.
#[derive(Serialize)]
struct Answers<'a> {
    answers: Vec<Line<'a>>,
}

struct Handler;

wasip2::http::proxy::export!(Handler with_types_in wasip2);

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        // The slot is held until all is done, even for a client that reads slowly or has left.
        let mut slot = None;
        let began = Instant::now();
        wstd::runtime::block_on(async {
            let response = answer(&request, &mut slot).await;
            let status = response.status();
            response.send(out).await;
            log(&request, status, began);
        });
        // The client has its answer by now.
        if let Ok(options) = options() {
            counted::write(options, slot);
        }
    }
}

/// Logs a request if its level is logged. This includes requests whose clients have left, because they cost work too.
fn log(request: &IncomingRequest, status: u16, began: Instant) {
    let level = Level::of(status);
    // If the options cannot be read, log everything.
    if options().is_ok_and(|options| level > options.log) {
        return;
    }
    let method = match request.method() {
        Method::Get => "GET".to_owned(),
        Method::Head => "HEAD".to_owned(),
        Method::Post => "POST".to_owned(),
        other => format!("{other:?}"),
    };
    let path = request.path_with_query().unwrap_or_default();
    let ms = began.elapsed().as_secs_f64() * 1e3;
    let line = format!("{} {method} {path:?} {status} {ms:.1} ms", level.word());
    let _ = writeln!(stderr(), "{line}");
}

thread_local! {
    /// The instance's state, kept between requests. An instance handles one request at a time.
    static GATEWAY: Cell<Option<Gateway>> = const { Cell::new(None) };
}

/// The instance's state. If it is not loaded, loads it; the next request tries again if that fails.
fn gateway() -> Result<Gateway, Fault> {
    GATEWAY.take().map_or_else(Gateway::load, Ok)
}

/// The result of `look` on the instance's state. An error if the pair cannot be loaded.
fn seen<T>(look: impl FnOnce(&Gateway) -> T) -> Result<T, Fault> {
    let gateway = gateway()?;
    let what = look(&gateway);
    GATEWAY.set(Some(gateway));
    Ok(what)
}

/// The response to a request, by its path and method.
async fn answer(request: &IncomingRequest, slot: &mut Option<Slot>) -> Response {
    let path = request.path_with_query().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let method = request.method();
    let reads = matches!(method, Method::Get | Method::Head);
    let response = match path {
        "/classify" if matches!(method, Method::Post) => {
            let response = classify(request, slot).await;
            response.inspect_err(|fault| count(|counts| counts.refuse(&fault.error)))
        }
        "/classify" => return Response::wrong_method(path, "POST"),
        "/" | "/health" | "/ready" | "/metrics" if !reads => {
            return Response::wrong_method(path, "GET, HEAD");
        }
        "/" => page(),
        "/health" => Ok(Response::json(&json!({"status": "live"}))),
        "/ready" => ready(),
        "/metrics" => metrics(),
        _ => Err(Fault::new(NOT_FOUND, format!("nothing exists at '{path}'"))),
    };
    response.unwrap_or_else(|fault| Response::refusal(&fault))
}

/// `POST /classify`: the results of the pictures in the body.
async fn classify(request: &IncomingRequest, slot: &mut Option<Slot>) -> Result<Response, Fault> {
    let options = options().map_err(|fault| not_ready(&fault))?;
    // Before anything else, so that refusing a request does not cost loading a pair.
    *slot = options.begin().await?;
    let mut gateway = gateway()?;
    let response = match taken(request, &gateway, options).await {
        Ok(pictures) => match &gateway.classify(pictures, trace(request)).await[..] {
            // In a request of several pictures, one that cannot be read does not affect the others. Alone, it is refused.
            [(_, Err(fault))] => Ok(Response::refusal(fault)),
            answered => {
                let lines = answered.iter().map(|(name, outcome)| Line::of(name.clone(), outcome));
                Ok(Response::json(&Answers { answers: lines.collect() }))
            }
        },
        Err(fault) => Err(fault),
    };
    GATEWAY.set(Some(gateway));
    response
}

/// The pictures of a request.
async fn taken(
    request: &IncomingRequest,
    gateway: &Gateway,
    options: &Options,
) -> Result<Vec<(String, Picture)>, Fault> {
    let body = body(request, (options.max_body_mib << 20) as usize).await?;
    let content_type = header(request, "content-type").unwrap_or_default();
    pictures(&content_type, body, gateway.session().manifest().input.size).await
}

/// The trace that the client's request belongs to, if it names exactly one.
fn trace(request: &IncomingRequest) -> Option<Traceparent> {
    match &request.headers().get(trace::HEADER)[..] {
        [one] => Traceparent::parse(one),
        _ => None,
    }
}

/// `GET /ready`: the loaded pair and the state of the cloud, or why there is no pair.
fn ready() -> Result<Response, Fault> {
    seen(|gateway| {
        let manifest = gateway.session().manifest();
        let pair = json!({
            "name": manifest.name, "version": manifest.version,
            "digest": hex::encode(manifest.pair_digest()),
        });
        Response::json(&json!({"status": "ready", "pair": pair, "cloud": gateway.cloud()}))
    })
}

/// `GET /metrics`: the metrics of all instances, and gauges of this one.
fn metrics() -> Result<Response, Fault> {
    let options = options().map_err(|fault| not_ready(&fault))?;
    let nowhere = || Fault::new(NOT_FOUND, "metrics are off: set FOGLINE_METRICS to a folder");
    let folder = options.metrics.as_deref().ok_or_else(nowhere)?;
    let mut counts = counted::sum(folder)?;
    counts.name(&REASONS, &REFUSALS);
    let working = Slot::taken(folder, 0..options.max_work, options.longest_work());
    let mut text = counts.to_string();
    text += &gauge("in_flight", "Requests for /classify in progress.", "", working);
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    text += &gauge("build_info", "The engine's version.", &version, 1);
    // If the pair cannot be loaded, /ready reports it.
    if let Ok(own) = seen(gauges) {
        text += &own;
    }
    Ok(Response::of("text/plain; version=0.0.4", text))
}

/// The error codes of degraded answers and refusals that have a series from the start, with the value 0.
const REASONS: [&str; 8] = [
    "no_cloud",
    "cloud_unreachable",
    "cloud_late",
    "circuit_open",
    "over_quota",
    "over_bandwidth",
    "cloud_refused",
    "cloud_bad_answer",
];
const REFUSALS: [&str; 5] = [BUSY, BODY_LATE, MALFORMED, TOO_LARGE, UNSUPPORTED_MEDIA_TYPE];

/// The gauges of the instance that handles the request.
fn gauges(gateway: &Gateway) -> String {
    let manifest = gateway.session().manifest();
    let pair = format!("{{name={:?},version={:?}}}", manifest.name, manifest.version);
    let open = usize::from(gateway.cloud() == "left_alone");
    gauge("pair_info", "The loaded pair.", &pair, 1)
        + &gauge("circuit_open", "Whether this instance's circuit breaker is open.", "", open)
        + &drift::gauges(gateway.monitor())
}

fn gauge(name: &str, help: &str, labels: &str, value: usize) -> String {
    let name = format!("fogline_{name}");
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}\n")
}

/// `GET /`: the page for people.
fn page() -> Result<Response, Fault> {
    let folder = options().map_err(|fault| not_ready(&fault))?.metrics.as_deref();
    let counts = folder.map(counted::sum).transpose()?;
    let nonce = hex::encode(random());
    let policy = format!(
        "default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let page = seen(|gateway| Page { gateway, counts, nonce: &nonce }.to_string())?;
    Ok(Response::of("text/html; charset=utf-8", page).with("content-security-policy", policy))
}
