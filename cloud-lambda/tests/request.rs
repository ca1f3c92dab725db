//! Requests for the tests' pair, as any host would build them.

use std::fs;
use std::sync::Arc;

use bytes::Bytes;
use fogline::frame::{MEDIA_TYPE, Request as Frame};
use fogline::refusal::Refusal;
use fogline_cloud::function::{Auth, Call, Function};
use fogline_cloud::plans::Plans;
use http::{Request, Response};
use serde_json::Value;

use crate::bucket::pair_file;

/// The golden frame.
pub fn golden() -> Vec<u8> {
    fs::read(pair_file("infer.frame")).unwrap()
}

/// onnxruntime's scores for it.
pub fn expected() -> Value {
    serde_json::from_slice(&fs::read(pair_file("expected.json")).unwrap()).unwrap()
}

/// The logits among them.
pub fn logits() -> Vec<Vec<f32>> {
    serde_json::from_value(expected()["logits"].clone()).unwrap()
}

/// The golden frame after `change`.
pub fn altered(change: impl FnOnce(&mut Frame)) -> Vec<u8> {
    let mut frame = Frame::decode(&golden()).unwrap();
    change(&mut frame);
    frame.encode().unwrap()
}

pub fn get(path: &str) -> Request<Bytes> {
    Request::get(path).body(Bytes::new()).unwrap()
}

/// The request that carries the golden frame.
pub fn infer() -> Request<Bytes> {
    post(golden(), &[])
}

/// The same with another body, and with these headers.
pub fn post(body: Vec<u8>, headers: &[(&'static str, &str)]) -> Request<Bytes> {
    let mut request = Request::post("/infer").body(Bytes::from(body)).unwrap();
    for (name, value) in [&[("content-type", MEDIA_TYPE)], headers].concat() {
        request.headers_mut().insert(name, value.parse().unwrap());
    }
    request
}

/// The response to an unauthenticated request without a deadline.
pub async fn handle(plans: &Arc<Plans>, request: Request<Bytes>) -> Response<Bytes> {
    Function::new(Auth::Anybody, Arc::clone(plans)).handle(request, Call::default()).await
}

/// The JSON body of a response.
pub fn body(response: &Response<Bytes>) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(response.body()).unwrap()
}

/// The status and error code of a refusal, which must be well formed and have a message.
pub fn refused(response: &Response<Bytes>) -> (u16, String) {
    let refusal: Refusal = serde_json::from_value(body(response)).unwrap();
    assert_eq!(response.status().as_u16(), refusal.status());
    assert!(!refusal.message.is_empty());
    (refusal.status(), refusal.error)
}

/// The status and error code of the refusal that a request gets.
pub async fn refusal(plans: &Arc<Plans>, request: Request<Bytes>) -> (u16, String) {
    refused(&handle(plans, request).await)
}
