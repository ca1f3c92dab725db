//! The fields of a manifest, and what is refused of each.

use super::*;

fn manifest() -> serde_json::Value {
    serde_json::json!({
        "format": 1, "name": "tiny", "version": "1.0.0", "classes": ["a", "b"],
        "input": {"size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        "exits": [
            {"name": "exit-1", "after_block": 1, "thresholds": {"entropy": 0.5}},
            {"name": "exit-2", "after_block": 2, "thresholds": {"entropy": 0.5}}
        ],
        "policy": "entropy", "split": {"shape": [8, 4, 4], "bits": 1},
        "files": {"edge.fog": {"sha256": "00".repeat(32), "bytes": 3}}
    })
}

fn parse(value: &serde_json::Value) -> Result<Manifest, ManifestError> {
    Manifest::parse(value.to_string().as_bytes())
}

#[test]
fn the_digest_depends_on_files_alone() {
    let mut value = manifest();
    let digest = parse(&value).unwrap().pair_digest();
    value["classes"][0] = "other".into();
    assert_eq!(parse(&value).unwrap().pair_digest(), digest);
    value["files"]["edge.fog"]["sha256"] = "01".repeat(32).into();
    assert_ne!(parse(&value).unwrap().pair_digest(), digest);
}

#[test]
fn versions_are_ordered_as_people_read_them() {
    let mut versions = ["1.10.0", "1.9.0", "2", "1.9", "1.9.0-rc", "0.1"];
    versions.sort_by(|a, b| compare_versions(a, b));
    assert_eq!(versions, ["0.1", "1.9", "1.9.0-rc", "1.9.0", "1.10.0", "2"]);
}

#[test]
fn what_cannot_be_worked_with_is_refused_by_field() {
    for (path, bad, field) in [
        ("/name", serde_json::json!("../up"), "name"),
        ("/classes", serde_json::json!(["one"]), "classes"),
        ("/classes", serde_json::json!(["a", "b", "a"]), "classes"),
        ("/classes", serde_json::json!(["a", "b", " "]), "classes"),
        ("/input/size", serde_json::json!(100_000), "input.size"),
        ("/input/mean/2", serde_json::json!(128), "input.mean"),
        ("/input/std/1", serde_json::json!(0.0), "input.std"),
        ("/exits", serde_json::json!([]), "exits"),
        ("/policy", serde_json::json!("margin"), "exits.thresholds"),
        ("/exits/1/thresholds/appeal", serde_json::json!(0.5), "exits.thresholds"),
        ("/exits/1/name", serde_json::json!("exit-1"), "exits.name"),
        ("/exits/0/extends", serde_json::json!(["a"]), "exits.extends"),
        ("/exits/1/extends", serde_json::json!(["c"]), "exits.extends"),
        ("/exits/0/ways", serde_json::json!([{"from": 0.5, "way": 1}]), "exits.ways"),
        (
            "/exits/0/ways",
            serde_json::json!([{"from": 0, "way": 1}, {"from": 0, "way": 2}]),
            "exits.ways",
        ),
        ("/split/scale", serde_json::json!(0), "split.scale"),
        ("/curves/entropy/0/shares", serde_json::json!([0.5]), "curves"),
        ("/files/edge.fog/sha256", serde_json::json!("zz"), "files"),
        ("/split/shape", serde_json::json!([8192, 4096, 16]), "split.shape"),
    ] {
        let mut value = manifest();
        value["split"]["scale"] = 1.0.into();
        value["curves"] = serde_json::json!({
            "entropy": [{"thresholds": [0.1, 0.2], "shares": [0.3, 0.4], "accuracy": 0.9}]
        });
        let (above, last) = path.rsplit_once('/').unwrap();
        match value.pointer_mut(path) {
            Some(there) => *there = bad,
            None => value.pointer_mut(above).unwrap()[last] = bad,
        }
        let error = parse(&value).unwrap_err();
        assert!(error.to_string().contains(&format!("'{field}'")), "{path}: {error}");
    }
    let mut value = manifest();
    for format in [0, FORMAT + 1] {
        value["format"] = format.into();
        assert_eq!(parse(&value), Err(ManifestError::Format(format)));
    }
    value = manifest();
    value["split"]["signed"] = false.into();
    assert!(parse(&value).unwrap_err().to_string().contains("'split.signed': needs format 2"));
    value["format"] = 2.into();
    let error = parse(&value).unwrap_err().to_string();
    assert!(error.contains("'split.signed': levels of 1 bit are signs"), "{error}");
    value["split"]["bits"] = 4.into();
    assert!(!parse(&value).unwrap().split.signed);
    value = manifest();
    let file = value["files"]["edge.fog"].clone();
    value["files"]["a x\nb"] = file;
    assert!(parse(&value).unwrap_err().to_string().contains("'files'"));
    value = manifest();
    value["split"]["bits"] = 3.into();
    assert_eq!(parse(&value), Err(ManifestError::Split(PackedError::Width(3))));
}
