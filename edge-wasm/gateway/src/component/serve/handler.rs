//! From a request to a response.

use std::cell::Cell;

use fogline::refusal::NOT_FOUND;
use serde::Serialize;
use serde_json::json;
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{IncomingRequest, Method, ResponseOutparam};

use super::gateway::Gateway;
use super::http::{Response, body, header};
use super::page::Page;
use super::pictures::pictures;
use super::{counted, not_ready, options};
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
        wstd::runtime::block_on(async { answer(&request).await.send(out).await });
        // Whoever asked has the answer by now.
        if let Some(mut gateway) = GATEWAY.take() {
            gateway.write_counts();
            GATEWAY.set(Some(gateway));
        }
    }
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

async fn answer(request: &IncomingRequest) -> Response {
    let path = request.path_with_query().unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default();
    let method = request.method();
    let reads = matches!(method, Method::Get | Method::Head);
    let response = match path {
        "/classify" if matches!(method, Method::Post) => classify(request).await,
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

async fn classify(request: &IncomingRequest) -> Result<Response, Fault> {
    let mut gateway = gateway()?;
    let size = gateway.session().manifest().input.size;
    let content_type = header(request, "content-type").unwrap_or_default();
    let pictures = match body(request).await {
        Ok(body) => pictures(&content_type, body, size).await,
        Err(fault) => Err(fault),
    };
    let response = match pictures {
        Ok(pictures) => match &gateway.classify(pictures).await[..] {
            // One that cannot be read loses no others; alone, it is all of the request.
            [(_, Err(fault))] => Err(fault.clone()),
            answered => {
                let lines =
                    answered.iter().map(|(name, outcome)| Line::of(name.clone(), outcome, None));
                Ok(Response::json(&Answers { answers: lines.collect() }))
            }
        },
        Err(fault) => {
            gateway.refuse(&fault);
            Err(fault)
        }
    };
    GATEWAY.set(Some(gateway));
    response
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
    let folder = options().map_err(|fault| not_ready(&fault))?.metrics.as_deref();
    let nowhere =
        || Fault::new(NOT_FOUND, "nothing is counted: name a folder for it (FOGLINE_METRICS)");
    let counts = counted::sum(folder.ok_or_else(nowhere)?)?;
    Ok(Response::of("text/plain; version=0.0.4", counts.to_string()))
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
