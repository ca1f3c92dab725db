//! The function itself: HTTP request in, HTTP response out, independent of its host.
//!
//! A host passes in each complete request with what else it knows about it ([`Call`]), and sends back the response. On
//! AWS Lambda the host is [`crate::lambda`].
//!
//! The function sets no CORS headers: the function URL's configuration does, and browsers reject a response that carries
//! them twice. For a page of another origin, that configuration must expose `server-timing` and `retry-after`, which the
//! edge reads.

use std::sync::Arc;

use bytes::Bytes;
use fogline::refusal::{INTERNAL, METHOD_NOT_ALLOWED, NOT_FOUND, Refusal};
use http::header::{ALLOW, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, Response};
use serde_json::json;
use tracing::warn;

use self::metadata::Metadata;
use self::ready::Ready;
use self::record::Record;
use self::route::Route;
use crate::plans::Plans;

mod answer;
mod auth;
pub mod body;
mod call;
mod infer;
mod metadata;
mod ready;
mod record;
mod route;

pub use self::auth::Auth;
pub use self::call::{Call, Caller};

/// The function: its authentication and its plans.
#[derive(Debug)]
pub struct Function {
    auth: Auth,
    plans: Arc<Plans>,
}

impl Function {
    /// A function that serves `plans` to callers that pass `auth`.
    pub fn new(auth: Auth, plans: Arc<Plans>) -> Self {
        Self { auth, plans }
    }

    /// Handles one request; its URI must have the path exactly as the client sent it. Always returns a response: errors
    /// and panics become typed refusals.
    ///
    /// Bodies over `fogline::frame::MAX_FRAME` bytes are refused, so a host need not read more than one byte beyond that.
    /// Inference blocks its thread: a host that serves many requests at once needs several threads. Call this within a
    /// tokio runtime that has time enabled. Dropping the future does not stop the request.
    pub async fn handle(&self, request: Request<Bytes>, call: Call) -> Response<Bytes> {
        if let Err(refusal) = self.auth.check(request.headers(), call.caller) {
            Record { outcome: refusal.error.clone(), ..Record::of(&request, &call) }.print();
            let mut response = answer::refused(&refusal);
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            return response;
        }
        let plans = Arc::clone(&self.plans);
        let answer = tokio::spawn(async move { answer(&plans, &request, &call).await }).await;
        answer.unwrap_or_else(|error| {
            warn!(%error, "a request panicked");
            answer::refused(&Refusal::new(INTERNAL, "the request panicked; see the log"))
        })
    }
}

async fn answer(plans: &Arc<Plans>, request: &Request<Bytes>, call: &Call) -> Response<Bytes> {
    let (path, method) = (request.uri().path(), request.method());
    let Some(route) = Route::of(path) else {
        let refusal = Refusal::new(NOT_FOUND, format!("there is nothing at '{path}'"));
        return answer::refused(&refusal);
    };
    let allowed = route.method();
    if method.as_str() != allowed {
        let message = format!("'{path}' does not accept {method}");
        let mut response = answer::refused(&Refusal::new(METHOD_NOT_ALLOWED, message));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        return response;
    }
    let answer = match route {
        Route::Infer => infer::infer(plans, request, call).await,
        Route::Health => Ok(answer::json(200, &json!({"status": "live"}))),
        Route::Ready => Ready::of(plans).map(|ready| answer::json(200, &ready)),
        Route::Model { name, version } => {
            let metadata = Metadata::find(plans.index(), name, version).await;
            metadata.map(|metadata| answer::json(200, &metadata))
        }
    };
    answer.unwrap_or_else(|refusal| answer::refused(&refusal))
}
