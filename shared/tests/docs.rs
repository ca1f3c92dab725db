//! The documentation's examples for people who write a manifest by hand.

use fogline::manifest::Manifest;

#[test]
fn the_manifest_in_the_docs_is_one() {
    let page = include_str!("../../docs/bring-your-own-model.md");
    let json = page.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    let manifest = Manifest::parse(json.as_bytes()).unwrap();
    assert_eq!(manifest.payload_bytes(), 1024);
    assert_eq!(manifest.exits[0].thresholds.len(), 3);
}
