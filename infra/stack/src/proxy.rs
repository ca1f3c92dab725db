//! The function under the page's own address, so that the page needs no cross-origin sharing.

use std::time::Duration;

use bytes::Bytes;
use fogline::refusal::Refusal;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use hyper::{Request, Response, StatusCode, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use crate::page::{Answer, answer};

/// What a function URL takes: 6 MB.
const MAX_BODY: usize = 6 << 20;
/// Longer than the function's own timeout, so that its answer comes first.
const PATIENCE: Duration = Duration::from_secs(35);

/// Passes requests on to a function.
#[derive(Debug)]
pub struct Proxy {
    client: Client<HttpConnector, Full<Bytes>>,
    function: Uri,
}

impl Proxy {
    /// A proxy to the function at this address.
    pub fn new(function: Uri) -> Self {
        Self { client: Client::builder(TokioExecutor::new()).build_http(), function }
    }

    /// Passes one request on, as `path` under the function's address.
    pub async fn pass(&self, path: &str, request: Request<Incoming>) -> Answer {
        match tokio::time::timeout(PATIENCE, self.exchange(path, request)).await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => refuse(StatusCode::BAD_GATEWAY, &error.to_string()),
            Err(_) => refuse(StatusCode::GATEWAY_TIMEOUT, "the function did not answer in time"),
        }
    }

    async fn exchange(
        &self,
        path: &str,
        request: Request<Incoming>,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let (mut parts, body) = request.into_parts();
        let query = parts.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
        let base = self.function.to_string();
        parts.uri = format!("{}/{path}{query}", base.trim_end_matches('/')).parse()?;
        // These speak of one connection, and the next is another.
        for name in [HOST, CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING, UPGRADE] {
            parts.headers.remove(name);
        }
        let body = Limited::new(body, MAX_BODY).collect().await?.to_bytes();
        let response = self.client.request(Request::from_parts(parts, Full::new(body))).await?;
        let (mut parts, body) = response.into_parts();
        for name in [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING] {
            parts.headers.remove(name);
        }
        Ok(Response::from_parts(parts, Full::new(body.collect().await?.to_bytes())))
    }
}

fn refuse(status: StatusCode, why: &str) -> Answer {
    let refusal = Refusal::new("cloud_unreachable", why);
    answer(status, "application/json", serde_json::to_vec(&refusal).unwrap_or_default())
}
