//! The function itself, from an HTTP request to an HTTP response, whoever its host is.
//!
//! A host gives it whole requests, says of each what it knows ([`Call`]), and sends back what it answers. On AWS Lambda that
//! is [`crate::lambda`].
//!
//! No header of cross-origin sharing is set here: the function URL's own configuration sets
//! them, and a browser refuses an answer that carries them twice. For a page of another origin it has to
//! expose `server-timing` and `retry-after`, which an edge reads.

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

/// The function: who may ask, and the plans that it answers from.
#[derive(Debug)]
pub struct Function {
    auth: Auth,
    plans: Arc<Plans>,
}

impl Function {
    /// A function that answers from `plans` those whom `auth` lets in.
    pub fn new(auth: Auth, plans: Arc<Plans>) -> Self {
        Self { auth, plans }
    }

    /// Answers one request, whose URI has the path as its client sent it. Every refusal is a typed one, and so is a panic.
    ///
    /// A body is refused that is over `fogline::frame::MAX_FRAME` bytes: a host need not read more than one byte beyond.
    /// Inference keeps the thread that it runs on, so a host of many requests at once runs them on several; it has to be
    /// within a tokio runtime, with its clock. A host that gives up waiting does not stop it.
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
            warn!(%error, "a request broke off");
            answer::refused(&Refusal::new(INTERNAL, "the request broke off; see the log"))
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
        let message = format!("'{path}' does not answer to {method}");
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
