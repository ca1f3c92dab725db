//! `cargo xtask pack` with the trial of the cloud part, and with a new manifest.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../edge-wasm/tests/tiny");
const EXTERNAL: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../cloud-lambda/tests/pair/external.onnx");

/// A folder `mine/1.0.0` with the tiny pair's networks.
fn pair() -> (TempDir, PathBuf) {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mine/1.0.0");
    fs::create_dir_all(&folder).unwrap();
    for name in ["edge.qonnx", "cloud.onnx"] {
        fs::copy(Path::new(TINY).join(name), folder.join(name)).unwrap();
    }
    (root, folder)
}

/// Packs the pair, in its folder.
fn pack(folder: &Path, options: &[&str]) -> Output {
    let mut xtask = Command::new(env!("CARGO_BIN_EXE_xtask"));
    xtask.current_dir(folder).args(["pack", "edge.qonnx"]).args(options).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn manifest(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_new_manifest_is_that_of_the_recipe_but_for_what_no_graph_holds() {
    let (_root, folder) = pair();
    let mine = ["--new", "--mean", "0.5,0.5,0.5", "--std", "0.5,0.5,0.5"];
    let packed = pack(&folder, &mine);
    assert!(packed.status.success(), "{}", said(&packed));
    for assumed in ["--classes FILE", "thresholds"] {
        assert!(said(&packed).contains(assumed), "{}", said(&packed));
    }
    assert!(!said(&packed).contains("--mean"), "{}", said(&packed));
    let (new, recipe) = (manifest(&folder), manifest(Path::new(TINY)));
    for same in ["parts", "split"] {
        assert_eq!(new[same], recipe[same], "{same}");
    }
    let again = pack(&folder, &["--new"]);
    assert!(!again.status.success() && said(&again).contains("exists"), "{}", said(&again));
    assert_eq!(manifest(&folder), new);
    assert!(pack(&folder, &[]).status.success());
    assert_eq!(manifest(&folder), new);
}

#[test]
fn what_is_normal_stays_when_a_pair_is_packed_again() {
    let (_root, folder) = pair();
    assert!(pack(&folder, &["--new"]).status.success());
    let plain = manifest(&folder);
    assert!(plain.get("normal").is_none(), "{plain}");
    let mut with = plain.clone();
    with["normal"] = json!({"window": 200, "exits": [{"edges": [0.985_199], "counts": [3, 4]}]});
    fs::write(folder.join("manifest.json"), with.to_string()).unwrap();
    assert!(pack(&folder, &["--edge-only"]).status.success());
    assert_eq!(manifest(&folder), with);
}

/// Regression test for `external-data-published`: pack used to accept a cloud part that the function could not load.
#[test]
fn a_cloud_whose_weights_are_in_another_file_is_not_packed() {
    let (_root, folder) = pair();
    fs::copy(EXTERNAL, folder.join("cloud.onnx")).unwrap();
    let packed = pack(&folder, &["--new"]);
    assert!(!packed.status.success());
    assert!(said(&packed).contains("external_data=False"), "{}", said(&packed));
    assert!(!folder.join("edge.fog").exists() && !folder.join("manifest.json").exists());
}

#[test]
fn a_cloud_of_other_classes_is_warned_of() {
    let (_root, folder) = pair();
    fs::copy(EXTERNAL.replace("external", "cloud"), folder.join("cloud.onnx")).unwrap();
    let packed = pack(&folder, &["--new"]);
    assert!(!packed.status.success(), "its MACs are not known");
    assert!(!folder.join("manifest.json.partial").exists());
    let mut given = manifest(Path::new(TINY));
    given["files"] = json!({});
    fs::write(folder.join("manifest.json"), given.to_string()).unwrap();
    let packed = pack(&folder, &[]);
    assert!(packed.status.success(), "{}", said(&packed));
    assert!(said(&packed).contains("`publish` refuses this pair"), "{}", said(&packed));
    let quietly = pack(&folder, &["--edge-only"]);
    assert!(quietly.status.success() && said(&quietly).is_empty(), "{}", said(&quietly));
}
