//! The AWS Lambda host, behind a function URL. Only this module knows about Lambda's events, context and runtime.
//!
//! Another host needs a file like this one: it turns what it receives into an HTTP request and a [`Call`], and sends back
//! the response.

use std::collections::HashMap;
use std::convert::Infallible;
use std::time::{Duration, Instant, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Request, Response, Uri};
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse as Answer;
use lambda_http::aws_lambda_events::encodings::Body;
use lambda_http::lambda_runtime::{LambdaEvent, run, service_fn};
use lambda_http::tracing::subscriber::{self, filter::LevelFilter};
use lambda_http::{Context, Error};
use serde::Deserialize;

use crate::function::body::JSON;
use crate::function::{Call, Caller, Function};
use crate::store::variable;

/// How long start-up may wait for the preload. Lambda gives a starting function full speed for ten seconds, and freezes
/// it whenever no request is running.
pub const HEAD_START: Duration = Duration::from_secs(6);

/// The parts of a function URL's event (payload 2.0) that the function reads.
///
/// `lambda_http` has its own type for it, but that type panics on a query, host or scheme that no URI can hold and rejects
/// non-ASCII headers. Anybody could then cause an internal error without authenticating.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    raw_path: Option<String>,
    headers: Option<HashMap<String, String>>,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
    request_context: RequestContext,
}

#[derive(Deserialize)]
struct RequestContext {
    http: Http,
    authorizer: Option<Authorizer>,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

#[derive(Deserialize)]
struct Authorizer {
    iam: Option<Iam>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Iam {
    user_arn: Option<String>,
}

/// Handles Lambda's events until the process ends.
///
/// # Errors
/// If the runtime API is missing or fails.
pub async fn serve(function: &Function) -> Result<(), Error> {
    run(service_fn(async |event| Ok::<_, Infallible>(answer(function, event).await))).await
}

/// Sets up logging: one line of JSON per event, on standard output. `AWS_LAMBDA_LOG_LEVEL` or `RUST_LOG` sets the level
/// (`info` by default).
pub fn log() {
    let level = variable("AWS_LAMBDA_LOG_LEVEL").or_else(|| variable("RUST_LOG"));
    let level = level.and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    subscriber::fmt().json().flatten_event(true).with_target(false).with_max_level(level).init();
}

async fn answer(function: &Function, event: LambdaEvent<Event>) -> Answer {
    let (request, call) = read(event.payload, &event.context);
    written(function.handle(request, call).await)
}

/// Turns an event into a request and its call. Never fails: what an HTTP request cannot hold is left out.
fn read(event: Event, context: &Context) -> (Request<Bytes>, Call) {
    let call = Call {
        id: context.request_id.clone(),
        deadline: instant(context.deadline()),
        caller: caller(&event.request_context),
    };
    let body = event.body.unwrap_or_default();
    // A body that claims to be base64 and is not stays as it is; decoding refuses it as malformed.
    let decoded = event.is_base64_encoded.then(|| BASE64.decode(&body).ok()).flatten();
    let body = decoded.unwrap_or_else(|| body.into_bytes());
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = event.request_context.http.method.parse().unwrap_or_default();
    *request.uri_mut() = uri(&event.raw_path.unwrap_or_default()).unwrap_or_default();
    let headers = event.headers.iter().flatten().filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    });
    request.headers_mut().extend(headers);
    (request, call)
}

/// The response in a function URL's format: JSON as text, anything else in base64.
fn written(response: Response<Bytes>) -> Answer {
    let (head, body) = response.into_parts();
    let text = head.headers.get(CONTENT_TYPE).is_some_and(|media_type| media_type == JSON);
    let mut answer = Answer::default();
    answer.status_code = head.status.as_u16().into();
    answer.headers = head.headers;
    answer.is_base64_encoded = !text;
    answer.body = Some(if text {
        Body::Text(String::from_utf8_lossy(&body).into_owned())
    } else {
        Body::Binary(body.into())
    });
    answer
}

/// The deadline, or `None` if it has passed: Lambda sends no such event, but emulators do.
fn instant(deadline: SystemTime) -> Option<Instant> {
    let left = deadline.duration_since(SystemTime::now()).ok()?;
    Instant::now().checked_add(left)
}

/// The caller is verified if the event names the IAM identity that AWS authenticated.
fn caller(context: &RequestContext) -> Caller {
    let iam = context.authorizer.as_ref().and_then(|authorizer| authorizer.iam.as_ref());
    match iam.and_then(|iam| iam.user_arn.as_ref()) {
        Some(_) => Caller::Verified,
        None => Caller::Unknown,
    }
}

/// The path as the client sent it, which a function URL's event has in `rawPath`. Characters that no URI can hold are
/// percent-encoded. The query is dropped: nothing in the function reads it.
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

    use serde_json::{Value, json};

    use super::*;

    /// Reads the golden inference event after `change`, with this deadline.
    fn golden(change: impl FnOnce(&mut Value), deadline: SystemTime) -> (Request<Bytes>, Call) {
        let mut event = serde_json::from_str(include_str!("../tests/events/infer.json")).unwrap();
        change(&mut event);
        let mut context = Context::default();
        context.request_id = "the-id".into();
        context.deadline = deadline.duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
        read(serde_json::from_value(event).unwrap(), &context)
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
        // An emulator sends a deadline in the past.
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
