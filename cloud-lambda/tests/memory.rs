//! What the function keeps in memory, and how much memory hostile bytes can make it use.

use std::sync::Arc;

use allocation_counter::measure;
use fogline::frame::{MAX_FRAME, Request as Frame};
use fogline_cloud::function::body;
use fogline_cloud::plans::{Options, Plans};
use fogline_cloud::store::Store;

use crate::bucket::Bucket;
use crate::request::{golden, handle, infer, post};

#[tokio::test]
async fn the_plan_that_was_used_longest_ago_makes_room() {
    let bucket = Bucket::with_pair().await;
    let digests = [Frame::decode(&golden()).unwrap().pair, bucket.put_other("1.1.0")];
    // The tests' model takes 7 KB with its plans: there is room for one.
    let options = Options { memory: 11 * 1024, ..Options::default() };
    let plans = Plans::new(Store::new(bucket.settings()), options);
    for (turn, digest) in digests.iter().chain(&digests).enumerate() {
        let plan = plans.get(digest).await.unwrap();
        assert_eq!(plan.digest(), digest);
        assert_eq!(bucket.fetched(), turn + 1);
        plans.settle().await;
        assert_eq!(plans.loaded().len(), 1);
    }
    // With room for both, both stay.
    let plans = bucket.plans();
    for digest in digests.iter().chain(&digests) {
        plans.get(digest).await.unwrap();
    }
    assert_eq!((plans.loaded().len(), bucket.fetched()), (2, 6));
}

#[tokio::test]
async fn two_hundred_first_calls_load_once() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    let calls = (0..200).map(|_| {
        let plans = Arc::clone(&plans);
        tokio::spawn(async move { handle(&plans, infer()).await.status() })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    assert_eq!(bucket.fetched(), 1);
}

/// The golden frame, truncated at every length and with every single bit flipped.
fn mutants() -> impl Iterator<Item = Vec<u8>> {
    let good = golden();
    let cuts: Vec<_> = (0..good.len()).map(|end| good[..end].to_vec()).collect();
    let flips = (0..good.len() * 8).map(move |bit| {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        bytes
    });
    cuts.into_iter().chain(flips)
}

#[tokio::test]
async fn every_cut_and_every_flipped_bit_is_answered() {
    let bucket = Bucket::with_pair().await;
    let plans = bucket.plans();
    for frame in mutants() {
        let response = handle(&plans, post(frame.clone(), &[])).await;
        let status = response.status().as_u16();
        // A flip in the maps or in the request id is another valid request.
        assert!([200, 400, 404, 409, 413].contains(&status), "{status} for {frame:?}");
        assert_eq!(
            status == 200,
            Frame::decode(&frame).is_ok_and(|frame| {
                frame.pair == Frame::decode(&golden()).unwrap().pair
                    && frame.tensors.iter().all(|map| map.shape == [8, 4, 4])
            })
        );
    }
}

#[test]
fn no_bytes_make_it_allocate_more_than_a_few_frames() {
    for frame in mutants() {
        let request = post(frame, &[]);
        let taken = measure(|| drop(body::frame(&request)));
        assert!(taken.bytes_max <= 2 * MAX_FRAME as u64, "{} bytes", taken.bytes_max);
    }
}
