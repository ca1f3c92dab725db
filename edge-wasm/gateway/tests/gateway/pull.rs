//! `fogline pull` and `fogline rollback`: either another version replaces the pair, or nothing changes.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{Bench, lines};
use crate::web::{Served, Web};

/// A version of the tiny pair with 1 or 4 bits.
fn version(bits: u8, number: &str) -> (Vec<u8>, Vec<u8>) {
    let folder = Path::new(if bits == 1 { "../tests/tiny" } else { "../tests/tiny4" });
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(folder.join("manifest.json")).unwrap()).unwrap();
    manifest["name"] = "tiny".into();
    manifest["version"] = number.into();
    (manifest.to_string().into_bytes(), fs::read(folder.join("edge.fog")).unwrap())
}

/// A server with versions 0.9.0, 1.0.0 and 1.1.0, and a folder with the second of them.
fn gateway() -> (Bench, Web) {
    let (bench, web) = (Bench::new(), Web::new());
    for (bits, number) in [(4, "0.9.0"), (1, "1.0.0"), (4, "1.1.0")] {
        let (manifest, fog) = version(bits, number);
        web.serve(&format!("/tiny/{number}/manifest.json"), Served::File(manifest));
        web.serve(&format!("/tiny/{number}/edge.fog"), Served::File(fog));
    }
    let (manifest, fog) = version(1, "1.0.0");
    fs::create_dir(bench.path("model")).unwrap();
    fs::write(bench.path("model/manifest.json"), manifest).unwrap();
    fs::write(bench.path("model/edge.fog"), fog).unwrap();
    (bench, web)
}

/// Runs a command on the folder. Returns whether the exit status was 0, and the output.
fn on_model(bench: &Bench, arguments: &[&str]) -> (bool, Value) {
    let (success, mut said) =
        lines(&bench.run(&[arguments, &["--model", "model", "--json"]].concat()));
    assert_eq!(said.len(), 1, "{said:?}");
    (success, said.remove(0))
}

fn pull(bench: &Bench, web: &Web, path: &str, arguments: &[&str]) -> (bool, Value) {
    let url = format!("{}{path}", web.url);
    on_model(bench, &[&["pull", &url], arguments].concat())
}

/// The version and the bits that the component loads from the folder.
fn loaded(bench: &Bench) -> (String, u64) {
    let (success, info) = on_model(bench, &["info"]);
    assert!(success, "{info}");
    (info["version"].as_str().unwrap().to_owned(), info["split"]["bits"].as_u64().unwrap())
}

fn files(bench: &Bench) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(bench.path("model")).unwrap().map(|file| file.unwrap());
    let mut files: Vec<_> = files
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect();
    files.sort();
    files
}

/// Checks that a pull is refused with this error code and changes nothing.
fn refused(bench: &Bench, web: &Web, path: &str, arguments: &[&str], word: &str) -> String {
    let before = files(bench);
    let (success, said) = pull(bench, web, path, arguments);
    assert!(!success, "{said}");
    assert_eq!(said["error"], word, "{said}");
    assert_eq!(files(bench), before);
    said["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_newer_pair_is_pulled_used_and_rolled_back_once() {
    let (bench, web) = gateway();
    let (success, said) = pull(&bench, &web, "/tiny/1.1.0/manifest.json", &[]);
    assert!(success, "{said}");
    assert_eq!((&said["outcome"], &said["version"]), (&"updated".into(), &"1.1.0".into()));
    assert_eq!(said["replaced"]["version"], "1.0.0");
    assert_eq!(loaded(&bench), ("1.1.0".to_owned(), 4));
    let (success, line) = on_model(&bench, &["classify", "frog.png"]);
    assert!(success && line["origin"].as_str().unwrap().starts_with("exit-"), "{line}");
    // The same pair again, by its folder: only the manifest is fetched, and nothing changes.
    let (before, asked) = (files(&bench), web.asked().len());
    let (success, said) = pull(&bench, &web, "/tiny/1.1.0/", &[]);
    assert!(success, "{said}");
    assert_eq!((&said["outcome"], &said["replaced"]), (&"unchanged".into(), &Value::Null));
    assert_eq!(web.asked()[asked..], ["/tiny/1.1.0/manifest.json"]);
    assert_eq!(files(&bench), before);
    let (success, said) = on_model(&bench, &["rollback"]);
    assert!(success, "{said}");
    assert_eq!((&said["outcome"], &said["version"]), (&"rolled_back".into(), &"1.0.0".into()));
    assert_eq!(said["replaced"]["version"], "1.1.0");
    assert_eq!(loaded(&bench), ("1.0.0".to_owned(), 1));
    let (success, said) = on_model(&bench, &["rollback"]);
    assert!(!success);
    assert_eq!(said["error"], "no_previous", "{said}");
    assert_eq!(loaded(&bench), ("1.0.0".to_owned(), 1));
}

#[test]
fn an_older_pair_is_pulled_where_that_is_meant() {
    let (bench, web) = gateway();
    refused(&bench, &web, "/tiny/0.9.0", &[], "older_version");
    let (success, said) = pull(&bench, &web, "/tiny/0.9.0", &["--older"]);
    assert!(success, "{said}");
    assert_eq!(loaded(&bench), ("0.9.0".to_owned(), 4));
    let (success, _) = on_model(&bench, &["rollback"]);
    assert!(success);
    assert_eq!(loaded(&bench), ("1.0.0".to_owned(), 1));
}

#[test]
fn a_folder_is_made_and_the_options_come_from_environment_and_file() {
    let (bench, web) = gateway();
    fs::write(bench.path("fogline.toml"), "model = 'new/model'\njson = true\n").unwrap();
    let url = format!("{}/tiny/1.0.0", web.url);
    let pull = |environment: &[&str], version: &str| {
        let url = url.replace("1.0.0", version);
        let line = ["pull", &url, "--config", "fogline.toml"];
        lines(&bench.command_in(environment, &line).output().unwrap()).1.remove(0)
    };
    let said = pull(&[], "1.0.0");
    assert_eq!((&said["outcome"], &said["replaced"]), (&"installed".into(), &Value::Null));
    assert!(bench.path("new/model/manifest.json").exists());
    assert_eq!(pull(&[], "0.9.0")["error"], "older_version");
    assert_eq!(pull(&["FOGLINE_OLDER=true"], "0.9.0")["outcome"], "updated");
    // And without JSON.
    let output = bench.run(&["rollback", "--model", "new/model"]);
    assert!(output.status.success());
    assert_eq!(output.stdout, b"tiny 1.0.0 restored, replacing 0.9.0\n");
}

#[test]
fn what_is_no_pair_that_runs_here_changes_nothing() {
    let (bench, web) = gateway();
    let (manifest, fog) = version(4, "1.2.0");
    let changed = |pointer: &str, value: Value| {
        let mut manifest: Value = serde_json::from_slice(&manifest).unwrap();
        *manifest.pointer_mut(pointer).unwrap() = value;
        Served::File(manifest.to_string().into_bytes())
    };
    let serve = |at: &str, manifest: Served, fog: Served| {
        web.serve(&format!("/{at}/manifest.json"), manifest);
        web.serve(&format!("/{at}/edge.fog"), fog);
    };
    let (good, whole) = (Served::File(manifest.clone()), Served::File(fog.clone()));
    let mut flipped = fog.clone();
    flipped[fog.len() / 2] ^= 1;
    let longer = [&fog[..], &[0]].concat();
    let cases = [
        ("flipped", good.clone(), Served::File(flipped), "model_corrupt"),
        ("short", good.clone(), Served::File(fog[..fog.len() - 1].to_vec()), "model_corrupt"),
        ("longer", good.clone(), Served::File(longer), "pull_too_large"),
        ("endless", good.clone(), Served::Endless, "pull_too_large"),
        ("broken-off", good.clone(), Served::Half(fog.clone()), "pull_unreachable"),
        ("half-manifest", Served::Half(manifest.clone()), whole.clone(), "pull_unreachable"),
        ("endless-manifest", Served::Endless, whole.clone(), "pull_too_large"),
        ("page", Served::File(b"<!doctype html>".to_vec()), whole.clone(), "manifest_invalid"),
        ("format", changed("/format", 3.into()), whole.clone(), "manifest_format"),
        (
            "huge",
            changed("/files/edge.fog/bytes", (1_u64 << 40).into()),
            whole.clone(),
            "file_too_large",
        ),
        ("other", changed("/name", "tiny-too".into()), whole.clone(), "other_pair"),
        // The size and digest are right, but the model does not match the manifest.
        ("mismatch", changed("/split/bits", 1.into()), whole, "model_mismatch"),
    ];
    for (at, manifest, fog, word) in cases {
        serve(at, manifest, fog);
        refused(&bench, &web, &format!("/{at}"), &[], word);
    }
    // Nothing was fetched that was already known to be refused.
    for at in ["page", "format", "huge", "other", "endless-manifest"] {
        assert!(!web.asked().contains(&format!("/{at}/edge.fog")), "{at}");
    }
    web.serve("/no-fog/manifest.json", good);
    let message = refused(&bench, &web, "/no-fog", &[], "pull_refused");
    assert!(message.contains("/no-fog/edge.fog: status 404"), "{message}");
    refused(&bench, &web, "/nothing", &[], "pull_refused");
    web.serve("/moved/manifest.json", Served::Moved("http://elsewhere/"));
    let message = refused(&bench, &web, "/moved", &[], "pull_refused");
    assert!(message.contains("redirect to http://elsewhere/"), "{message}");
    assert_eq!(loaded(&bench), ("1.0.0".to_owned(), 1));
}

#[test]
fn a_server_that_stops_in_the_middle_or_is_not_there_changes_nothing() {
    let (bench, web) = gateway();
    let (_, fog) = version(4, "1.1.0");
    web.serve("/tiny/1.1.0/edge.fog", Served::Stuck(fog));
    refused(&bench, &web, "/tiny/1.1.0", &["--time-limit", "1"], "pull_late");
    refused(&bench, &web, "/tiny/1.1.0?version=1", &[], "pull_url");
    let (_, said) = on_model(&bench, &["pull", "http://127.0.0.1:1/tiny"]);
    assert_eq!(said["error"], "pull_unreachable", "{said}");
    let (_, said) = on_model(&bench, &["pull", "ftp://host/tiny"]);
    assert_eq!(said["error"], "pull_url", "{said}");
}

/// Starts a pull and kills it once `is_there`.
fn killed(bench: &Bench, url: &str, is_there: impl Fn() -> bool) {
    let mut pull = bench.command(&["pull", url, "--model", "model", "--json"]);
    let mut child = pull.stdout(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !is_there() {
        assert!(running(&mut child), "it ended before it was killed");
        assert!(began.elapsed() < Duration::from_mins(1), "it never came so far");
        thread::sleep(Duration::from_millis(5));
    }
    // Until it waits.
    thread::sleep(Duration::from_millis(300));
    assert!(running(&mut child), "it did not wait");
    child.kill().unwrap();
    child.wait().unwrap();
}

fn running(child: &mut Child) -> bool {
    child.try_wait().unwrap().is_none()
}

#[test]
fn a_pull_that_is_killed_while_it_fetches_changes_nothing() {
    let (bench, web) = gateway();
    let (_, fog) = version(4, "1.1.0");
    web.serve("/tiny/1.1.0/edge.fog", Served::Stuck(fog.clone()));
    let before = files(&bench);
    let url = format!("{}/tiny/1.1.0", web.url);
    killed(&bench, &url, || web.asked().contains(&"/tiny/1.1.0/edge.fog".to_owned()));
    assert_eq!(files(&bench), before);
    web.serve("/tiny/1.1.0/edge.fog", Served::File(fog));
    let (success, said) = pull(&bench, &web, "/tiny/1.1.0", &[]);
    assert!(success, "{said}");
    assert_eq!(loaded(&bench), ("1.1.0".to_owned(), 4));
}

/// Replaces each file in turn by a pipe that nobody reads, so that the component waits there and is killed.
#[cfg(unix)]
#[test]
fn a_pull_that_is_killed_at_any_file_leaves_a_pair_that_loads_and_is_made_again() {
    let (_, fog) = version(4, "1.1.0");
    let fog = format!("edge-{}.fog", fogline::manifest::sha256_hex(&fog));
    let written = [fog.as_str(), "previous.json", "manifest.json"];
    for (turn, name) in written.iter().enumerate() {
        let (bench, web) = gateway();
        let pipe = bench.path(&format!("model/{name}.new"));
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let url = format!("{}/tiny/1.1.0", web.url);
        // The files before it have been written by then.
        killed(&bench, &url, || match turn {
            0 => web.asked().contains(&"/tiny/1.1.0/edge.fog".to_owned()),
            _ => bench.path(&format!("model/{}", written[turn - 1])).exists(),
        });
        assert_eq!(loaded(&bench), ("1.0.0".to_owned(), 1), "{name}");
        // The next run must not find the pipe.
        fs::remove_file(&pipe).unwrap();
        fs::write(&pipe, "half").unwrap();
        let (success, said) = pull(&bench, &web, "/tiny/1.1.0", &[]);
        assert!(success, "{said}");
        assert_eq!(loaded(&bench), ("1.1.0".to_owned(), 4));
        assert!(files(&bench).iter().all(|(name, _)| !name.contains(".new")));
        let (success, said) = on_model(&bench, &["rollback"]);
        assert!(success, "{said}");
        assert_eq!(loaded(&bench), ("1.0.0".to_owned(), 1), "{name}");
    }
}
