//! Faults of the store, and concurrent first requests.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use fogline_cloud::index::REFRESH_AT_MOST_EVERY;
use fogline_cloud::plans::{LOAD_AT_MOST_EVERY, Options, Plans};
use fogline_cloud::store::{Settings, Store, StoreError};
use tokio::net::TcpListener;

use crate::bucket::{Bucket, settings};
use crate::request::{get, handle, infer, refusal};

fn plans(settings: Settings) -> Arc<Plans> {
    Plans::new(Store::new(settings), Options::default())
}

#[tokio::test]
async fn an_altered_model_is_not_run() {
    let bucket = Bucket::with_pair().await;
    let path = bucket.folder().join("cloud.onnx");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&path, &bytes).unwrap();
    let plans = bucket.plans();
    let pause = || tokio::time::sleep(LOAD_AT_MOST_EVERY + Duration::from_millis(100));
    assert_eq!(refusal(&plans, infer()).await, (502, "model_corrupt".into()));
    assert_eq!(refusal(&plans, get("/ready")).await, (503, "not_ready".into()));

    // An immediate retry is refused without another download.
    assert_eq!(refusal(&plans, infer()).await, (502, "model_corrupt".into()));
    assert_eq!(bucket.fetched(), 1);

    // Larger than its manifest says: not read to the end.
    fs::write(&path, [bytes, vec![0; 100]].concat()).unwrap();
    pause().await;
    assert_eq!(refusal(&plans, infer()).await, (502, "model_corrupt".into()));

    fs::remove_file(&path).unwrap();
    pause().await;
    assert_eq!(refusal(&plans, infer()).await, (502, "model_corrupt".into()));

    // Once repaired it is served: a failed load is not remembered.
    bucket.put_pair();
    pause().await;
    assert_eq!(handle(&plans, infer()).await.status(), 200);
}

#[tokio::test]
async fn a_store_that_hangs_holds_up_nobody() {
    // Accepts connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plans = plans(settings(silent.local_addr().unwrap()));
    let waiting = tokio::spawn({
        let plans = Arc::clone(&plans);
        async move { refusal(&plans, infer()).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    let ready = tokio::time::timeout(Duration::from_secs(1), refusal(&plans, get("/ready")));
    assert_eq!(ready.await.expect("at once"), (503, "not_ready".into()));
    assert_eq!(waiting.await.unwrap(), (503, "store_unreachable".into()));
    // A failed listing counts too: the next unknown digest does not trigger another.
    let again = tokio::time::timeout(Duration::from_secs(1), refusal(&plans, infer()));
    assert_eq!(again.await.expect("at once"), (503, "store_unreachable".into()));
}

#[tokio::test]
async fn a_missing_bucket_and_an_unreachable_store_are_the_same_to_the_edge() {
    let bucket = Bucket::with_pair().await;
    let mut elsewhere = bucket.settings();
    elsewhere.bucket = "no-such-bucket".into();
    let refused = refusal(&plans(elsewhere), infer()).await;
    assert_eq!(refused, (503, "store_unreachable".into()));

    // Nobody listens on a port that was free a moment ago.
    let free: SocketAddr = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let refused = refusal(&plans(settings(free)), infer()).await;
    assert_eq!(refused, (503, "store_unreachable".into()));
}

/// AWS itself is only reached over TLS, which no other test here covers.
#[tokio::test]
async fn the_tls_client_is_in_the_binary() {
    let bucket = Bucket::with_pair().await;
    let mut tls = bucket.settings();
    tls.endpoint = tls.endpoint.map(|url| url.replace("http://", "https://"));
    let error = Store::new(tls).manifests().await.unwrap_err();
    let StoreError::Unreachable(why) = error else { panic!("{error}") };
    assert!(why.contains("InvalidContentType"), "the store spoke no TLS, but: {why}");
}

#[tokio::test]
async fn a_wrong_key_opens_nothing() {
    let bucket = Bucket::with_pair().await;
    let mut wrong = bucket.settings();
    wrong.secret_key = "guess".into();
    let refused = refusal(&plans(wrong), infer()).await;
    assert_eq!(refused, (503, "store_unreachable".into()));
}

#[tokio::test]
async fn a_pair_put_later_is_found_without_a_restart() {
    let bucket = Bucket::empty().await;
    let plans = bucket.plans();
    assert_eq!(refusal(&plans, infer()).await, (404, "unknown_pair".into()));
    bucket.put_pair();
    // Unknown digests do not trigger a listing each.
    assert_eq!(refusal(&plans, infer()).await, (404, "unknown_pair".into()));
    tokio::time::sleep(REFRESH_AT_MOST_EVERY + Duration::from_millis(100)).await;
    assert_eq!(handle(&plans, infer()).await.status(), 200);
}

#[tokio::test]
async fn a_bad_manifest_spoils_only_its_own_pair() {
    let bucket = Bucket::with_pair().await;
    let other = bucket.folder().parent().unwrap().with_file_name("broken").join("1.0.0");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("manifest.json"), "{").unwrap();
    // Same files under another name: served as what it is, the same pair.
    let again = bucket.folder().with_file_name("1.0.1");
    fs::create_dir_all(&again).unwrap();
    for name in ["manifest.json", "cloud.onnx"] {
        fs::copy(bucket.folder().join(name), again.join(name)).unwrap();
    }
    let plans = bucket.plans();
    assert_eq!(plans.preload(None).await.unwrap(), 1);
    assert_eq!(handle(&plans, infer()).await.status(), 200);
    assert_eq!(bucket.fetched(), 1);
}

#[tokio::test]
async fn the_store_gives_no_more_than_the_cap() {
    let bucket = Bucket::with_pair().await;
    let store = Store::new(bucket.settings());
    let key = "models/tiny/1.0.0/cloud.onnx";
    let size = fs::metadata(bucket.folder().join("cloud.onnx")).unwrap().len();
    assert_eq!(store.get(key, size).await.unwrap().len() as u64, size);
    let cap = size - 1;
    let error = store.get(key, cap).await.unwrap_err();
    assert_eq!(error, StoreError::TooLarge { key: key.to_owned(), cap });
    let error = store.get("models/none", 1).await.unwrap_err();
    assert_eq!(error, StoreError::Missing("models/none".to_owned()));
}
