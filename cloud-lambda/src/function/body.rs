//! Decodes the body of a request: a frame or JSON, plain or gzipped.

use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use fogline::frame::{Arrived, MAX_FRAME, Request as Frame, Tensor};
use fogline::refusal::{MALFORMED, Refusal, TOO_LARGE};
use http::Request;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use serde::Deserialize;

/// The media type of JSON.
pub const JSON: &str = "application/json";

/// A request frame written as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadableFrame {
    /// The pair's digest, 64 hexadecimal digits.
    pair: String,
    /// 32 hexadecimal digits; all zeros if absent.
    request_id: Option<String>,
    samples: Vec<Map>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Map {
    shape: [u32; 3],
    bits: u8,
    /// The packed bytes in base64.
    data: String,
}

/// Decodes the request's frame, by its content type and content encoding.
///
/// # Errors
/// `too_large` if the body, before or after decompression, exceeds [`MAX_FRAME`] bytes; `malformed`, `too_large` or
/// `unsupported_version` if it is not exactly one frame within the limits.
pub fn frame(request: &Request<Bytes>) -> Result<Arrived, Refusal> {
    let body: &[u8] = request.body();
    if body.len() > MAX_FRAME {
        let message = format!("the body has {} bytes; the limit is {MAX_FRAME}", body.len());
        return Err(Refusal::new(TOO_LARGE, message));
    }
    let encoding = header(request, &CONTENT_ENCODING).to_ascii_lowercase();
    let inflated = match encoding.as_str() {
        "" | "identity" => None,
        "gzip" | "x-gzip" => Some(inflated(body)?),
        other => {
            let message =
                format!("the content-encoding '{other}' is not supported; send gzip or none");
            return Err(Refusal::new(MALFORMED, message));
        }
    };
    let body = inflated.as_deref().unwrap_or(body);
    let media_type = header(request, &CONTENT_TYPE).split(';').next().unwrap_or("").trim();
    if media_type.eq_ignore_ascii_case(JSON) {
        return from_json(body).map(Arrived::Packed);
    }
    Arrived::decode(body).map_err(|error| Refusal::from(&error))
}

fn header<'a>(request: &'a Request<Bytes>, name: &HeaderName) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or("").trim()
}

/// Decompresses a gzip body of at most [`MAX_FRAME`] bytes of content.
fn inflated(body: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut bytes = vec![];
    let mut limited = MultiGzDecoder::new(body).take(MAX_FRAME as u64 + 1);
    limited
        .read_to_end(&mut bytes)
        .map_err(|error| Refusal::new(MALFORMED, format!("the body is not valid gzip: {error}")))?;
    if bytes.len() > MAX_FRAME {
        let message = format!("the body decompresses to more than {MAX_FRAME} bytes");
        return Err(Refusal::new(TOO_LARGE, message));
    }
    Ok(bytes)
}

fn from_json(body: &[u8]) -> Result<Frame, Refusal> {
    let malformed = |message: String| Refusal::new(MALFORMED, message);
    let readable: ReadableFrame = serde_json::from_slice(body)
        .map_err(|error| malformed(format!("the body is not a valid JSON request: {error}")))?;
    let mut frame = Frame { pair: [0; 32], request_id: [0; 16], tensors: vec![] };
    hex::decode_to_slice(&readable.pair, &mut frame.pair)
        .map_err(|error| malformed(format!("'pair' is not 64 hexadecimal digits: {error}")))?;
    if let Some(id) = readable.request_id {
        hex::decode_to_slice(&id, &mut frame.request_id).map_err(|error| {
            malformed(format!("'request_id' is not 32 hexadecimal digits: {error}"))
        })?;
    }
    for (sample, Map { shape, bits, data }) in readable.samples.into_iter().enumerate() {
        let bytes = BASE64.decode(data).map_err(|error| {
            malformed(format!("'data' of sample {sample} is not base64: {error}"))
        })?;
        frame.tensors.push(Tensor { shape, bits, bytes });
    }
    frame.check().map_err(|error| Refusal::from(&error))?;
    Ok(frame)
}
