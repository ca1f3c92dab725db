//! A computed picture at each size that a pair may have, to the levels that Pillow gives: see `pictures/photographs.py`.
//!
//! Native, Node and wasmtime run this file.

use fogline::manifest::sha256_hex;
use fogline_edge::device::picture::from_rgba;
use serde_json::Value;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

#[test]
fn every_machine_scales_to_the_same_levels() {
    let told: Value = serde_json::from_str(include_str!("pictures/photographs.json")).unwrap();
    let told = &told["computed"];
    let side = |name| told[name].as_u64().unwrap() as u32;
    let (width, height) = (side("width"), side("height"));
    let rgb: Vec<u8> =
        (0..u64::from(width * height * 3)).map(|at| ((at * at * 31) >> 7) as u8).collect();
    let rgba: Vec<u8> = rgb.chunks(3).flat_map(|rgb| [rgb[0], rgb[1], rgb[2], 255]).collect();
    let scaled = told["scaled"].as_object().unwrap();
    assert!(scaled.len() > 3);
    for (size, digest) in scaled {
        let rgb = from_rgba(&rgba, width, height, size.parse().unwrap()).unwrap();
        assert_eq!(sha256_hex(&rgb), *digest, "at {size}");
    }
}
