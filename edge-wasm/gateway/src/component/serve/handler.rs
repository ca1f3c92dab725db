//! From a request to a response.

use std::cell::Cell;
use std::io::{Write as _, stderr};
use std::time::Instant;

use fogline::refusal::{MALFORMED, NOT_FOUND, TOO_LARGE};
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
use crate::component::fault::Fault;
use crate::component::line::Line;
use crate::component::transport::random;

/// What becomes of a request's pictures.
#[derive(Serialize)]
struct Answers<'a> {
    answers: Vec<Line<'a>>,
}

struct Handler;

wasip2::http::proxy::export!(Handler with_types_in wasip2);

impl Guest for Handler {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        // Held until all is done, also for one who reads slowly or has left.
        let mut slot = None;
        let began = Instant::now();
        wstd::runtime::block_on(async {
            let response = answer(&request, &mut slot).await;
            let status = response.status();
            response.send(out).await;
            log(&request, status, began);
        });
        // Whoever asked has the answer by now.
        if let Ok(options) = options() {
            counted::write(options, slot);
        }
    }
}

/// A line of a request, where its level is logged. Also of one whose client has left: what it cost was paid.
fn log(request: &IncomingRequest, status: u16, began: Instant) {
    let level = Level::of(status);
    // Where options cannot be read, nobody has said what to leave out.
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
    /// What the instance keeps from one request to the next. Requests come one after the other.
    static GATEWAY: Cell<Option<Gateway>> = const { Cell::new(None) };
}

/// The instance's, loaded where it is not yet; a pair that does not load is tried again by the next request.
fn gateway() -> Result<Gateway, Fault> {
    GATEWAY.take().map_or_else(Gateway::load, Ok)
}

/// Looks at it.
fn seen<T>(look: impl FnOnce(&Gateway) -> T) -> Result<T, Fault> {
    let gateway = gateway()?;
    let what = look(&gateway);
    GATEWAY.set(Some(gateway));
    Ok(what)
}

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
        _ => Err(Fault::new(NOT_FOUND, format!("there is nothing at '{path}'"))),
    };
    response.unwrap_or_else(|fault| Response::refusal(&fault))
}

async fn classify(request: &IncomingRequest, slot: &mut Option<Slot>) -> Result<Response, Fault> {
    let options = options().map_err(|fault| not_ready(&fault))?;
    // First of all: a refusal must not cost the loading of a pair.
    *slot = options.begin().await?;
    let mut gateway = gateway()?;
    let response = match taken(request, &gateway, options).await {
        Ok(pictures) => match &gateway.classify(pictures).await[..] {
            // One that cannot be read loses no others; alone, it is all of the request, and counted by now.
            [(_, Err(fault))] => Ok(Response::refusal(fault)),
            answered => {
                let lines =
                    answered.iter().map(|(name, outcome)| Line::of(name.clone(), outcome, None));
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

fn metrics() -> Result<Response, Fault> {
    let options = options().map_err(|fault| not_ready(&fault))?;
    let nowhere =
        || Fault::new(NOT_FOUND, "nothing is counted: name a folder for it (FOGLINE_METRICS)");
    let folder = options.metrics.as_deref().ok_or_else(nowhere)?;
    let mut counts = counted::sum(folder)?;
    counts.name(&REASONS, &REFUSALS);
    let working = Slot::taken(folder, 0..options.max_work, options.longest_work());
    let mut text = counts.to_string();
    text += &gauge("in_flight", "Requests for /classify that are worked on.", "", working);
    let version = format!("{{version=\"{}\"}}", env!("CARGO_PKG_VERSION"));
    text += &gauge("build_info", "The engine's version.", &version, 1);
    // A pair that does not load is /ready's to say.
    if let Ok(own) = seen(gauges) {
        text += &own;
    }
    Ok(Response::of("text/plain; version=0.0.4", text))
}

/// The reasons that a question to the cloud has here, and refusals of ours: series that are there before the first of them.
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

/// What the instance that is asked knows.
fn gauges(gateway: &Gateway) -> String {
    let manifest = gateway.session().manifest();
    let pair = format!("{{name={:?},version={:?}}}", manifest.name, manifest.version);
    let open = usize::from(gateway.cloud() == "left_alone");
    gauge("pair_info", "The pair that decides.", &pair, 1)
        + &gauge("circuit_open", "Whether the instance asked leaves the cloud alone.", "", open)
}

fn gauge(name: &str, help: &str, labels: &str, value: usize) -> String {
    let name = format!("fogline_{name}");
    format!("# HELP {name} {help}\n# TYPE {name} gauge\n{name}{labels} {value}\n")
}

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
