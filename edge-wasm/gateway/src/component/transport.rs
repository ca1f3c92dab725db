//! The [`Transport`] over WASI HTTP.

use std::cell::Cell;
use std::time::{Duration, SystemTime};

use fogline::frame::{MEDIA_TYPE, request_id};
use fogline::trace::{self, Traceparent};
use fogline_edge::cloud::{MAX_REPLY, Reply, Transport, TransportError, seconds};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme};
use wstd::future::FutureExt;
use wstd::http::error::{Error, ErrorCode};
use wstd::http::{Authority, PathAndQuery, Uri};
use wstd::io::{AsyncInputStream, AsyncOutputStream, AsyncPollable};

use crate::component::auth::Proof;
use crate::component::fault::first_line;

/// Posts to one function.
pub struct WasiHttp {
    url: Uri,
    proof: Proof,
    trace: Cell<Option<Traceparent>>,
}

impl WasiHttp {
    /// Posts to the function with this base URL.
    pub fn new(base: &str) -> Result<Self, String> {
        let url = checked(base, &format!("{}/infer", base.trim_end_matches('/')))?;
        Ok(Self { url, proof: Proof::Nothing, trace: Cell::default() })
    }

    /// Sets the credentials to send.
    pub fn proving(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    /// Sets the trace that all further requests belong to. With `None`, each is a trace of its own.
    pub fn follow(&self, trace: Option<Traceparent>) {
        self.trace.set(trace);
    }

    /// The `traceparent` of one try to post `body`. All tries of a request share its trace, and each is a span.
    fn traceparent(&self, body: &[u8]) -> Traceparent {
        let span_id = *random().first_chunk().expect("8 of 16 bytes");
        if let Some(trace) = self.trace.get() {
            return Traceparent { span_id, ..trace };
        }
        let trace_id = request_id(body).unwrap_or_else(random);
        Traceparent { trace_id, span_id, sampled: true }
    }

    /// The host of the function's URL.
    pub fn host(&self) -> &str {
        self.url.host().unwrap_or_default()
    }

    async fn exchange(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError> {
        let (request, options) = self.request(body, limit).map_err(TransportError::Unconnected)?;
        let out = request.body().expect("it is taken once");
        let response = outgoing_handler::handle(request, Some(options)).map_err(failed)?;
        let stream = AsyncOutputStream::new(out.write().expect("it is taken once"));
        let written = stream.write_all(body).await;
        drop(stream);
        // If the server did not accept the body, its response says why.
        if written.is_ok() {
            let _ = OutgoingBody::finish(out, None);
        }
        AsyncPollable::new(response.subscribe()).wait_for().await;
        let response = response.get().expect("it is there").expect("it is taken once");
        let response = response.map_err(failed)?;
        let header = |name: &str| {
            let value = response.headers().get(name).into_iter().next()?;
            String::from_utf8(value).ok()
        };
        let retry_after = header("retry-after").and_then(|said| retry_after(&said));
        let status = response.status();
        if let Some(elsewhere) = header("location").filter(|_| (300..400).contains(&status)) {
            // Not followed: the token is for this host alone.
            let message = format!("a redirect to {elsewhere}; give that address if it is yours");
            let body = serde_json::json!({ "message": message }).to_string().into_bytes();
            return Ok(Reply { status, retry_after, body });
        }
        let body = response.consume().expect("it is taken once");
        let stream = AsyncInputStream::new(body.stream().expect("it is taken once"));
        let (mut bytes, mut piece) = (vec![], vec![0; 1 << 14]);
        loop {
            let read = stream.read(&mut piece).await;
            match read.map_err(|error| TransportError::Unreachable(first_line(&error)))? {
                0 => return Ok(Reply { status, retry_after, body: bytes }),
                length if bytes.len() + length > MAX_REPLY => return Err(TransportError::TooLarge),
                length => bytes.extend_from_slice(&piece[..length]),
            }
        }
    }

    /// Sends a request with WASI's own types. wstd's client may report that the body was not accepted, which hides why there is
    /// no connection.
    fn request(
        &self,
        body: &[u8],
        limit: Duration,
    ) -> Result<(OutgoingRequest, RequestOptions), String> {
        let trace = self.traceparent(body).to_string();
        let fixed = [("content-type", MEDIA_TYPE), ("accept", MEDIA_TYPE), (trace::HEADER, &trace)];
        let fixed = fixed.map(|(name, value)| (name.to_owned(), value.into()));
        // Sign every try anew: a signature is valid for minutes only.
        let proof = self.proof.headers(&self.url, body).into_iter();
        let proof = proof.map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec()));
        let fields = Fields::from_list(&fixed.into_iter().chain(proof).collect::<Vec<_>>());
        let request = OutgoingRequest::new(fields.map_err(|error| error.to_string())?);
        let scheme =
            if self.url.scheme_str() == Some("http") { Scheme::Http } else { Scheme::Https };
        let authority = self.url.authority().map(Authority::as_str);
        let path = self.url.path_and_query().map(PathAndQuery::as_str);
        let options = RequestOptions::new();
        // Time out a little before the deadline, so that it is known that nothing was sent.
        let connect = limit.mul_f64(0.9).as_nanos() as u64;
        request
            .set_method(&Method::Post)
            .and_then(|()| request.set_scheme(Some(&scheme)))
            .and_then(|()| request.set_authority(authority))
            .and_then(|()| request.set_path_with_query(path))
            .and_then(|()| options.set_connect_timeout(Some(connect)))
            .map_err(|()| format!("'{}' is not a valid address for a request", self.url))?;
        Ok((request, options))
    }
}

/// The wait that a `Retry-After` asks for, in seconds or up to a date.
fn retry_after(said: &str) -> Option<Duration> {
    let to_date = || {
        let date = httpdate::parse_http_date(said).ok()?;
        Some(date.duration_since(SystemTime::now()).unwrap_or_default())
    };
    seconds(said).or_else(to_date)
}

/// The error for WASI's code, which tells if there was a connection to send on.
fn failed(code: ErrorCode) -> TransportError {
    let is_before = matches!(
        code,
        ErrorCode::DnsTimeout
            | ErrorCode::DnsError(_)
            | ErrorCode::DestinationNotFound
            | ErrorCode::DestinationUnavailable
            | ErrorCode::ConnectionRefused
            | ErrorCode::ConnectionTimeout
            | ErrorCode::TlsCertificateError
            | ErrorCode::TlsProtocolError
            | ErrorCode::TlsAlertReceived(_)
    );
    let error = if is_before { TransportError::Unconnected } else { TransportError::Unreachable };
    error(why(&code.into()))
}

/// Parses and checks `url`, which was made from `given`; errors quote the latter.
pub fn checked(given: &str, url: &str) -> Result<Uri, String> {
    if given.contains(['?', '#']) {
        return Err(format!("'{given}' has a query or fragment; give a URL that ends in a path"));
    }
    let url: Uri = url.parse().map_err(|error| format!("'{given}' is not a URL: {error}"))?;
    if !matches!(url.scheme_str(), Some("http" | "https")) {
        return Err(format!("'{given}' is not an http:// or https:// URL"));
    }
    let authority = url.authority().map_or("", |authority| authority.as_str());
    if authority.contains('@') {
        return Err(format!("'{given}' contains a user name or password: remove it"));
    }
    if url.host().is_none_or(|host| host != authority && url.port_u16().is_none()) {
        return Err(format!("'{given}' has an invalid port"));
    }
    Ok(url)
}

/// An error as a sentence: WASI's own text is Rust's debug form.
pub fn why(error: &Error) -> String {
    match error.downcast_ref::<ErrorCode>() {
        Some(ErrorCode::DnsTimeout | ErrorCode::DnsError(_)) => "its name was not found".into(),
        Some(ErrorCode::ConnectionRefused) => "it refused the connection".into(),
        Some(ErrorCode::ConnectionTerminated) => "it closed the connection".into(),
        Some(ErrorCode::ConnectionTimeout) => "it did not accept the connection in time".into(),
        Some(ErrorCode::TlsCertificateError) => "its TLS certificate is not valid".into(),
        Some(ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_)) => {
            "TLS negotiation failed".into()
        }
        _ => first_line(error),
    }
}

impl Transport for WasiHttp {
    async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError> {
        let all = self.exchange(body, limit).timeout(wstd::time::Duration::from(limit));
        all.await.unwrap_or(Err(TransportError::Late))
    }

    async fn pause(&self, duration: Duration) {
        wstd::task::sleep(duration.into()).await;
    }

    fn random(&self) -> [u8; 16] {
        random()
    }
}

/// A random number in 0..1.
pub fn fraction() -> f64 {
    fogline_edge::cloud::fraction(random())
}

/// Unpredictable bytes from the host's generator.
pub fn random() -> [u8; 16] {
    let mut bytes = [0; 16];
    wstd::rand::get_random_bytes(&mut bytes);
    bytes
}
