//! The golden events of `tests/events`, as a function URL sends them.

use std::sync::Arc;

use fogline::frame::{MAX_FRAME, MEDIA_TYPE, Response as Scores};
use fogline::refusal::Refusal;
use fogline_cloud::handler::handle;
use fogline_cloud::plans::Plans;
use lambda_http::{Body, Request, Response};
use serde_json::{Value, json};

use crate::bucket::{Bucket, pair_file};

macro_rules! event {
    ($name:literal) => {
        lambda_http::request::from_str(include_str!(concat!("events/", $name, ".json"))).unwrap()
    };
}
pub(crate) use event;

pub fn expected() -> Value {
    serde_json::from_slice(&std::fs::read(pair_file("expected.json")).unwrap()).unwrap()
}

fn logits() -> Vec<Vec<f32>> {
    serde_json::from_value(expected()["logits"].clone()).unwrap()
}

pub fn body(response: &Response<Body>) -> Value {
    assert_eq!(response.headers()["content-type"], "application/json");
    serde_json::from_slice(response.body()).unwrap()
}

/// The status and word of a refusal, which must be well-formed and say something.
pub async fn refusal(plans: &Arc<Plans>, request: Request) -> (u16, String) {
    let response = handle(plans, request).await;
    let refusal: Refusal = serde_json::from_value(body(&response)).unwrap();
    assert_eq!(response.status().as_u16(), refusal.status());
    assert!(!refusal.message.is_empty());
    (refusal.status(), refusal.error)
}

#[tokio::test]
async fn a_frame_is_answered_with_onnxruntimes_scores() {
    let bucket = Bucket::with_pair().await;
    let response = handle(&bucket.plans(), event!("infer")).await;
    assert_eq!(response.status(), 200, "{:?}", response.body());
    assert_eq!(response.headers()["content-type"], MEDIA_TYPE);
    let scores = Scores::decode(response.body()).unwrap();
    assert_eq!(hex::encode(scores.request_id), expected()["request_id"]);
    // The weights are multiples of 1/64, so no order of summing rounds.
    assert_eq!(scores.scores, logits());
}

#[tokio::test]
async fn json_is_answered_to_those_who_accept_it() {
    let bucket = Bucket::with_pair().await;
    let response = handle(&bucket.plans(), event!("infer_json")).await;
    assert_eq!(response.status(), 200);
    let (answer, expected) = (body(&response), expected());
    assert_eq!(answer["request_id"], expected["request_id"]);
    assert_eq!(answer["pair"], expected["pair"]);
    let samples = answer["samples"].as_array().unwrap();
    assert_eq!(samples.len(), 2);
    for (sample, probabilities) in samples.iter().zip(expected["probabilities"].as_array().unwrap())
    {
        assert_eq!((&sample["label"], &sample["index"]), (&json!("cat"), &json!(0)));
        assert_eq!(sample["confidence"], sample["scores"][0]);
        for (class, probability) in probabilities.as_array().unwrap().iter().enumerate() {
            let difference =
                sample["scores"][class].as_f64().unwrap() - probability.as_f64().unwrap();
            assert!(difference.abs() < 1e-6, "class {class}: {difference}");
        }
    }
}

#[tokio::test]
async fn an_answer_says_how_long_the_function_took() {
    let bucket = Bucket::with_pair().await;
    let response = handle(&bucket.plans(), event!("infer")).await;
    let said = response.headers()["server-timing"].to_str().unwrap();
    let times: Vec<(&str, f64)> = said
        .split(", ")
        .map(|metric| metric.split_once(";dur=").unwrap())
        .map(|(name, ms)| (name, ms.parse().unwrap()))
        .collect();
    let [("fogline", total), ("load", load), ("infer", infer)] = times[..] else {
        panic!("{said}")
    };
    // The first request loads the pair.
    assert!(load > 0.0 && infer > 0.0 && total >= load + infer, "{said}");
}

#[tokio::test]
async fn health_needs_no_store_and_ready_needs_a_plan() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    let health = handle(&plans, event!("health")).await;
    assert_eq!((health.status().as_u16(), body(&health)), (200, json!({"status": "live"})));
    assert_eq!(refusal(&plans, event!("ready")).await, (503, "not_ready".into()));

    let missing = plans.preload(Some("other/1.0.0")).await.unwrap_err();
    assert_eq!(missing.error, "model_corrupt");
    assert!(missing.message.contains("models/other/1.0.0/manifest.json"), "{missing:?}");
    assert_eq!(refusal(&plans, event!("ready")).await, (503, "not_ready".into()));

    assert_eq!(plans.preload(Some("tiny/1.0.0")).await.unwrap(), 1);
    let ready = handle(&plans, event!("ready")).await;
    assert_eq!(ready.status(), 200);
    let pair = json!({"name": "tiny", "version": "1.0.0", "digest": expected()["pair"]});
    assert_eq!(body(&ready), json!({"status": "ready", "pairs": [pair]}));
}

#[tokio::test]
async fn what_is_no_request_for_this_pair_is_refused_by_word() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    for (request, status, word) in [
        (event!("truncated_frame"), 400, "malformed"),
        (event!("unknown_pair"), 404, "unknown_pair"),
        (event!("wrong_shape"), 409, "wrong_shape"),
        (event!("get_infer"), 405, "method_not_allowed"),
        (event!("unknown_path"), 404, "not_found"),
    ] {
        assert_eq!(refusal(&plans, request).await, (status, word.to_owned()));
    }
    let response = handle(&plans, event!("get_infer")).await;
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn a_body_larger_than_any_frame_is_refused_unread() {
    let bucket = Bucket::empty().await;
    let mut request: Request = event!("infer");
    *request.body_mut() = Body::Binary(vec![b'F'; MAX_FRAME + 1]);
    let refused = refusal(&bucket.plans(), request).await;
    assert_eq!(refused, (413, "too_large".into()));
}

#[tokio::test]
async fn the_function_urls_own_cors_headers_stay_alone() {
    let bucket = Bucket::with_pair().await;
    for request in [event!("infer"), event!("health"), event!("unknown_pair")] {
        let response = handle(&bucket.plans(), request).await;
        let doubled = |name: &str| name.starts_with("access-control-");
        assert!(!response.headers().keys().any(|name| doubled(name.as_str())));
    }
}
