//! The function on AWS Lambda, behind a function URL: all that knows of Lambda's events, its context and its runtime.
//!
//! Any other host is a file like this: it makes an HTTP request and a [`Call`] of what it is given, and sends back the
//! response.

use std::convert::Infallible;
use std::env;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::{Request, Response, Uri};
use lambda_http::request::RequestContext;
use lambda_http::tracing::subscriber::{self, filter::LevelFilter};
use lambda_http::{Body, Error, Request as Event, RequestExt, run, service_fn};

use crate::function::{Call, Caller, Function};

/// How long the first request may wait for the preload. Lambda runs a starting function at full
/// speed for ten seconds, and stops its threads whenever no request is under way.
pub const HEAD_START: Duration = Duration::from_secs(6);

/// Answers Lambda's events for as long as it sends any.
///
/// # Errors
/// When the runtime API is not there, or fails.
pub async fn serve(function: &Function) -> Result<(), Error> {
    run(service_fn(async |event| Ok::<_, Infallible>(answer(function, event).await))).await
}

/// A line of JSON an event, on standard output, where Lambda collects it. Whoever sets `AWS_LAMBDA_LOG_LEVEL` or
/// `RUST_LOG` sees more or less.
pub fn log() {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    subscriber::fmt().json().flatten_event(true).with_target(false).with_max_level(level).init();
}

async fn answer(function: &Function, event: Event) -> Response<Body> {
    let (request, call) = read(event);
    function.handle(request, call).await.map(|body| Body::Binary(body.into()))
}

/// What an event asks, and what Lambda says of it.
fn read(mut event: Event) -> (Request<Bytes>, Call) {
    let context = event.lambda_context_ref();
    let call = Call {
        id: context.map(|context| context.request_id.clone()).unwrap_or_default(),
        deadline: context.and_then(|context| instant(context.deadline())),
        caller: caller(&event),
    };
    if let Some(uri) = uri(event.raw_http_path()) {
        *event.uri_mut() = uri;
    }
    (event.map(Bytes::from_owner), call)
}

/// `None` where the time is over. Lambda gives out no such event, but emulators of it state times that were over long ago.
fn instant(deadline: SystemTime) -> Option<Instant> {
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    Some(Instant::now() + left)
}

/// Whether AWS names whom it has let through, before it called the function.
fn caller(event: &Event) -> Caller {
    let Some(RequestContext::ApiGatewayV2(context)) = event.request_context_ref() else {
        return Caller::Unknown;
    };
    let iam = context.authorizer.as_ref().and_then(|authorizer| authorizer.iam.as_ref());
    match iam.and_then(|iam| iam.user_arn.as_ref()) {
        Some(_) => Caller::Verified,
        None => Caller::Unknown,
    }
}

/// The path as its client sent it, which a function URL has in `rawPath`: the event's own URI would add a stage, where one is,
/// and be without dots. What no URI can hold comes percent-encoded. Nothing in the function reads a query.
fn uri(raw_path: &str) -> Option<Uri> {
    if raw_path.is_empty() {
        return None;
    }
    let held = |char: char| {
        if char.is_ascii_control() || " ?#<>`".contains(char) {
            format!("%{:02X}", char as u32)
        } else {
            char.into()
        }
    };
    let path: String = raw_path.chars().map(held).collect();
    Uri::builder().path_and_query(path).build().ok()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use lambda_http::Context;
    use serde_json::{Value, json};

    use super::*;

    /// What is read of the golden event of a request for inference, altered, with this deadline.
    fn golden(change: impl FnOnce(&mut Value), deadline: SystemTime) -> (Request<Bytes>, Call) {
        let mut event = serde_json::from_str(include_str!("../tests/events/infer.json")).unwrap();
        change(&mut event);
        let mut context = Context::default();
        context.request_id = "the-id".into();
        context.deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        let event = lambda_http::request::from_str(&event.to_string()).unwrap();
        read(event.with_lambda_context(context))
    }

    #[test]
    fn an_event_is_read_as_what_its_client_sent() {
        let (request, call) = golden(|_| (), SystemTime::now() + Duration::from_secs(30));
        assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/infer"));
        assert_eq!(request.headers()["content-type"], "application/vnd.fogline.frame");
        assert_eq!(request.body()[..], include_bytes!("../tests/pair/infer.frame")[..]);
        assert_eq!((call.id.as_str(), call.caller), ("the-id", Caller::Unknown));
        let left = call.deadline.unwrap().duration_since(Instant::now());
        assert!((20..=30).contains(&left.as_secs()), "{left:?}");
        // As an emulator has it.
        assert_eq!(golden(|_| (), UNIX_EPOCH).1.deadline, None);
    }

    #[test]
    fn a_path_is_neither_staged_nor_tidied() {
        for (sent, read) in [
            ("/infer", "/infer"),
            ("/x/../infer", "/x/../infer"),
            ("//infer", "//infer"),
            ("/a%20\u{fc}", "/a%20\u{fc}"),
            ("/infer?x#y", "/infer%3Fx%23y"),
            ("/a b\t<`>", "/a%20b%09%3C%60%3E"),
        ] {
            let staged = |event: &mut Value| {
                event["requestContext"]["stage"] = json!("prod");
                event["rawPath"] = json!(sent);
            };
            assert_eq!(golden(staged, UNIX_EPOCH).0.uri().path(), read);
        }
        let none = |event: &mut Value| event["rawPath"] = json!("");
        assert_eq!(golden(none, UNIX_EPOCH).0.uri().path(), "/");
    }

    #[test]
    fn a_caller_is_verified_whom_aws_names() {
        let named = |iam: Value| {
            let authorised =
                |event: &mut Value| event["requestContext"]["authorizer"] = json!({"iam": iam});
            golden(authorised, UNIX_EPOCH).1.caller
        };
        assert_eq!(named(json!({"userArn": "arn:aws:iam::1:user/edge"})), Caller::Verified);
        assert_eq!(named(json!({"userId": "AIDA"})), Caller::Unknown);
        assert_eq!(named(Value::Null), Caller::Unknown);
    }
}
