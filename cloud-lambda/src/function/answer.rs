//! Responses over HTTP: a refusal, JSON, or a frame of scores.

use bytes::Bytes;
use fogline::frame::{MEDIA_TYPE, Response as Scores};
use fogline::policy::Verdict;
use fogline::refusal::{INTERNAL, Refusal};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, Response};
use serde::Serialize;

use super::body::JSON;
use crate::plan::Plan;

/// The scores in the form that `Accept: application/json` asks for.
#[derive(Serialize)]
struct ReadableScores<'a> {
    request_id: String,
    pair: String,
    samples: Vec<Sample<'a>>,
}

#[derive(Serialize)]
struct Sample<'a> {
    label: &'a str,
    index: usize,
    confidence: f32,
    scores: Vec<f32>,
}

impl<'a> ReadableScores<'a> {
    fn of(plan: &'a Plan, scores: &Scores) -> Self {
        let samples = scores.scores.iter().map(|logits| {
            // The cloud is the last exit: no threshold applies, only the label and the softmax.
            let verdict = Verdict::last(logits);
            Sample {
                label: &plan.manifest().classes[verdict.label],
                index: verdict.label,
                confidence: verdict.confidence,
                scores: verdict.scores,
            }
        });
        Self {
            request_id: hex::encode(scores.request_id),
            pair: hex::encode(plan.digest()),
            samples: samples.collect(),
        }
    }
}

/// The scores as JSON if the request's headers accept it, otherwise as a frame.
///
/// # Errors
/// `internal` if the scores cannot be encoded as a frame.
pub fn scores(
    headers: &HeaderMap,
    plan: &Plan,
    scores: &Scores,
) -> Result<Response<Bytes>, Refusal> {
    if accepts_json(headers) {
        return Ok(json(200, &ReadableScores::of(plan, scores)));
    }
    let bytes = scores.encode().map_err(|error| Refusal::new(INTERNAL, error.to_string()))?;
    Ok(response(200, MEDIA_TYPE, bytes))
}

/// A refusal as an HTTP response. The details of an `internal` error go only to the log, not to the client.
pub fn refused(refusal: &Refusal) -> Response<Bytes> {
    if refusal.error == INTERNAL {
        let fault = Refusal::new(INTERNAL, "the function failed; its log says why");
        return json(fault.status(), &fault);
    }
    json(refusal.status(), refusal)
}

/// A JSON response with this status code.
pub fn json(status: u16, body: &impl Serialize) -> Response<Bytes> {
    response(status, JSON, serde_json::to_vec(body).unwrap_or_default())
}

fn response(status: u16, media_type: &str, body: Vec<u8>) -> Response<Bytes> {
    Response::builder()
        .status(status)
        .header(CONTENT_TYPE, media_type)
        .body(body.into())
        .unwrap_or_default()
}

fn accepts_json(headers: &HeaderMap) -> bool {
    let types = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    types.flat_map(|value| value.split(',')).any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let json = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(JSON));
        // A weight of zero excludes the type.
        json && !parts.any(|part| part.strip_prefix("q=").is_some_and(|q| q.parse() == Ok(0.0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_is_read_as_a_list() {
        let with =
            |value: &str| accepts_json(&[(ACCEPT, value.parse().unwrap())].into_iter().collect());
        assert!(with("application/json"));
        assert!(with("text/html, Application/JSON;q=0.9"));
        assert!(!with("*/*"));
        assert!(!with("application/vnd.fogline.frame, application/json; q=0"));
        assert!(!with("application/json-seq"));
        assert!(!accepts_json(&HeaderMap::new()));
    }
}
