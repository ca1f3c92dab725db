//! Faults, with the function's binary in its own process between the runtime API and a store.

use std::fs;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use fogline::frame::{MAX_FRAME, Request as Frame, Response as Scores, Tensor};
use fogline::manifest::sha256_hex;
use fogline_cloud::index::REFRESH_AT_MOST_EVERY;
use fogline_cloud::plans::LOAD_AT_MOST_EVERY;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::bucket::{Bucket, Fault, settings};
use crate::request::{expected, golden};
use crate::running::{Running, body, infer};

const OK: (u64, String) = (200, String::new());

/// Repeats this until its result changes.
async fn pause(at_most_every: Duration) {
    tokio::time::sleep(at_most_every + Duration::from_millis(100)).await;
}

#[tokio::test]
async fn a_store_that_is_down_or_refuses_is_said_and_got_over() {
    // Nobody listens on a port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let function = Running::start(&settings(free), None).await;
    let outcome = function.outcome(infer(&golden())).await;
    assert_eq!(outcome, (503, "store_unreachable".into()));

    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    for (fault, status, word) in [
        (Fault::Status(403), 503, "store_unreachable"),
        (Fault::Status(404), 502, "model_corrupt"),
        (Fault::Status(500), 503, "store_unreachable"),
        (Fault::Cut, 503, "store_unreachable"),
    ] {
        bucket.suffer(fault);
        assert_eq!(function.outcome(infer(&golden())).await, (status, word.into()));
        pause(LOAD_AT_MOST_EVERY).await;
    }
    bucket.suffer(Fault::None);
    assert_eq!(function.outcome(infer(&golden())).await, OK);
}

#[tokio::test]
async fn a_store_that_sends_in_drops_costs_one_deadline_and_no_second_fetch() {
    let bucket = Bucket::with_pair().await;
    // 28 drops: the model is there after 3 s.
    bucket.suffer(Fault::Drops(Duration::from_millis(110)));
    let function = Running::start(&bucket.settings(), None).await;
    let began = Instant::now();
    let late = function.outcome_within(infer(&golden()), Duration::from_secs(1)).await;
    assert_eq!(late, (504, "deadline".into()));
    assert!(began.elapsed() < Duration::from_secs(2));
    assert_eq!(function.outcome(infer(&golden())).await, OK);
    assert_eq!(bucket.fetched(), 1);
}

#[tokio::test]
async fn a_model_that_is_not_the_manifests_is_not_run() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    let path = bucket.folder().join("cloud.onnx");
    let good = fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[700] ^= 1;
    bucket.put_other("2.0.0");
    let other = fs::read(bucket.folder().with_file_name("2.0.0").join("cloud.onnx")).unwrap();
    for bad in [&flipped[..], &other, &good[..900], &[]] {
        fs::write(&path, bad).unwrap();
        let outcome = function.outcome(infer(&golden())).await;
        assert_eq!(outcome, (502, "model_corrupt".into()));
        pause(LOAD_AT_MOST_EVERY).await;
    }
    fs::write(&path, good).unwrap();
    assert_eq!(function.outcome(infer(&golden())).await, OK);
}

#[tokio::test]
async fn a_pair_that_is_replaced_meanwhile_serves_on_from_memory() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    assert_eq!(function.outcome(infer(&golden())).await, OK);
    let mut frame = Frame::decode(&golden()).unwrap();
    frame.pair = bucket.put_other("1.0.0");
    // The old pair is still in memory.
    assert_eq!(function.outcome(infer(&golden())).await, OK);
    pause(REFRESH_AT_MOST_EVERY).await;
    assert_eq!(function.outcome(infer(&frame.encode().unwrap())).await, OK);
    // The bucket was listed again, and the old pair is not in it.
    assert_eq!(function.outcome(infer(&golden())).await, (404, "unknown_pair".into()));
}

#[tokio::test]
async fn edges_of_the_old_version_and_of_the_new_one_are_both_served() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    assert_eq!(function.outcome(infer(&golden())).await, OK);
    // The new version is published while the function runs.
    let mut frame = Frame::decode(&golden()).unwrap();
    frame.pair = bucket.put_other("2.0.0");
    let new = frame.encode().unwrap();
    pause(REFRESH_AT_MOST_EVERY).await;
    // A function deployed afterwards still serves the old one.
    for function in [function, Running::start(&bucket.settings(), None).await] {
        for frame in [&new, &golden(), &new] {
            assert_eq!(function.outcome(infer(frame)).await, OK);
        }
        let log = function.end().await;
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let requests = lines.filter(|line| line["_aws"].is_object());
        let served: Vec<Value> = requests.map(|mut line| line["pair"].take()).collect();
        let served: Vec<_> = served.iter().filter_map(Value::as_str).collect();
        assert!(served.ends_with(&["tiny/2.0.0", "tiny/1.0.0", "tiny/2.0.0"]), "{served:?}");
    }
}

#[tokio::test]
async fn a_listing_that_fails_takes_nothing_away() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    assert_eq!(function.outcome(infer(&golden())).await, OK);
    fs::write(bucket.folder().join("manifest.json"), "{").unwrap();
    pause(REFRESH_AT_MOST_EVERY).await;
    let mut frame = Frame::decode(&golden()).unwrap();
    frame.pair = [7; 32];
    let unknown = function.outcome(infer(&frame.encode().unwrap())).await;
    assert_eq!(unknown, (404, "unknown_pair".into()));
    assert_eq!(function.outcome(infer(&golden())).await, OK);
}

#[tokio::test]
async fn a_query_or_a_header_that_no_uri_can_hold_panics_nowhere() {
    let bucket = Bucket::with_pair().await;
    let digest = sha256_hex(b"a token of the tests");
    let variables = [("FOGLINE_AUTH", "token"), ("FOGLINE_TOKEN_SHA256", digest.as_str())];
    let function = Running::start_with(&bucket.settings(), None, &variables).await;
    let token = "Bearer a token of the tests";
    let odd: [fn(&mut Value); 8] = [
        |event| event["rawQueryString"] = json!("a b"),
        |event| event["rawQueryString"] = json!("\u{e9}=\u{1}"),
        |event| event["headers"]["x-forwarded-proto"] = json!("no scheme"),
        |event| event["headers"]["host"] = json!("no host"),
        |event| event["headers"]["user-agent"] = json!("caf\u{e9}\n"),
        |event| event["headers"]["no name"] = json!("x"),
        |event| event["queryStringParameters"] = json!({"a": ["b", 1]}),
        |event| event["cookies"] = json!(["\u{e9}"]),
    ];
    for (case, change) in odd.into_iter().enumerate() {
        let mut event = infer(&golden());
        change(&mut event);
        // A request without a token is refused first, and logged.
        let outcome = function.outcome(event.clone()).await;
        assert_eq!(outcome, (401, "unauthorized".into()), "{case}");
        event["headers"]["authorization"] = json!(token);
        assert_eq!(function.outcome(event).await, OK, "{case}");
    }
    let mut event = infer(&golden());
    event["headers"]["authorization"] = json!(token);
    event["body"] = json!("no base64!");
    assert_eq!(function.outcome(event).await, (400, "malformed".into()));
    let log = function.end().await;
    assert_eq!(log.matches("\"outcome\":\"unauthorized\"").count(), odd.len());
    assert!(!log.contains("panic"), "{log}");
}

#[tokio::test]
async fn sigterm_in_the_middle_leaves_nothing_half_done() {
    let bucket = Bucket::with_pair().await;
    bucket.suffer(Fault::Drops(Duration::from_millis(100)));
    let cache = tempfile::tempdir().unwrap();
    let mut function = Running::start(&bucket.settings(), Some(cache.path())).await;
    let process = Pid::from_raw(function.process.id().unwrap() as i32).unwrap();
    tokio::select! {
        answer = function.invoke(infer(&golden()), Duration::from_secs(20)) => panic!("{answer:?}"),
        () = tokio::time::sleep(Duration::from_secs(1)) => kill_process(process, Signal::TERM).unwrap(),
    }
    let ended = tokio::time::timeout(Duration::from_secs(2), function.process.wait()).await;
    assert!(!ended.expect("it ends at once").unwrap().success());
    // The cache is empty, so the next process downloads the model; the one after that need not.
    let models = || {
        fs::read_dir(cache.path())
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().into_string().ok())
    };
    assert_eq!(models().filter(|name| name.len() == 64).count(), 0);
    bucket.suffer(Fault::None);
    for fetched in [2, 2] {
        let function = Running::start(&bucket.settings(), Some(cache.path())).await;
        assert_eq!(function.outcome(infer(&golden())).await, OK);
        assert_eq!(bucket.fetched(), fetched);
    }
    // Files on disk are verified like those from the store.
    let model = models().find(|name| name.len() == 64).unwrap();
    fs::write(cache.path().join(model), "altered").unwrap();
    let function = Running::start(&bucket.settings(), Some(cache.path())).await;
    assert_eq!(function.outcome(infer(&golden())).await, OK);
    assert_eq!(bucket.fetched(), 3);
}

/// A frame of `bytes` bytes of the golden pair, whose maps are not of its split.
fn filled(bytes: usize) -> Vec<u8> {
    let mut frame = Frame::decode(&golden()).unwrap();
    let tensor =
        |bytes: usize| Tensor { shape: [bytes as u32, 8, 1], bits: 1, bytes: vec![1; bytes] };
    let len = |frame: &Frame| frame.encode().map_or(usize::MAX, |bytes| bytes.len());
    frame.tensors = vec![tensor(bytes - 200)];
    let missing = bytes - len(&frame);
    frame.tensors = vec![tensor(bytes - 200 + missing)];
    assert_eq!(len(&frame), bytes);
    frame.encode().unwrap()
}

#[tokio::test]
async fn a_frame_may_be_as_large_as_the_limit_and_no_larger() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    for bytes in [MAX_FRAME - 1, MAX_FRAME] {
        assert_eq!(function.outcome(infer(&filled(bytes))).await, (409, "wrong_shape".into()));
    }
    let over = vec![b'F'; MAX_FRAME + 1];
    assert_eq!(function.outcome(infer(&over)).await, (413, "too_large".into()));
    assert_eq!(function.outcome(infer(&golden())).await, OK);
}

#[tokio::test]
async fn a_line_of_json_says_how_each_request_went() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start(&bucket.settings(), None).await;
    let answer = function.invoke(infer(&golden()), Duration::from_secs(20)).await.unwrap();
    let scores = Scores::decode(&body(&answer)).unwrap();
    let logits: Vec<Vec<f32>> = serde_json::from_value(expected()["logits"].clone()).unwrap();
    assert_eq!(scores.scores, logits);
    function.outcome(infer(b"FOGQ")).await;
    let log = function.end().await;
    let lines: Vec<Value> =
        log.lines().map(|line| serde_json::from_str(line).expect("every line is JSON")).collect();
    let records: Vec<&Value> = lines.iter().filter(|line| line["_aws"].is_object()).collect();
    let [first, second] = records[..] else { panic!("{log}") };
    assert_eq!((&first["outcome"], &first["cold"]), (&json!("ok"), &json!(true)));
    assert_eq!((&first["pair"], &first["Samples"]), (&json!("tiny/1.0.0"), &json!(2)));
    assert_eq!(first["frame"], expected()["request_id"]);
    // The runtime API's request id.
    assert_eq!(first["request"], "00000000-0000-4000-8000-000000000001");
    assert!(first["LoadMs"].as_f64() > Some(0.0) && first["InferMs"].as_f64() > Some(0.0));
    assert_eq!((&second["outcome"], &second["cold"]), (&json!("malformed"), &json!(false)));
    assert_eq!((&second["Refusals"], &second["Samples"]), (&json!(1), &json!(0)));
}

#[tokio::test]
async fn only_a_token_opens_a_function_that_wants_one() {
    let digest = sha256_hex(b"open sesame, open");
    let bucket = Bucket::with_pair().await;
    let variables = [("FOGLINE_AUTH", "token"), ("FOGLINE_TOKEN_SHA256", digest.as_str())];
    let function = Running::start_with(&bucket.settings(), None, &variables).await;
    let mut event = infer(&golden());
    assert_eq!(function.outcome(event.clone()).await, (401, "unauthorized".into()));
    event["headers"]["authorization"] = json!("Bearer open barley, open");
    assert_eq!(function.outcome(event.clone()).await, (401, "unauthorized".into()));
    // An unauthenticated request triggers no download.
    assert_eq!(bucket.fetched(), 0);
    event["headers"]["authorization"] = json!("Bearer open sesame, open");
    assert_eq!(function.outcome(event).await, OK);
    let log = function.end().await;
    assert!(log.contains("\"outcome\":\"unauthorized\"") && !log.contains("sesame"), "{log}");
}

#[tokio::test]
async fn a_token_is_changed_without_an_edge_left_outside() {
    let bucket = Bucket::with_pair().await;
    let long = |token: &str| format!("{token}-0123456789abcdef");
    let digest = |token: &str| sha256_hex(long(token).as_bytes());
    let both = format!("{},{}", digest("old"), digest("new"));
    let statuses = async |digests: &str| {
        let variables = [("FOGLINE_AUTH", "token"), ("FOGLINE_TOKEN_SHA256", digests)];
        let function = Running::start_with(&bucket.settings(), None, &variables).await;
        let mut statuses = vec![];
        // The last is a request seen before: a bearer token is good until it is taken out.
        for token in ["old", "new", "other", "old"] {
            let mut event = infer(&golden());
            event["headers"]["authorization"] = json!(format!("Bearer {}", long(token)));
            statuses.push(function.outcome(event).await.0);
        }
        statuses
    };
    assert_eq!(statuses(&digest("old")).await, [200, 401, 401, 200]);
    assert_eq!(statuses(&both).await, [200, 200, 401, 200]);
    assert_eq!(statuses(&digest("new")).await, [401, 200, 401, 401]);
}

#[tokio::test]
async fn a_function_that_counts_on_aws_is_not_open_behind_a_url_that_asks_nobody() {
    let bucket = Bucket::with_pair().await;
    let function = Running::start_with(&bucket.settings(), None, &[("FOGLINE_AUTH", "iam")]).await;
    let mut event = infer(&golden());
    assert_eq!(function.outcome(event.clone()).await, (401, "unauthorized".into()));
    // As a function URL of auth type AWS_IAM sends it after verifying a signature.
    let user = "arn:aws:iam::123456789012:user/edge";
    event["requestContext"]["authorizer"] = json!({"iam": {
        "accessKey": "AKIA", "accountId": "123456789012", "callerId": "AIDA", "userArn": user, "userId": "AIDA",
    }});
    assert_eq!(function.outcome(event).await, OK);
}

#[tokio::test]
async fn a_function_that_nobody_told_who_may_ask_does_not_start() {
    let bucket = Bucket::with_pair().await;
    for variables in [&[][..], &[("FOGLINE_AUTH", "")]] {
        does_not_start(&bucket, variables).await;
    }
}

#[tokio::test]
async fn an_empty_tokens_digest_does_not_start() {
    let bucket = Bucket::with_pair().await;
    let empty = sha256_hex(b"");
    let token = ("FOGLINE_AUTH", "token");
    does_not_start(&bucket, &[token, ("FOGLINE_TOKEN_SHA256", &empty)]).await;
    does_not_start(&bucket, &[token, ("FOGLINE_TOKEN_SHA256", "")]).await;
}

#[tokio::test]
async fn numbers_of_mib_that_overflow_do_not_start() {
    let bucket = Bucket::with_pair().await;
    for name in ["FOGLINE_MEMORY_MIB", "FOGLINE_CACHE_MIB"] {
        // 2^44 MiB are 2^64 bytes.
        for mib in ["17592186044416", "-1", "1.5", "1e3"] {
            does_not_start(&bucket, &[("FOGLINE_AUTH", "none"), (name, mib)]).await;
        }
    }
}

#[tokio::test]
async fn empty_variables_are_unset_ones() {
    let bucket = Bucket::with_pair().await;
    let mut variables = vec![("FOGLINE_AUTH", "none")];
    variables.extend(
        [
            "FOGLINE_PAIRS",
            "FOGLINE_MEMORY_MIB",
            "FOGLINE_CACHE",
            "FOGLINE_CACHE_MIB",
            "FOGLINE_TOKEN_SHA256",
            "AWS_SESSION_TOKEN",
            "AWS_LAMBDA_LOG_LEVEL",
        ]
        .map(|name| (name, "")),
    );
    let function = Running::start_with(&bucket.settings(), None, &variables).await;
    assert_eq!(function.outcome(infer(&golden())).await, OK);
}

/// A function with these variables exits with an error.
async fn does_not_start(bucket: &Bucket, variables: &[(&str, &str)]) {
    let mut function = Running::start_with(&bucket.settings(), None, variables).await;
    let ended = tokio::time::timeout(Duration::from_secs(10), function.process.wait()).await;
    let status = ended.expect("it ends by itself").unwrap();
    // 101 would be a panic.
    assert_eq!(status.code(), Some(1), "{variables:?}");
}
