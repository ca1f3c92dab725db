//! The packed engine against golden files that the `qonnx` package made by executing the graph.
//!
//! Native, Node and wasmtime run this file.

use fogline::packed;
use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::Backend;
use fogline_edge::model::Model;
use serde::Deserialize;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[derive(Deserialize)]
struct Golden {
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    rgb: String,
    way: Option<u8>,
    exits: Vec<Vec<f32>>,
    split: String,
}

/// Logits differ from the graph's only by rounding: batch-norms are folded, and sums run in another order.
const TOLERANCE: f32 = 1e-3;

fn check(fog: &[u8], golden: &str) {
    let golden: Golden = serde_json::from_str(golden).unwrap();
    assert!(!golden.samples.is_empty());
    for backend in Backend::all() {
        let mut engine = Engine::new(Model::parse(fog).unwrap(), backend);
        for (number, sample) in golden.samples.iter().enumerate() {
            engine.start(&hex::decode(&sample.rgb).unwrap());
            // Only the last way reaches an extension.
            let last = engine.model().program.ways() - 1;
            engine.take(sample.way.unwrap_or(last));
            for (exit, expected) in sample.exits.iter().enumerate() {
                let Stop::Exit { index, logits } = engine.go_on() else { panic!("no exit {exit}") };
                assert_eq!((index, logits.len()), (exit, expected.len()));
                for (got, expected) in logits.iter().zip(expected) {
                    let close = (got - expected).abs() <= TOLERANCE * expected.abs().max(1.0);
                    assert!(
                        close,
                        "{backend:?}, sample {number}, exit {exit}: {got} for {expected}"
                    );
                }
            }
            let Stop::Split(map) = engine.go_on() else { panic!("no split") };
            assert_eq!(
                hex::encode(map),
                sample.split,
                "{backend:?}, sample {number}: the split map"
            );
        }
    }
}

#[test]
fn a_small_net_says_what_its_qonnx_graph_says() {
    check(include_bytes!("tiny/edge.fog"), include_str!("tiny/golden.json"));
}

#[test]
fn a_small_net_of_four_bits_says_what_its_qonnx_graph_says() {
    check(include_bytes!("tiny4/edge.fog"), include_str!("tiny4/golden.json"));
}

#[test]
fn a_small_net_whose_exits_judge_themselves_and_whose_weights_are_shared_says_what_its_graph_says()
{
    check(include_bytes!("tiny-appeal/edge.fog"), include_str!("tiny-appeal/golden.json"));
}

#[test]
fn a_small_net_says_on_every_way_what_its_graph_says() {
    check(include_bytes!("tiny-ways/edge.fog"), include_str!("tiny-ways/golden.json"));
}

#[test]
fn a_small_net_with_an_extension_says_what_its_graph_says() {
    check(include_bytes!("tiny-extension/edge.fog"), include_str!("tiny-extension/golden.json"));
}

/// Networks as others write them, exported by torch: `python -m tests.zoo` made and packed them. Depthwise convolutions, groups,
/// bytes and padded pools, a blur pool, levels of several scales side by side, and grey pictures of which only signs are
/// read, with a split that exits read.
#[test]
fn other_people_s_networks_say_what_their_graphs_say() {
    macro_rules! zoo {
        ($($name:literal),*) => {
            $(check(
                include_bytes!(concat!("zoo/", $name, ".fog")),
                include_str!(concat!("zoo/", $name, ".json")),
            );)*
        };
    }
    zoo!(
        "mobilenet-v1-w4",
        "resnext-w4",
        "resnet-w8a8-imagenet",
        "quicknet",
        "densenet-w4-levels",
        "mlp-w1a1",
        "tfc-1w1a"
    );
}

#[test]
fn cifar10_w1_says_what_its_qonnx_graph_says() {
    check(
        include_bytes!("../../onnx-models/cifar10-w1/3.2.0/edge.fog"),
        include_str!("../../onnx-models/cifar10-w1/3.2.0/golden.json"),
    );
}

/// Its stem quantises twice: the recipe chose pictures on which no real number is on a border.
#[test]
fn clothing_w1_says_what_its_qonnx_graph_says() {
    check(
        include_bytes!("../../onnx-models/clothing-w1/1.1.0/edge.fog"),
        include_str!("../../onnx-models/clothing-w1/1.1.0/golden.json"),
    );
}

/// A large net of levels. If a real number is exactly on the border between two levels, rounding decides which one it becomes,
/// and in later layers a few others shift by one. The smaller nets above have no such number. All backends decide
/// alike.
#[test]
fn tin100_w4_says_what_its_qonnx_graph_says_but_for_rounding() {
    const LOGIT: f32 = 0.1;
    const MOST_MOVED: usize = 20; // one in so many of the map's levels
    let golden = include_str!("../../onnx-models/tin100-w4/2.2.0/golden.json");
    let golden: Golden = serde_json::from_str(golden).unwrap();
    let fog = include_bytes!("../../onnx-models/tin100-w4/2.2.0/edge.fog");
    let mut first = vec![];
    for backend in Backend::all() {
        let mut engine = Engine::new(Model::parse(fog).unwrap(), backend);
        let mut stops = vec![];
        for sample in &golden.samples {
            engine.start(&hex::decode(&sample.rgb).unwrap());
            for expected in &sample.exits {
                let Stop::Exit { logits, .. } = engine.go_on() else { panic!("no exit") };
                let far = logits.iter().zip(expected).find(|(got, is)| (*got - *is).abs() > LOGIT);
                assert_eq!(far, None, "{backend:?}");
                stops.push(Stop::Exit { index: 0, logits });
            }
            let Stop::Split(map) = engine.go_on() else { panic!("no split") };
            let expected = hex::decode(&sample.split).unwrap();
            let [got, is] = [&map, &expected].map(|map| nibbles(map));
            assert_eq!(got.len(), is.len());
            let apart: Vec<f32> = got.iter().zip(&is).map(|(got, is)| (got - is).abs()).collect();
            assert!(apart.iter().all(|levels| *levels <= 1.0), "{backend:?}");
            assert!(apart.iter().filter(|levels| **levels == 1.0).count() < got.len() / MOST_MOVED);
            stops.push(Stop::Split(map));
        }
        if first.is_empty() {
            first = stops;
        } else {
            assert!(stops == first, "{backend:?} differs from the reference");
        }
    }
}

/// The 4-bit levels of a packed map.
fn nibbles(map: &[u8]) -> Vec<f32> {
    packed::unpack(map, [1, 1, map.len() as u32 * 2], 4, true).unwrap()
}
