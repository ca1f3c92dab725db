//! Requests and responses, as WASI has them.

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

/// How long a body may take to come, or an answer to be taken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Other content than what is taken.
pub const UNSUPPORTED_MEDIA_TYPE: &str = "unsupported_media_type";
/// As much is worked on as may be.
pub const BUSY: &str = "busy";
/// The body does not come in.
pub const BODY_LATE: &str = "body_late";

/// A header's value, where it is text.
pub fn header(request: &IncomingRequest, name: &str) -> Option<String> {
    String::from_utf8(request.headers().get(name).into_iter().next()?).ok()
}

/// All of a body, which has at most so many bytes.
pub async fn body(request: &IncomingRequest, most: usize) -> Result<Vec<u8>, Fault> {
    let too_large = || Fault::new(TOO_LARGE, format!("a body has at most {most} bytes"));
    // A length of any size: that of memory has 32 bits here.
    let length = header(request, "content-length").and_then(|length| length.parse::<u64>().ok());
    let length = length.unwrap_or_default();
    if length > most as u64 {
        return Err(too_large());
    }
    let broken = |why: String| Fault::new(MALFORMED, format!("the body breaks off: {why}"));
    let taken = || broken("it was taken before".into());
    let body = request.consume().map_err(|()| taken())?;
    let stream = AsyncInputStream::new(body.stream().map_err(|()| taken())?);
    let all = async {
        // All of it at once: one that grows is copied, and the memory of an instance never shrinks.
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
        Fault::new(BODY_LATE, format!("the body was not there after {seconds} seconds"))
    };
    all.timeout(wstd::time::Duration::from(PATIENCE)).await.map_err(|_| late())?
}

/// A response with all of its body.
pub struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    /// One of status 200.
    pub fn of(content_type: &str, body: String) -> Self {
        let headers = vec![("content-type", content_type.to_owned())];
        Self { status: 200, headers, body: body.into_bytes() }
    }

    /// JSON, with status 200.
    pub fn json(value: &impl Serialize) -> Self {
        Self::of("application/json", json(value))
    }

    /// A refusal, with the status that its word has.
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

    /// The refusal of a method, where others are allowed.
    pub fn wrong_method(path: &str, allowed: &str) -> Self {
        let why = format!("'{path}' answers to {allowed} alone");
        Self::refusal(&Fault::new(METHOD_NOT_ALLOWED, why)).with("allow", allowed)
    }

    /// The same, with a header.
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Its status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Sends it. Whoever asked may have gone, which is no fault.
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
        // One who does not read must not keep the instance from others.
        let all = stream.write_all(&bytes).timeout(wstd::time::Duration::from(PATIENCE)).await;
        drop(stream);
        if matches!(all, Ok(Ok(()))) {
            let _ = OutgoingBody::finish(body, None);
        }
    }
}
