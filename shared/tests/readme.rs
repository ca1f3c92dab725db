//! What the README tells those who write a manifest by hand.

use fogline::manifest::Manifest;

#[test]
fn the_manifest_in_the_readme_is_one() {
    let readme = include_str!("../../README.md");
    let json = readme.split_once("```json\n").unwrap().1.split_once("```").unwrap().0;
    let manifest = Manifest::parse(json.as_bytes()).unwrap();
    assert_eq!(manifest.payload_bytes(), 1024);
    assert_eq!(manifest.exits[0].thresholds.len(), 3);
}
