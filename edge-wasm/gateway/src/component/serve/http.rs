//! HTTP requests and responses over WASI.

use std::time::Duration;

use fogline::refusal::{MALFORMED, METHOD_NOT_ALLOWED, Refusal, TOO_LARGE};
use serde::Serialize;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use wstd::future::FutureExt;
use wstd::io::{AsyncInputStream, AsyncOutputStream};

use super::counted::METRICS_UNUSABLE;
use crate::component::fault::{Fault, first_line, json};

/// The time limit for receiving a body, and for sending a response.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The error code of an unsupported content type.
pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
/// The error code if too many requests are in progress.
pub const BUSY: &str = "busy";
/// The error code if the body did not arrive in time.
pub const BODY_LATE: &str = "body_late";

/// The value of a header, if it is text.
pub fn header(request: &IncomingRequest, name: &str) -> Option<String> {
    String::from_utf8(request.headers().get(name).into_iter().next()?).ok()
}

/// The body of a request, which may have at most `most` bytes.
pub async fn body(request: &IncomingRequest, most: usize) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::new(TOO_LARGE, format!("the body is larger than {most} bytes"));
    // In u64: a length may exceed this target's usize of 32 bits.
    let length = header(request, "content-length").and_then(|length| length.parse::<u64>().ok());
    let length = length.unwrap_or_default();
    if length > most as u64 {
        return Err(too_large());
    }
    let broken = |why: String| Fault::new(MALFORMED, format!("the body is incomplete: {why}"));
    let taken = || broken("it was taken before".into());
    let body = request.consume().map_err(|()| taken())?;
    let stream = AsyncInputStream::new(body.stream().map_err(|()| taken())?);
    let all = async {
        // Allocate it at once: growing would copy it, and an instance's memory never shrinks.
        let (mut bytes, mut piece) = (Vec::with_capacity(length as usize), vec![0; 1 << 16]);
        loop {
            match stream.read(&mut piece).await.map_err(|error| broken(first_line(&error)))? {
                0 => return Ok(bytes),
                length if bytes.len() + length > most => return Err(too_large()),
                length => bytes.extend_from_slice(&piece[..length]),
            }
        }
    };
    let late = || {
        let seconds = PATIENCE.as_secs();
        Fault::new(BODY_LATE, format!("the body did not arrive within {seconds} seconds"))
    };
    all.timeout(wstd::time::Duration::from(PATIENCE)).await.map_err(|_| late())?
}

/// A response with its complete body, ready to send.
pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    /// A response with status 200.
    pub fn of(content_type: &str, body: String) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status: 200, headers, body: body.into_bytes() }
    }

    /// A JSON response with status 200.
    pub fn json(value: &impl Serialize) -> Self {
        Self::of("application/json", json(value))
    }

    /// A refusal, with the status of its error code.
    pub fn refusal(fault: &Fault) -> Self {
        let status = match fault.error.as_str() {
            BODY_LATE => 408,
            UNSUPPORTED_MEDIA_TYPE => 415,
            "picture_unknown" | "picture_damaged" | "picture_size" => 422,
            METRICS_UNUSABLE => 500,
            BUSY => 503,
            word => Refusal::new(word, "").status(),
        };
        let response = Self { status, ..Self::json(fault) };
        if fault.error == BUSY { response.with("retry-after", "1") } else { response }
    }

    /// The refusal of a method; `allowed` lists the path's methods.
    pub fn wrong_method(path: &str, allowed: &str) -> Self {
        let why = format!("'{path}' only allows {allowed}");
        Self::refusal(&Fault::new(METHOD_NOT_ALLOWED, why)).with("allow", allowed)
    }

    /// Adds a header with this name and value.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The HTTP status code that is sent.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Sends the response. It is no error if the client has left.
    pub async fn send(self, out: ResponseOutparam) {
        let length = self.body.len().to_string();
        let Self { status, headers, body: bytes } = self
            .with("content-length", length)
            .with("cache-control", "no-store")
            .with("x-content-type-options", "nosniff");
        let fields = headers.into_iter().map(|(name, value)| (name.to_owned(), value.into_bytes()));
        let fields = Fields::from_list(&fields.collect::<Vec<_>>());
        let response = OutgoingResponse::new(fields.expect("headers of ours are valid"));
        response.set_status_code(status).expect("statuses of ours are valid");
        let body = response.body().expect("it is taken once");
        ResponseOutparam::set(out, Ok(response));
        let stream = AsyncOutputStream::new(body.write().expect("it is taken once"));
        // A client that does not read must not occupy the instance.
        let all = stream.write_all(&bytes).timeout(wstd::time::Duration::from(PATIENCE)).await;
        drop(stream);
        if matches!(all, Ok(Ok(()))) {
            let _ = OutgoingBody::finish(body, None);
        }
    }
}
