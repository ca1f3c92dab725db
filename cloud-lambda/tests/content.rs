//! The forms a request may take, and the metadata of a model.

use std::io::Write;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use flate2::Compression;
use flate2::write::GzEncoder;
use fogline::frame::{MAX_BATCH, MAX_FRAME, Request as Frame, Response as Scores};
use serde_json::{Value, json};

use crate::bucket::Bucket;
use crate::request::{body, expected, get, golden, handle, post, refusal};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = GzEncoder::new(vec![], Compression::best());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// The golden frame as JSON.
fn readable() -> Value {
    let frame = Frame::decode(&golden()).unwrap();
    let samples = frame.tensors.iter().map(
        |map| json!({"shape": map.shape, "bits": map.bits, "data": BASE64.encode(&map.bytes)}),
    );
    json!({
        "pair": hex::encode(frame.pair),
        "request_id": hex::encode(frame.request_id),
        "samples": samples.collect::<Vec<_>>(),
    })
}

const AS_JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

#[tokio::test]
async fn frame_and_json_plain_and_under_gzip_are_answered_alike() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    let json = serde_json::to_vec(&readable()).unwrap();
    let under_gzip = ("content-encoding", "gzip");
    for request in [
        post(golden(), &[]),
        post(gzip(&golden()), &[under_gzip]),
        post(json.clone(), &[AS_JSON]),
        post(gzip(&json), &[AS_JSON, under_gzip]),
    ] {
        let response = handle(&plans, request).await;
        let scores = Scores::decode(response.body()).unwrap();
        assert_eq!(hex::encode(scores.request_id), expected()["request_id"]);
        assert_eq!(json!(scores.scores), expected()["logits"]);
    }
}

#[tokio::test]
async fn what_is_no_gzip_or_no_json_is_refused_by_word() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    let bomb = gzip(&vec![0; 100 * MAX_FRAME]);
    assert!(bomb.len() < MAX_FRAME);
    let cut = gzip(&golden())[..40].to_vec();
    let with = |change: &dyn Fn(&mut Value)| {
        let mut json = readable();
        change(&mut json);
        post(serde_json::to_vec(&json).unwrap(), &[AS_JSON])
    };
    for (request, status, word) in [
        (post(bomb, &[("content-encoding", "gzip")]), 413, "too_large"),
        (post(cut, &[("content-encoding", "gzip")]), 400, "malformed"),
        (post(golden(), &[("content-encoding", "gzip")]), 400, "malformed"),
        (post(golden(), &[("content-encoding", "br")]), 400, "malformed"),
        (post(golden(), &[AS_JSON]), 400, "malformed"),
        (with(&|json| json["pair"] = json!("00")), 400, "malformed"),
        (with(&|json| json["request_id"] = json!("x")), 400, "malformed"),
        (with(&|json| json["samples"][1]["data"] = json!("?")), 400, "malformed"),
        (with(&|json| json["samples"][1]["bits"] = json!(3)), 400, "malformed"),
        (with(&|json| json["samples"] = json!([])), 400, "malformed"),
        (with(&|json| json["more"] = json!(1)), 400, "malformed"),
        (
            with(&|json| json["samples"] = json!(vec![&readable()["samples"][0]; MAX_BATCH + 1])),
            413,
            "too_large",
        ),
        (with(&|json| json["pair"] = json!(hex::encode([1; 32]))), 404, "unknown_pair"),
    ] {
        assert_eq!(refusal(&plans, request).await, (status, word.to_owned()));
    }
}

#[tokio::test]
async fn a_batch_says_what_its_samples_say_alone() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    let frame = Frame::decode(&golden()).unwrap();
    // A batch of sixteen, one of four, and a single sample.
    let mut many = frame.clone();
    many.tensors = frame.tensors.iter().cycle().take(21).cloned().collect();
    let response = handle(&plans, post(many.encode().unwrap(), &[])).await;
    let scores = Scores::decode(response.body()).unwrap().scores;
    assert_eq!(scores.len(), 21);
    let alone: Vec<Vec<f32>> = serde_json::from_value(expected()["logits"].clone()).unwrap();
    for (sample, scores) in scores.iter().enumerate() {
        assert_eq!(scores, &alone[sample % 2], "sample {sample}");
    }
}

#[tokio::test]
async fn clients_of_the_open_inference_protocol_can_look() {
    let bucket = Bucket::with_pair().await;
    let newer = bucket.put_other("1.10.0");
    bucket.put_other("1.9.0");
    let plans = bucket.plans();
    let metadata = body(&handle(&plans, get("/v2/models/tiny")).await);
    assert_eq!(metadata["versions"], json!(["1.0.0", "1.9.0", "1.10.0"]));
    assert_eq!(metadata["inputs"][0]["shape"], json!([-1, 8, 4, 4]));
    assert_eq!(metadata["outputs"][0]["shape"], json!([-1, 3]));
    assert_eq!(metadata["parameters"]["pair"], hex::encode(newer));
    let old = body(&handle(&plans, get("/v2/models/tiny/versions/1.0.0")).await);
    assert_eq!(old["parameters"]["pair"], expected()["pair"]);
    for path in ["/v2/models/none", "/v2/models/tiny/versions/3.0.0"] {
        assert_eq!(refusal(&plans, get(path)).await, (404, "unknown_pair".into()));
    }
}
