//! The exact responses of the function's binary, under the runtime API, to the golden events of `tests/events`.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::bucket::Bucket;
use crate::running::Running;

fn event(name: &str) -> Value {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/events");
    let path = folder.join(name).with_extension("json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

const JSON: &str = "application/json";

/// A function URL's response whose body is this text.
fn text(status: u16, allow: Option<&str>, body: &str) -> Value {
    let mut headers = json!({"content-type": JSON});
    if let Some(allow) = allow {
        headers["allow"] = json!(allow);
    }
    json!({
        "statusCode": status, "headers": headers, "multiValueHeaders": {}, "cookies": [],
        "isBase64Encoded": false, "body": body,
    })
}

#[tokio::test]
async fn every_golden_event_is_answered_to_the_letter() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    let answer = async |name| function.invoke(event(name), Duration::from_secs(20)).await.unwrap();

    let mut frame = answer("infer").await;
    let timing = frame["headers"].as_object_mut().unwrap().remove("server-timing");
    assert!(timing.unwrap().as_str().unwrap().starts_with("fogline;dur="));
    assert_eq!(
        frame,
        json!({
            "statusCode": 200, "headers": {"content-type": "application/vnd.fogline.frame"},
            "multiValueHeaders": {}, "cookies": [], "isBase64Encoded": true,
            "body": "Rk9HQQEAAQIDBAUGBwgJCgsMDQ4PAgMAAM0/AACcPgAAcL8DAAA6vwAAPr8AAJTA",
        })
    );
    // JSON is sent as text, not in base64.
    let readable = answer("infer_json").await;
    assert_eq!(readable["isBase64Encoded"], json!(false));
    assert_eq!(readable["headers"]["content-type"], JSON);
    assert!(readable["headers"]["server-timing"].is_string());

    let pair = "39f66352949edf46d6ec7fc25decb9691ccfdeb9901bb7b5e85f1c2dcf97dd30";
    let ready = format!(
        r#"{{"status":"ready","pairs":[{{"name":"tiny","version":"1.0.0","digest":"{pair}"}}]}}"#
    );
    let refused = |status, error, allow, message: &str| {
        text(status, allow, &format!(r#"{{"error":"{error}","message":"{message}"}}"#))
    };
    let unknown =
        format!("the cloud has no pair with digest {}; fetch the current manifest", "0".repeat(64));
    let shape = "sample 0 has shape [8, 2, 8] at 1 bits; tiny/1.0.0 takes [8, 4, 4] at 1 bits";
    let method = "'/infer' does not accept GET";
    for (name, wanted) in [
        ("health", text(200, None, r#"{"status":"live"}"#)),
        ("ready", text(200, None, &ready)),
        ("truncated_frame", refused(400, "malformed", None, "the frame is cut short")),
        ("unknown_pair", refused(404, "unknown_pair", None, &unknown)),
        ("wrong_shape", refused(409, "wrong_shape", None, shape)),
        ("get_infer", refused(405, "method_not_allowed", Some("POST"), method)),
        ("unknown_path", refused(404, "not_found", None, "there is nothing at '/admin'")),
    ] {
        assert_eq!(answer(name).await, wanted, "{name}");
    }
}

#[tokio::test]
async fn the_log_has_the_trace_that_the_edge_names() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    let trace = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
    // The second request fails, and is still found by its trace.
    for name in ["infer", "wrong_shape"] {
        let mut event = event(name);
        event["headers"]["traceparent"] = json!(format!("00-{}-{}-01", trace[0], trace[1]));
        function.invoke(event, Duration::from_secs(20)).await.unwrap();
    }
    let log = function.end().await;
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let requests: Vec<Value> = lines.filter(|line| line["_aws"].is_object()).collect();
    let outcomes: Vec<_> = requests.iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["ok", "wrong_shape"]);
    for line in &requests {
        assert_eq!([&line["trace_id"], &line["parent_span_id"]], trace, "{line}");
    }
}
