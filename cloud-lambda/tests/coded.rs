//! Requests with coded maps: decoded before tract runs, to the same scores.

use std::fs;

use fogline::coding::Coder;
use fogline::frame::{Coded, Request as Frame, Response as Scores};
use fogline::manifest::{File, Manifest, SPLIT_CODER, sha256_hex};

use crate::bucket::Bucket;
use crate::request::{golden, handle, infer, post, refused};

/// A coder of 8x4x4 signs: each is predicted from the one on its left, and from the one before in the channel before.
fn coder() -> Vec<u8> {
    let mut bytes = b"FOGC\x01\x01\x01\x05\x08\0\x04\0\x04\0\x07\0\0\0".to_vec();
    bytes.extend((0..8_u16).flat_map(u16::to_le_bytes));
    bytes.extend([0; 32]);
    bytes.extend([0, 0, 0, 25].repeat(8));
    bytes.extend((0..8_u16).flat_map(|rank| rank.min(1).to_le_bytes()));
    // Place 4 of each channel before is the value's own.
    bytes.extend((0..7).map(|rank| 9 * rank + 4));
    bytes.extend([0; 7]);
    bytes.extend([12; 7]);
    bytes
}

/// Gives the bucket's pair this file as its coder. Returns the digest.
fn give(bucket: &Bucket, file: &[u8]) -> [u8; 32] {
    let path = bucket.folder().join("manifest.json");
    let mut manifest = Manifest::parse(&fs::read(&path).unwrap()).unwrap();
    let entry = File { sha256: sha256_hex(file), bytes: file.len() as u64 };
    manifest.files.insert(SPLIT_CODER.into(), entry);
    fs::write(path, serde_json::to_vec(&manifest).unwrap()).unwrap();
    fs::write(bucket.folder().join(SPLIT_CODER), file).unwrap();
    manifest.pair_digest()
}

/// The golden frame for a pair with this digest.
fn frame(pair: [u8; 32]) -> Frame {
    Frame { pair, ..Frame::decode(&golden()).unwrap() }
}

#[tokio::test]
async fn coded_and_packed_maps_get_the_same_scores_from_one_pair() {
    let bucket = Bucket::with_pair().await;
    let plain = Scores::decode(handle(&bucket.plans(), infer()).await.body()).unwrap();
    let frame = frame(give(&bucket, &coder()));
    let coded = Coded::of(&frame, &Coder::read(&coder()).unwrap());
    let plans = bucket.plans();
    for body in [coded.encode().unwrap(), frame.encode().unwrap()] {
        let answer = handle(&plans, post(body, &[])).await;
        assert_eq!(answer.status(), 200, "{:?}", answer.body());
        assert_eq!(Scores::decode(answer.body()).unwrap(), plain);
    }
}

#[tokio::test]
async fn what_is_not_exactly_a_map_is_refused_by_its_sample() {
    let bucket = Bucket::with_pair().await;
    let frame = frame(give(&bucket, &coder()));
    let mut coded = Coded::of(&frame, &Coder::read(&coder()).unwrap());
    coded.maps[1].extend([7; 30]);
    let answer = handle(&bucket.plans(), post(coded.encode().unwrap(), &[])).await;
    assert_eq!(refused(&answer), (400, "malformed".into()));
    assert!(String::from_utf8_lossy(answer.body()).contains("sample 1: its bytes"));
}

#[tokio::test]
async fn a_pair_without_a_coder_takes_packed_maps_alone() {
    let bucket = Bucket::with_pair().await;
    let frame = Frame::decode(&golden()).unwrap();
    let coded = Coded::of(&frame, &Coder::read(&coder()).unwrap());
    let answer = handle(&bucket.plans(), post(coded.encode().unwrap(), &[])).await;
    assert_eq!(refused(&answer), (400, "malformed".into()));
    assert!(String::from_utf8_lossy(answer.body()).contains("tiny/1.0.0 has no split.coder"));
    // No pair's digest starts so.
    let unknown = Coded { pair: [0xff; 8], ..coded };
    let answer = handle(&bucket.plans(), post(unknown.encode().unwrap(), &[])).await;
    assert_eq!(refused(&answer), (404, "unknown_pair".into()));
}

#[tokio::test]
async fn a_stored_coder_that_is_altered_or_none_is_a_fault_of_the_store() {
    let bucket = Bucket::with_pair().await;
    let pair = give(&bucket, &coder());
    let mut other = coder();
    *other.last_mut().unwrap() = 13;
    fs::write(bucket.folder().join(SPLIT_CODER), other).unwrap();
    let answer = handle(&bucket.plans(), post(frame(pair).encode().unwrap(), &[])).await;
    assert_eq!(refused(&answer), (502, "model_corrupt".into()));
    for file in [&b"no coder"[..], &[b"FOGC\x01\x04", &coder()[6..]].concat()] {
        let pair = give(&bucket, file);
        let answer = handle(&bucket.plans(), post(frame(pair).encode().unwrap(), &[])).await;
        assert_eq!(refused(&answer), (500, "internal".into()));
    }
}
