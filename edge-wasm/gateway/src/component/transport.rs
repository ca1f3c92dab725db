//! The cloud over WASI's HTTP.

use std::time::Duration;

use fogline::frame::MEDIA_TYPE;
use fogline_edge::cloud::{MAX_REPLY, Reply, Transport, TransportError};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use wstd::future::FutureExt;
use wstd::http::error::{Error, ErrorCode};
use wstd::http::{Client, Request, Uri};

use crate::component::auth::Proof;

/// Posts to one function.
pub struct WasiHttp {
    url: Uri,
    proof: Proof,
}

impl WasiHttp {
    /// A function by its base URL.
    pub fn new(base: &str) -> Result<Self, String> {
        let url = checked(base, &format!("{}/infer", base.trim_end_matches('/')))?;
        Ok(Self { url, proof: Proof::Nothing })
    }

    /// The same, showing who asks.
    pub fn proving(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    /// The function's host.
    pub fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }

    async fn exchange(&self, body: &[u8]) -> Result<Reply, TransportError> {
        let broken = |why: String| TransportError::Unreachable(why);
        let mut request = Request::post(&self.url)
            .header("content-type", MEDIA_TYPE)
            .header("accept", MEDIA_TYPE);
        // Anew on every try: a signature holds for minutes.
        for (name, value) in self.proof.headers(&self.url, body) {
            request = request.header(name, value);
        }
        let request = request.body(body.to_vec()).map_err(|error| broken(error.to_string()))?;
        let response = Client::new().send(request).await.map_err(|error| broken(why(&error)))?;
        let status = response.status().as_u16();
        let retry_after = response.headers().get("retry-after");
        let retry_after = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        let body = Limited::new(response.into_body().into_boxed_body(), MAX_REPLY).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => TransportError::TooLarge,
            Err(error) => broken(error.to_string()),
        })?;
        let body = body.to_bytes().to_vec();
        Ok(Reply { status, retry_after: retry_after.map(Duration::from_secs), body })
    }
}

/// A URL that `given`, which somebody wrote, led to.
pub fn checked(given: &str, url: &str) -> Result<Uri, String> {
    if given.contains(['?', '#']) {
        return Err(format!("'{given}' has a query or fragment, where its path should go on"));
    }
    let url: Uri = url.parse().map_err(|error| format!("'{given}' is not a URL: {error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(format!("'{given}' is not an http:// or https:// URL"));
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(format!("'{given}' names a user, which nobody is told here"));
    }
    if url.host().is_none_or(|host| host != authority && url.port_u16().is_none()) {
        return Err(format!("'{given}' has a port that is none"));
    }
    Ok(url)
}

/// WASI's code as words: its own text is Rust's debug form.
pub fn why(error: &Error) -> String {
    match error.downcast_ref::<ErrorCode>() {
        Some(ErrorCode::DnsTimeout | ErrorCode::DnsError(_)) => "its name was not found".into(),
        Some(ErrorCode::ConnectionRefused) => "it refused the connection".into(),
        Some(ErrorCode::ConnectionTerminated) => "it broke the connection off".into(),
        Some(ErrorCode::ConnectionTimeout) => "it did not take the connection in time".into(),
        Some(ErrorCode::TlsCertificateError) => "its TLS certificate is not valid".into(),
        Some(ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_)) => {
            "it and this device agree on no TLS".into()
        }
        _ => error.to_string(),
    }
}

impl Transport for WasiHttp {
    async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError> {
        let limit = wstd::time::Duration::from(limit);
        self.exchange(body).timeout(limit).await.unwrap_or(Err(TransportError::Late))
    }

    async fn pause(&self, duration: Duration) {
        wstd::task::sleep(duration.into()).await;
    }

    fn random(&self) -> [u8; 16] {
        random()
    }
}

/// Random bytes that nobody can guess.
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    wstd::rand::get_random_bytes(&mut bytes);
    bytes
}
