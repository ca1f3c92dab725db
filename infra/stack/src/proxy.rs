//! Proxies the function under the page's own origin, so that the page needs no CORS.

use std::time::Duration;

use bytes::Bytes;
use fogline::refusal::{Refusal, TOO_LARGE};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{CONNECTION, CONTENT_LENGTH, FORWARDED, HOST, TRANSFER_ENCODING, UPGRADE};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode, Uri, Version};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::page::{Answer, answer};

/// Body limit of a function URL: 6 MB.
const MAX_BODY: usize = 6 << 20;
/// Longer than the function's own timeout, so that the function's refusal comes first.
const PATIENCE: Duration = Duration::from_secs(35);
/// Timeout for receiving a request's body.
const BODY_PATIENCE: Duration = Duration::from_secs(10);

/// Maximum number of concurrent requests to the function; others wait. cargo-lambda's emulator deadlocks somewhere above
/// 100.
pub(crate) const AT_ONCE: usize = 64;

/// Forwards requests to a function.
#[derive(Debug)]
pub struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    function: Uri,
    free: Semaphore,
}

impl Proxy {
    /// A proxy for the function at this URL.
    pub fn new(function: Uri) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, function, free: Semaphore::new(AT_ONCE) }
    }

    /// Forwards one request to `path` under the function's URL.
    pub async fn pass(&self, path: &str, request: Request<Incoming>) -> Answer {
        let (parts, body) = request.into_parts();
        let too_large = || {
            let why = format!("the body exceeds a function URL's limit of {MAX_BODY} bytes");
            refuse(StatusCode::PAYLOAD_TOO_LARGE, TOO_LARGE, &why)
        };
        // Refuse by the declared length at once: the body may never arrive.
        if body.size_hint().lower() > MAX_BODY as u64 {
            return too_large();
        }
        let body = match timeout(BODY_PATIENCE, Limited::new(body, MAX_BODY).collect()).await {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(error)) if error.is::<LengthLimitError>() => return too_large(),
            Ok(Err(error)) => {
                return refuse(StatusCode::BAD_REQUEST, "body_broken", &error.to_string());
            }
            Err(_) => {
                let why = "the body did not arrive in time";
                return refuse(StatusCode::REQUEST_TIMEOUT, "body_late", why);
            }
        };
        match timeout(PATIENCE, self.exchange(path, parts, body)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => {
                refuse(StatusCode::BAD_GATEWAY, "cloud_unreachable", &error.to_string())
            }
            Err(_) => {
                let why = "the function did not answer in time";
                refuse(StatusCode::GATEWAY_TIMEOUT, "cloud_unreachable", why)
            }
        }
    }

    async fn exchange(
        &self,
        path: &str,
        mut parts: Parts,
        body: Bytes,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let base = self.function.to_string();
        parts.uri = format!("{}/{path}{query}", base.trim_end_matches('/')).parse()?;
        parts.version = Version::HTTP_11;
        // Hop-by-hop headers must not be forwarded.
        for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE, FORWARDED] {
            parts.headers.remove(name);
        }
        // AWS sets these for a real function; a client's values must not pass.
        for name in ["x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto"]
        {
            parts.headers.remove(name);
        }
        let _turn = self.free.acquire().await?;
        let response = self.client.request(Request::from_parts(parts, Full::new(body))).await?;
        let (mut parts, body) = response.into_parts();
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
    }
}

fn refuse(status: StatusCode, word: &str, why: &str) -> Answer {
    let refusal = Refusal::new(word, why);
    answer(status, "application/json", serde_json::to_vec(&refusal).unwrap_or_default())
}
