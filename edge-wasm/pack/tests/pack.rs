//! The packer on the small pair: the same bytes as ever, and refusals that name the node.

use fogline::manifest::{Input, Manifest};
use fogline_pack::{PackError, pack};
use proptest::prelude::*;

const QONNX: &[u8] = include_bytes!("../../tests/tiny/edge.qonnx");
const FOG: &[u8] = include_bytes!("../../tests/tiny/edge.fog");

fn input() -> Input {
    Manifest::parse(include_bytes!("../../tests/tiny/manifest.json")).unwrap().input
}

/// Replaces the operator of the first `from` node by `to`. Both have the same length, so that the protobuf around them stays
/// valid.
fn rename(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    // Field 4 of a node, its operator, in protobuf's encoding.
    let field = [&[0x22, from.len() as u8], from.as_bytes()].concat();
    let at = bytes.windows(field.len()).position(|w| w == field).expect("there is such a node");
    [&bytes[..at + 2], to.as_bytes(), &bytes[at + field.len()..]].concat()
}

#[test]
fn packing_is_reproducible() {
    assert!(
        pack(QONNX, &input(), 1, None).unwrap().bytes == FOG,
        "edge.fog differs: run `cargo xtask pack` on the tiny pair"
    );
}

#[test]
fn the_manifest_counts_what_the_network_does() {
    let manifest = Manifest::parse(include_bytes!("../../tests/tiny/manifest.json")).unwrap();
    let parts = pack(QONNX, &manifest.input, 1, None).unwrap().parts;
    assert_eq!(parts[..], manifest.parts[..parts.len()]);
    // Stem: 16*16 pixels, 8 channels out, 3x3x3 in; the first block's shortcut, 8 to 16 channels.
    assert_eq!(parts[0].macs[&8], 16 * 16 * 8 * 27 + 16 * 16 * 16 * 8);
    // The first block, 8 to 16 channels; the second, after the pool, 16 to 16.
    assert_eq!(parts[0].macs[&1], 16 * 16 * 16 * 72 + 8 * 8 * 16 * 144);
    // Weights and input maps of both.
    assert_eq!(parts[0].reads[&1], 16 * 72 + 16 * 16 * 8 + 16 * 144 + 8 * 8 * 16);
    // Exit 1: a 2x2 grid of 16 channels to 5 classes.
    assert_eq!(parts[1].macs[&32], 2 * 2 * 16 * 5);
}

#[test]
fn an_unknown_node_is_refused_by_name() {
    let error = pack(&rename(QONNX, "PRelu", "PRxlu"), &input(), 1, None).err().unwrap();
    assert_eq!(error.word(), "unsupported_node");
    let PackError::Node { node, op_type, .. } = &error else { panic!("{error}") };
    assert_eq!(op_type, "PRxlu");
    assert!(!node.is_empty() && error.to_string().contains(node.as_str()), "{error}");
}

/// Sets the first number of the tensor `name`.
fn set_first(bytes: &[u8], name: &str, value: f32) -> Vec<u8> {
    // Fields 8 and 9 of a tensor, its name and its numbers; their length takes one byte here.
    let field = [&[0x42, name.len() as u8], name.as_bytes(), &[0x4a]].concat();
    let at = bytes.windows(field.len()).position(|w| w == field).expect("there is such a tensor");
    let mut bytes = bytes.to_vec();
    bytes[at + field.len() + 1..][..4].copy_from_slice(&value.to_le_bytes());
    bytes
}

#[test]
fn numbers_that_are_none_are_refused_by_name() {
    let refused = |bytes: &[u8]| pack(bytes, &input(), 1, None).err().unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        let error = refused(&set_first(QONNX, "norm.bias", bad));
        assert_eq!(error.word(), "unsupported_tensor");
        assert!(error.to_string().starts_with("tensor 'norm.bias': "), "{error}");
    }
    // Each number is finite, but their product is not.
    let large = set_first(QONNX, "norm.weight", f32::MAX);
    let error = refused(&set_first(&large, "norm.running_mean", f32::MAX));
    assert_eq!(error.word(), "unsupported_node");
    let node = "node '/norm/BatchNormalization' (BatchNormalization): channel 0 becomes x *";
    assert!(error.to_string().starts_with(node), "{error}");
}

#[test]
fn what_is_no_edge_model_is_refused() {
    assert_eq!(pack(b"not protobuf", &input(), 1, None).err().unwrap().word(), "not_onnx");
    let other = Input { size: 64, ..input() };
    let error = pack(QONNX, &other, 1, None).err().unwrap();
    assert_eq!(error.word(), "unsupported_graph");
    assert!(error.to_string().contains("[1, 3, 64, 64]"), "{error}");
}

#[test]
fn weights_that_are_not_shared_are_not_stored_so() {
    let error = pack(QONNX, &input(), 2, None).err().unwrap();
    assert_eq!(error.word(), "unsupported_graph");
    assert!(error.to_string().contains("train with --share 2"), "{error}");
    let shared = include_bytes!("../../tests/tiny-appeal/edge.qonnx");
    let [once, each] = [2, 1].map(|share| pack(shared, &input(), share, None).unwrap().bytes.len());
    assert!(once < each, "{once} bytes and {each}");
}

proptest! {
    #[test]
    fn any_bytes_pack_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = pack(&bytes, &input(), 1, None);
    }
}
