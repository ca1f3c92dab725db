//! Requests and their responses, with a real store over real HTTP.

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fogline::frame::{MAX_FRAME, MEDIA_TYPE, Request as Frame, Response as Scores};
use fogline::manifest::{Manifest, sha256_hex};
use fogline_cloud::function::{Auth, Call, Caller, Function};
use serde_json::json;

use crate::bucket::Bucket;
use crate::request::{
    altered, body, expected, get, golden, handle, infer, logits, post, refusal, refused,
};

#[tokio::test]
async fn a_frame_is_answered_with_onnxruntimes_scores() {
    let bucket = Bucket::with_pair().await;
    let response = handle(&bucket.plans(), infer()).await;
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
    let response = handle(&bucket.plans(), post(golden(), &[("accept", "application/json")])).await;
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
    let response = handle(&bucket.plans(), infer()).await;
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
    let health = handle(&plans, get("/health")).await;
    assert_eq!((health.status().as_u16(), body(&health)), (200, json!({"status": "live"})));
    assert_eq!(refusal(&plans, get("/ready")).await, (503, "not_ready".into()));

    let missing = plans.preload(Some("other/1.0.0")).await.unwrap_err();
    assert_eq!(missing.error, "model_corrupt");
    assert!(missing.message.contains("models/other/1.0.0/manifest.json"), "{missing:?}");
    assert_eq!(refusal(&plans, get("/ready")).await, (503, "not_ready".into()));

    assert_eq!(plans.preload(Some("tiny/1.0.0")).await.unwrap(), 1);
    let ready = handle(&plans, get("/ready")).await;
    assert_eq!(ready.status(), 200);
    let pair = json!({"name": "tiny", "version": "1.0.0", "digest": expected()["pair"]});
    assert_eq!(body(&ready), json!({"status": "ready", "pairs": [pair]}));
}

#[tokio::test]
async fn what_is_no_request_for_this_pair_is_refused_by_word() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    for (request, status, word) in [
        (post(golden()[..70].to_vec(), &[]), 400, "malformed"),
        (post(altered(|frame| frame.pair = [0; 32]), &[]), 404, "unknown_pair"),
        (post(altered(|frame| frame.tensors[1].shape = [8, 2, 8]), &[]), 409, "wrong_shape"),
        (get("/infer"), 405, "method_not_allowed"),
        (get("/admin"), 404, "not_found"),
    ] {
        assert_eq!(refusal(&plans, request).await, (status, word.to_owned()));
    }
    let response = handle(&plans, get("/infer")).await;
    assert_eq!(response.headers()["allow"], "POST");
}

#[tokio::test]
async fn a_body_larger_than_any_frame_is_refused_unread() {
    let bucket = Bucket::empty().await;
    let large = post(vec![b'F'; MAX_FRAME + 1], &[]);
    let refused = refusal(&bucket.plans(), large).await;
    assert_eq!(refused, (413, "too_large".into()));
}

#[tokio::test]
async fn what_broke_inside_is_told_to_the_log_alone() {
    let bucket = Bucket::with_pair().await;
    let path = bucket.folder().join("manifest.json");
    let mut manifest = Manifest::parse(&fs::read(&path).unwrap()).unwrap();
    let onnx = b"no model";
    let file = manifest.files.get_mut("cloud.onnx").unwrap();
    (file.sha256, file.bytes) = (sha256_hex(onnx), onnx.len() as u64);
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    fs::write(bucket.folder().join("cloud.onnx"), onnx).unwrap();
    let mut frame = Frame::decode(&golden()).unwrap();
    frame.pair = manifest.pair_digest();
    let answer = handle(&bucket.plans(), post(frame.encode().unwrap(), &[])).await;
    assert_eq!(refused(&answer), (500, "internal".into()));
    assert_eq!(body(&answer)["message"], "the function failed; its log says why");
}

#[tokio::test]
async fn the_function_urls_own_cors_headers_stay_alone() {
    let bucket = Bucket::with_pair().await;
    for request in [infer(), get("/health"), post(altered(|frame| frame.pair = [0; 32]), &[])] {
        let response = handle(&bucket.plans(), request).await;
        let doubled = |name: &str| name.starts_with("access-control-");
        assert!(!response.headers().keys().any(|name| doubled(name.as_str())));
    }
}

#[tokio::test]
async fn an_answer_comes_before_the_hosts_deadline() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    let function = Function::new(Auth::Anybody, Arc::clone(&plans));
    let within = async |time| {
        let call = Call { deadline: Some(Instant::now() + time), ..Call::default() };
        function.handle(infer(), call).await
    };
    // Less than the time reserved for the refusal: too late to load, and too late to infer.
    let too_little = Duration::from_millis(100);
    assert_eq!(refused(&within(too_little).await), (504, "deadline".into()));
    assert_eq!(within(Duration::from_secs(20)).await.status(), 200);
    assert_eq!(refused(&within(too_little).await), (504, "deadline".into()));
}

#[tokio::test]
async fn whoever_may_not_ask_is_told_how_and_fetches_nothing() {
    let bucket = Bucket::with_pair().await;
    let function = Function::new(Auth::Iam, bucket.plans());
    let refusal = function.handle(infer(), Call::default()).await;
    assert_eq!(refused(&refusal), (401, "unauthorized".into()));
    assert_eq!(refusal.headers()["www-authenticate"], "Bearer");
    assert_eq!(bucket.fetched(), 0);
    let verified = Call { caller: Caller::Verified, ..Call::default() };
    assert_eq!(function.handle(infer(), verified).await.status(), 200);
}
