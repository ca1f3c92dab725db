use fogline::refusal::MODEL_CORRUPT;
use serde_json::Value;
use tempfile::{TempDir, tempdir};

use super::*;

const ONE: (&[u8], &[u8]) = (
    include_bytes!("../../../tests/tiny/manifest.json"),
    include_bytes!("../../../tests/tiny/edge.fog"),
);
const FOUR: (&[u8], &[u8]) = (
    include_bytes!("../../../tests/tiny4/manifest.json"),
    include_bytes!("../../../tests/tiny4/edge.fog"),
);

/// The files of a pair, with another version in the manifest.
fn version((manifest, fog): (&[u8], &'static [u8]), version: &str) -> (Vec<u8>, &'static [u8]) {
    let mut manifest: Value = serde_json::from_slice(manifest).unwrap();
    manifest["name"] = "tiny".into();
    manifest["version"] = version.into();
    (manifest.to_string().into_bytes(), fog)
}

/// A folder as if copied by hand, with version 1.0.0.
fn copied() -> (TempDir, Folder) {
    let directory = tempdir().unwrap();
    let (manifest, fog) = version(ONE, "1.0.0");
    fs::write(directory.path().join(MANIFEST), manifest).unwrap();
    fs::write(directory.path().join(EDGE_FOG), fog).unwrap();
    fs::write(directory.path().join("notes.txt"), "mine").unwrap();
    let folder = Folder::at(directory.path());
    (directory, folder)
}

fn put(folder: &Folder, pair: &(Vec<u8>, &[u8])) -> Result<Change, FolderError> {
    folder.put(&pair.0, pair.1, Backend::fastest())
}

/// The version that loads.
fn loaded(folder: &Folder) -> String {
    folder.load(Backend::fastest()).unwrap().manifest().version.clone()
}

fn files(directory: &TempDir) -> Vec<String> {
    let files = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn word<T>(result: Result<T, FolderError>) -> &'static str {
    result.err().expect("an error").word()
}

#[test]
fn a_newer_pair_takes_the_place_and_the_old_one_comes_back_once() {
    let (directory, folder) = copied();
    let newer = version(FOUR, "1.10.0");
    let wanted = folder.wants(&newer.0, false, Backend::fastest()).unwrap().unwrap();
    assert_eq!(wanted.bytes, newer.1.len() as u64);
    let change = put(&folder, &newer).unwrap();
    assert_eq!((&*change.before.unwrap().version, &*change.now.version), ("1.0.0", "1.10.0"));
    let session = folder.load(Backend::fastest()).unwrap();
    assert_eq!((&*session.manifest().version, session.manifest().split.bits), ("1.10.0", 4));
    assert_eq!(folder.wants(&newer.0, false, Backend::fastest()).unwrap(), None);
    let change = folder.roll_back(Backend::fastest()).unwrap();
    assert_eq!((&*change.before.unwrap().version, &*change.now.version), ("1.10.0", "1.0.0"));
    assert_eq!(folder.load(Backend::fastest()).unwrap().manifest().split.bits, 1);
    assert_eq!(word(folder.roll_back(Backend::fastest())), "no_previous");
    assert_eq!(loaded(&folder), "1.0.0");
    // The folder is as it was before.
    assert_eq!(files(&directory), ["edge.fog", "manifest.json", "notes.txt"]);
}

#[test]
fn only_the_pair_and_the_one_before_are_kept() {
    let (directory, folder) = copied();
    for (files, number) in [(FOUR, "1.1.0"), (ONE, "1.2.0"), (FOUR, "1.3.0"), (FOUR, "1.4.0")] {
        put(&folder, &version(files, number)).unwrap();
        assert_eq!(loaded(&folder), number);
    }
    let fog = fog_name(&Manifest::parse(FOUR.0).unwrap()).unwrap();
    // Only the manifests of the latest two differ.
    let kept = [&*fog, "edge.fog", "manifest.json", "notes.txt", "previous.json"];
    assert_eq!(files(&directory), kept);
    folder.roll_back(Backend::fastest()).unwrap();
    assert_eq!(loaded(&folder), "1.3.0");
}

#[test]
fn a_folder_is_made_where_there_is_none() {
    let directory = tempdir().unwrap();
    let folder = Folder::at(&directory.path().join("a/b"));
    let pair = version(ONE, "1.0.0");
    assert!(folder.wants(&pair.0, false, Backend::fastest()).unwrap().is_some());
    assert_eq!(put(&folder, &pair).unwrap().before, None);
    assert_eq!(loaded(&folder), "1.0.0");
    assert_eq!(word(folder.roll_back(Backend::fastest())), "no_previous");
}

#[test]
fn what_should_not_take_the_place_is_refused() {
    let (directory, folder) = copied();
    let before = files(&directory);
    let wants = |manifest: &[u8], older| folder.wants(manifest, older, Backend::fastest());
    let older = version(FOUR, "0.9.0").0;
    assert_eq!(word(wants(&older, false)), "older_version");
    assert!(wants(&older, true).unwrap().is_some());
    assert_eq!(word(wants(FOUR.0, true)), "other_pair");
    assert_eq!(word(wants(b"<html>", false)), "manifest_invalid");
    let changed = |pointer: &str, value: Value| {
        let mut manifest: Value = serde_json::from_slice(&version(FOUR, "2.0.0").0).unwrap();
        *manifest.pointer_mut(pointer).unwrap() = value;
        manifest.to_string().into_bytes()
    };
    assert_eq!(word(wants(&changed("/format", 3.into()), false)), "manifest_format");
    let large = changed("/files/edge.fog/bytes", (MOST_FOG + 1).into());
    assert_eq!(word(wants(&large, false)), "file_too_large");
    assert_eq!(word(wants(&changed("/files", serde_json::json!({})), false)), "model_mismatch");
    // The size and digest match, but the model is not the manifest's.
    let wrong = changed("/split/bits", 1.into());
    assert_eq!(word(folder.put(&wrong, FOUR.1, Backend::fastest())), "model_mismatch");
    let newer = version(FOUR, "2.0.0").0;
    assert_eq!(word(folder.put(&newer, &FOUR.1[1..], Backend::fastest())), MODEL_CORRUPT);
    assert_eq!((files(&directory), loaded(&folder)), (before, "1.0.0".to_owned()));
}

#[test]
fn a_damaged_pair_is_mended_and_not_kept() {
    let (directory, folder) = copied();
    let (newer, newest) = (version(FOUR, "1.1.0"), version(ONE, "1.2.0"));
    put(&folder, &newer).unwrap();
    let fog = directory.path().join(fog_name(&Manifest::parse(FOUR.0).unwrap()).unwrap());
    fs::write(&fog, "half").unwrap();
    assert_eq!(word(folder.load(Backend::fastest())), MODEL_CORRUPT);
    // Putting the same pair again keeps the previous pair.
    assert!(folder.wants(&newer.0, false, Backend::fastest()).unwrap().is_some());
    put(&folder, &newer).unwrap();
    assert_eq!(loaded(&folder), "1.1.0");
    fs::write(&fog, "half").unwrap();
    put(&folder, &newest).unwrap();
    assert_eq!(loaded(&folder), "1.2.0");
    folder.roll_back(Backend::fastest()).unwrap();
    assert_eq!(loaded(&folder), "1.0.0");
    // An invalid manifest has no version.
    fs::write(directory.path().join(MANIFEST), "half").unwrap();
    assert!(folder.wants(&newer.0, false, Backend::fastest()).unwrap().is_some());
    assert_eq!(put(&folder, &newer).unwrap().before, None);
    assert_eq!(loaded(&folder), "1.1.0");
}

#[test]
fn a_previous_pair_that_does_not_load_is_not_put_back() {
    let (directory, folder) = copied();
    put(&folder, &version(FOUR, "1.1.0")).unwrap();
    fs::write(directory.path().join(EDGE_FOG), "half").unwrap();
    assert_eq!(word(folder.roll_back(Backend::fastest())), MODEL_CORRUPT);
    fs::remove_file(directory.path().join(EDGE_FOG)).unwrap();
    assert_eq!(word(folder.roll_back(Backend::fastest())), "file_unreadable");
    assert_eq!(loaded(&folder), "1.1.0");
}

/// Applies the first `done` edits, and half of the next one if it writes.
fn killed(steps: &[Edit], done: usize) {
    for step in &steps[..done] {
        step.run().unwrap();
    }
    if let Some(Edit::Write(path, bytes)) = steps.get(done) {
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    }
}

/// The number of edits after which the new pair loads.
fn switch(steps: &[Edit]) -> usize {
    let is_switch = |step: &Edit| matches!(step, Edit::Rename(_, to) if to.ends_with(MANIFEST));
    steps.iter().position(is_switch).unwrap()
}

#[test]
fn a_pair_is_loaded_wherever_a_change_was_killed_and_the_change_can_be_made_again() {
    let (second, third) = (version(FOUR, "1.1.0"), version(ONE, "1.2.0"));
    let manifest = Manifest::parse(&third.0).unwrap();
    let mut done = 0;
    loop {
        let (directory, folder) = copied();
        put(&folder, &second).unwrap();
        let steps = folder.steps_to_put(&third.0, third.1, &manifest, Backend::fastest()).unwrap();
        killed(&steps, done);
        let switched = done > switch(&steps);
        assert_eq!(loaded(&folder), if switched { "1.2.0" } else { "1.1.0" }, "{done}");
        let wants = folder.wants(&third.0, false, Backend::fastest()).unwrap();
        assert_eq!(wants.is_none(), switched, "{done}");
        put(&folder, &third).unwrap();
        assert_eq!(loaded(&folder), "1.2.0");
        let left = files(&directory);
        assert!(left.len() == 6 && !left.iter().any(|name| name.ends_with(NEW)), "{left:?}");
        folder.roll_back(Backend::fastest()).unwrap();
        assert_eq!(loaded(&folder), "1.1.0", "{done}");
        done += 1;
        if done > steps.len() {
            break;
        }
    }
    // Three files are written and renamed.
    assert!(done > 6);
}

#[test]
fn whoever_goes_back_after_a_kill_gets_a_pair_or_is_told_that_there_is_none() {
    let (second, third) = (version(FOUR, "1.1.0"), version(ONE, "1.2.0"));
    let manifest = Manifest::parse(&third.0).unwrap();
    let mut went = vec![];
    for done in 0..=6 {
        let (_directory, folder) = copied();
        put(&folder, &second).unwrap();
        let steps = folder.steps_to_put(&third.0, third.1, &manifest, Backend::fastest()).unwrap();
        killed(&steps, done);
        went.push(match folder.roll_back(Backend::fastest()) {
            Ok(change) => change.now.version,
            Err(error) => error.word().to_owned(),
        });
        loaded(&folder);
    }
    let none = "no_previous";
    assert_eq!(went, ["1.0.0", "1.0.0", "1.0.0", "1.0.0", none, none, "1.1.0"]);
}

#[test]
fn a_pair_is_loaded_wherever_going_back_was_killed() {
    let previous = Manifest::parse(&version(ONE, "1.0.0").0).unwrap();
    for done in 0..3 {
        let (_directory, folder) = copied();
        put(&folder, &version(FOUR, "1.1.0")).unwrap();
        let steps = folder.steps_to_roll_back(&previous).unwrap();
        assert_eq!(steps.len(), 2);
        killed(&steps, done);
        assert_eq!(loaded(&folder), if done > 0 { "1.0.0" } else { "1.1.0" });
    }
}
