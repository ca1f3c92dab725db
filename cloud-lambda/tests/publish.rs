//! Publishing a pair to the bucket.

use std::fs;
use std::path::{Path, PathBuf};

use fogline::frame::Response as Scores;
use fogline::manifest::{Manifest, sha256_hex};
use fogline_cloud::publish::{self, PublishError, try_out};
use fogline_cloud::store::Store;
use prost::Message;
use tempfile::TempDir;
use tract_onnx::pb::ModelProto;

use crate::bucket::{Bucket, pair_file};
use crate::request::{handle, infer, logits, refusal};

/// Copies the tests' pair to its own folder.
fn pair() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("tiny/1.0.0");
    fs::create_dir_all(&folder).unwrap();
    for name in ["manifest.json", "cloud.onnx"] {
        fs::copy(pair_file(name), folder.join(name)).unwrap();
    }
    (root, folder)
}

/// Tries the pair out and publishes it.
async fn publish(
    store: &Store,
    folder: &Path,
    said: impl FnMut(&str, u64),
) -> Result<Manifest, PublishError> {
    publish::publish(store, try_out(folder).await?, said).await
}

#[tokio::test]
async fn a_published_pair_is_served_and_never_overwritten() {
    let bucket = Bucket::empty().await;
    let store = Store::new(bucket.settings());
    let (_root, folder) = pair();
    let mut keys = vec![];
    publish(&store, &folder, |key, _| keys.push(key.to_owned())).await.unwrap();
    // The manifest comes last: whoever sees it can fetch every file.
    assert_eq!(keys, ["models/tiny/1.0.0/cloud.onnx", "models/tiny/1.0.0/manifest.json"]);
    assert_eq!(handle(&bucket.plans(), infer()).await.status(), 200);
    let again = publish(&store, &folder, |_, _| panic!("nothing is written")).await.unwrap_err();
    assert!(matches!(again, PublishError::Published(_)), "{again}");
    // The same files with other thresholds are still a different pair.
    let manifest = fs::read_to_string(folder.join("manifest.json")).unwrap();
    let other = manifest.replacen("\"thresholds\"", "\"thresholds\" ", 1);
    assert_ne!(other, manifest);
    fs::write(folder.join("manifest.json"), other).unwrap();
    let other = publish(&store, &folder, |_, _| panic!("nothing is written")).await.unwrap_err();
    assert!(matches!(other, PublishError::Taken(_)), "{other}");
}

#[tokio::test]
async fn a_publication_that_broke_off_is_taken_up_but_not_over_other_files() {
    let bucket = Bucket::with_pair().await;
    let store = Store::new(bucket.settings());
    let (_root, folder) = pair();
    let there = bucket.folder();
    fs::remove_file(there.join("manifest.json")).unwrap();
    publish(&store, &folder, |_, _| {}).await.unwrap();

    fs::remove_file(there.join("manifest.json")).unwrap();
    fs::write(there.join("cloud.onnx"), "somebody else's").unwrap();
    let differs = publish(&store, &folder, |_, _| {}).await.unwrap_err();
    assert!(matches!(differs, PublishError::Differs(_)), "{differs}");
    assert!(!there.join("manifest.json").exists());
    assert_eq!(fs::read(there.join("cloud.onnx")).unwrap(), b"somebody else's");
}

#[tokio::test]
async fn two_at_once_publish_one_pair() {
    let bucket = Bucket::empty().await;
    let store = Store::new(bucket.settings());
    let (_root, folder) = pair();
    let (a, b) =
        tokio::join!(publish(&store, &folder, |_, _| {}), publish(&store, &folder, |_, _| {}));
    for end in [&a, &b] {
        assert!(matches!(end, Ok(_) | Err(PublishError::Published(_))), "{end:?}");
    }
    assert!(a.is_ok() || b.is_ok());
    assert_eq!(handle(&bucket.plans(), infer()).await.status(), 200);
}

#[tokio::test]
async fn a_pair_that_is_not_whole_stays_at_home() {
    let bucket = Bucket::empty().await;
    let store = Store::new(bucket.settings());
    let (root, folder) = pair();
    let refused = async |folder: &PathBuf| {
        publish(&store, folder, |key, _| panic!("{key} is written")).await.unwrap_err()
    };
    let mut onnx = fs::read(folder.join("cloud.onnx")).unwrap();
    onnx[9] ^= 1;
    fs::write(folder.join("cloud.onnx"), onnx).unwrap();
    assert!(matches!(refused(&folder).await, PublishError::Altered(_)));
    fs::remove_file(folder.join("cloud.onnx")).unwrap();
    assert!(matches!(refused(&folder).await, PublishError::Unreadable(..)));
    let elsewhere = root.path().join("tiny/2.0.0");
    fs::rename(&folder, &elsewhere).unwrap();
    assert!(matches!(refused(&elsewhere).await, PublishError::Elsewhere(_)));
    fs::write(elsewhere.join("manifest.json"), "{").unwrap();
    assert!(matches!(refused(&elsewhere).await, PublishError::Manifest(..)));
}

/// The tests' pair with other files and their digests in the manifest.
fn altered(change: impl FnOnce(&mut Manifest, &Path)) -> (TempDir, PathBuf) {
    let (root, folder) = pair();
    let path = folder.join("manifest.json");
    let mut manifest = Manifest::parse(&fs::read(&path).unwrap()).unwrap();
    change(&mut manifest, &folder);
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    (root, folder)
}

/// A version cannot be replaced, so publishing one that the function cannot run would spoil it for ever.
#[tokio::test]
async fn a_cloud_that_cannot_run_is_not_published() {
    let cloud = |bytes: Vec<u8>| {
        move |manifest: &mut Manifest, folder: &Path| {
            let file = manifest.files.get_mut("cloud.onnx").unwrap();
            (file.sha256, file.bytes) = (sha256_hex(&bytes), bytes.len() as u64);
            fs::write(folder.join("cloud.onnx"), bytes).unwrap();
        }
    };
    let onnx = fs::read(pair_file("cloud.onnx")).unwrap();
    // As PyTorch exports a model with its weights in a second file: 'weight' has a place there, and no bytes here.
    let external = fs::read(pair_file("external.onnx")).unwrap();
    for (what, (_root, folder)) in [
        ("external data", altered(cloud(external))),
        ("no model", altered(cloud(b"no model".to_vec()))),
        ("half a model", altered(cloud(onnx[..onnx.len() / 2].to_vec()))),
        ("other classes", altered(|manifest, _| manifest.classes.push("truck".into()))),
        ("another split", altered(|manifest, _| manifest.split.shape = [8, 4, 5])),
        ("no cloud", altered(|manifest, _| manifest.files.clear())),
    ] {
        let refused = try_out(&folder).await.unwrap_err();
        assert!(matches!(refused, PublishError::Unusable(_)), "{what}: {refused}");
    }
}

#[tokio::test]
async fn weights_in_half_precision_are_loaded_in_place_of_the_model() {
    let bucket = Bucket::empty().await;
    let store = Store::new(bucket.settings());
    let (_root, folder) = pair();
    let (half, _) = try_out(&folder).await.unwrap().in_half().unwrap();
    let mut keys = vec![];
    publish::publish(&store, half, |key, bytes| keys.push((key.to_owned(), bytes))).await.unwrap();
    let key = |name| format!("models/tiny/1.0.0/{name}");
    assert_eq!(
        keys.iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(),
        [key("cloud.onnx"), key("cloud-half.onnx"), key("manifest.json")]
    );
    // 384 weights of two bytes less each, whose length in turn takes a byte less.
    assert_eq!(keys[0].1 - keys[1].1, 384 * 2 + 1);
    let again = publish(&store, &folder, |_, _| panic!("nothing is written")).await.unwrap_err();
    assert!(matches!(again, PublishError::Published(_)), "{again}");
    let single = Bucket::empty().await;
    publish(&Store::new(single.settings()), &folder, |_, _| {}).await.unwrap();
    let (half, _) = try_out(&folder).await.unwrap().in_half().unwrap();
    let later =
        publish::publish(&Store::new(single.settings()), half, |_, _| {}).await.unwrap_err();
    assert!(matches!(later, PublishError::Single(_)), "{later}");
    let (_copied, copy) = pair();
    fs::copy(bucket.folder().join("manifest.json"), copy.join("manifest.json")).unwrap();
    let copied = try_out(&copy).await.unwrap_err();
    assert!(matches!(copied, PublishError::Stored(_)), "{copied}");

    let there = bucket.folder();
    fs::remove_file(there.join("cloud.onnx")).unwrap();
    let response = handle(&bucket.plans(), infer()).await;
    assert_eq!(response.status(), 200);
    // The weights are multiples of 1/64, which half precision has.
    assert_eq!(Scores::decode(response.body()).unwrap().scores, logits());
    let altered = Bucket::with_pair().await;
    let mut bytes = fs::read(there.join("cloud-half.onnx")).unwrap();
    bytes[500] ^= 1;
    fs::write(altered.folder().join("cloud-half.onnx"), bytes).unwrap();
    fs::copy(there.join("manifest.json"), altered.folder().join("manifest.json")).unwrap();
    assert_eq!(refusal(&altered.plans(), infer()).await, (502, "model_corrupt".into()));
}

#[tokio::test]
async fn a_weight_that_half_precision_does_not_have_stays_single() {
    let (_root, folder) = altered(|manifest, folder| {
        let onnx = fs::read(folder.join("cloud.onnx")).unwrap();
        let mut model = ModelProto::decode(&onnx[..]).unwrap();
        let weight = &mut model.graph.as_mut().unwrap().initializer[0];
        weight.raw_data[..4].copy_from_slice(&70_000_f32.to_le_bytes());
        let onnx = model.encode_to_vec();
        let file = manifest.files.get_mut("cloud.onnx").unwrap();
        (file.sha256, file.bytes) = (sha256_hex(&onnx), onnx.len() as u64);
        fs::write(folder.join("cloud.onnx"), onnx).unwrap();
    });
    let refused = try_out(&folder).await.unwrap().in_half().unwrap_err();
    assert!(refused.to_string().contains("a weight of 'weight' exceeds 65504"), "{refused}");
}

#[tokio::test]
async fn a_manifest_larger_than_the_function_reads_is_not_published() {
    let (_root, folder) = pair();
    let path = folder.join("manifest.json");
    let padded = fs::read_to_string(&path).unwrap() + &" ".repeat(1 << 20);
    fs::write(path, padded).unwrap();
    let refused = try_out(&folder).await.unwrap_err();
    assert!(matches!(refused, PublishError::TooLarge(..)), "{refused}");
}
