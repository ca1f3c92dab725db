//! `fogline classify`: answers, refusals, exit status.

use std::fs;
use std::net::TcpListener;
use std::process::Command;

use serde_json::Value;

use crate::bench::{Bench, huge, lines, refused, variable};
use crate::cloud::{Say, scripted};

#[test]
fn a_hard_picture_is_answered_by_the_cloud() {
    let bench = Bench::new();
    bench.never_sure();
    let (success, line) = bench.classify("frog.png", Some(&variable("FOGLINE_CLOUD")));
    assert!(success);
    assert_eq!(line["origin"], "cloud", "{line}");
    assert_eq!(line["degraded"], Value::Null);
    assert!((400..1024).contains(&line["bytesSent"].as_u64().unwrap()), "a coded map: {line}");
    let scores: f64 = line["scores"].as_array().unwrap().iter().map(|s| s.as_f64().unwrap()).sum();
    assert!((scores - 1.0).abs() < 1e-4);
}

#[test]
fn a_picture_that_an_exit_is_sure_of_sends_nothing() {
    let bench = Bench::new();
    bench.change_manifest(|manifest| manifest["exits"][0]["thresholds"]["entropy"] = 99.into());
    let (success, line) = bench.classify("ship.png", Some("http://127.0.0.1:1"));
    assert!(success);
    assert_eq!(line["origin"], "exit-1");
    assert_eq!(line["bytesSent"], 0);
    assert_eq!(line["exits"].as_array().unwrap().len(), 1);
}

#[test]
fn without_a_cloud_the_best_exit_answers_and_says_why() {
    let bench = Bench::new();
    bench.never_sure();
    // A port that was free a moment ago: nothing listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (cloud, reason) in
        [(None, "no_cloud"), (Some(format!("http://127.0.0.1:{port}")), "cloud_unreachable")]
    {
        let (success, line) = bench.classify("frog.png", cloud.as_deref());
        assert!(success);
        assert!(line["origin"].as_str().unwrap().starts_with("exit-"), "{line}");
        assert_eq!(line["degraded"]["reason"], reason, "{line}");
        assert_eq!(line["bytesSent"], 0, "{line}");
    }
}

#[test]
fn what_no_connection_was_handed_is_not_counted_as_sent() {
    let bench = Bench::new();
    bench.never_sure();
    let (_, line) = bench.classify("frog.png", Some("http://nosuch.invalid"));
    assert_eq!(line["degraded"]["reason"], "cloud_unreachable", "{line}");
    assert_eq!(line["bytesSent"], 0, "{line}");
}

#[test]
fn a_path_in_no_given_folder_is_refused_by_its_name() {
    let bench = Bench::new();
    let classify = ["classify", "frog.png", "--model", "."];
    let inside = bench.path("frog.png").display().to_string();
    for (environment, arguments, path) in [
        (None, &["--spool", "/nowhere/spool"][..], "/nowhere/spool"),
        (Some("FOGLINE_SPOOL=/nowhere/spool"), &[], "/nowhere/spool"),
        (None, &["--spool", "../up"], "../up"),
        (None, &["--config", "/nowhere/a.toml"], "/nowhere/a.toml"),
        (None, &["--token-file", &inside], &inside),
        (None, &[&inside], &inside),
    ] {
        let mut command = bench.command_in(environment.as_slice(), &classify);
        let output = command.args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && said.contains(path) && said.contains("--dir"),
            "{said}"
        );
    }
    assert!(!bench.path("nowhere").exists());
    // A folder is accessible under the name that it was given.
    let mut command = Command::new(variable("FOGLINE_WASMTIME"));
    command.args(["run", "--allow-precompiled", "-S", "http", "--dir"]);
    command
        .arg(format!("{}::/given", bench.folder.path().display()))
        .arg(variable("FOGLINE_COMPONENT"));
    let output = command.args(["classify", "/given/frog.png", "--model", "/given"]).output();
    let output = output.unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_disk_that_fails_is_said_in_words() {
    // Reading its own memory at address 0 fails as a broken disk does.
    let bench = Bench::new();
    let mut command = Command::new(variable("FOGLINE_WASMTIME"));
    command.args(["run", "--allow-precompiled", "-S", "http", "--dir", ".", "--dir", "/proc"]);
    command.arg(variable("FOGLINE_COMPONENT")).args([
        "classify",
        "/proc/self/mem",
        "--model",
        ".",
        "--json",
    ]);
    let (success, lines) = lines(&command.current_dir(&bench.folder).output().unwrap());
    assert!(!success && lines[0]["error"] == "file_unreadable", "{lines:?}");
    assert!(lines[0]["message"].as_str().unwrap().starts_with("it cannot be read"), "{lines:?}");
}

#[test]
fn a_spool_without_a_cloud_is_said() {
    let output = Bench::new().run(&["classify", "frog.png", "--model", ".", "--spool", "spool"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && said.contains("error[spool_without_cloud]"), "{said}");
}

#[test]
fn a_cloud_that_does_not_know_the_pair_degrades_by_its_word() {
    let bench = Bench::new();
    bench.never_sure();
    bench.change_manifest(|manifest| {
        manifest["files"]["edge.qonnx"]["sha256"] = "ab".repeat(32).into();
    });
    let (success, line) = bench.classify("frog.png", Some(&variable("FOGLINE_CLOUD")));
    assert!(success);
    assert_eq!(line["degraded"]["reason"], "unknown_pair", "{line}");
}

#[test]
fn what_is_no_picture_is_refused_by_word() {
    let bench = Bench::new();
    fs::write(bench.path("notes.txt"), "not a picture").unwrap();
    refused(&bench, "notes.txt", "picture_unknown");
    let whole = fs::read(bench.path("frog.png")).unwrap();
    fs::write(bench.path("cut.png"), &whole[..whole.len() / 2]).unwrap();
    refused(&bench, "cut.png", "picture_damaged");
    // The first bytes of a JPEG, up to its pixels.
    fs::write(bench.path("cut.jpg"), b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
        .unwrap();
    refused(&bench, "cut.jpg", "picture_damaged");
    refused(&bench, "missing.png", "file_unreadable");
}

#[test]
fn a_picture_of_50_000_by_50_000_is_refused_by_its_header() {
    let bench = Bench::new();
    fs::write(bench.path("huge.png"), huge()).unwrap();
    refused(&bench, "huge.png", "picture_size");
}

#[test]
fn an_altered_model_is_refused() {
    let bench = Bench::new();
    let mut fog = fs::read(bench.path("edge.fog")).unwrap();
    *fog.last_mut().unwrap() ^= 1;
    fs::write(bench.path("edge.fog"), fog).unwrap();
    refused(&bench, "frog.png", "model_corrupt");
    fs::write(bench.path("manifest.json"), "{}").unwrap();
    refused(&bench, "frog.png", "manifest_invalid");
}

#[test]
fn one_bad_picture_does_not_lose_the_others() {
    let bench = Bench::new();
    fs::write(bench.path("notes.txt"), "not a picture").unwrap();
    let (success, lines) = bench.lines(&["classify", "notes.txt", "ship.png"]);
    assert!(!success);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["error"], "picture_unknown");
    assert!(lines[1]["label"].is_string());
}

#[cfg(unix)]
#[test]
fn an_entry_that_cannot_be_read_costs_itself_alone() {
    use std::os::unix::ffi::OsStrExt;

    let bench = Bench::new();
    fs::create_dir_all(bench.path("card/.trash")).unwrap();
    for name in ["a.png", "z.png", ".trash/b.png", "._a.png", "film.mp4"] {
        fs::copy(bench.path("frog.png"), bench.path("card").join(name)).unwrap();
    }
    let not_utf8 = std::ffi::OsStr::from_bytes(b"caf\xe9.png");
    fs::copy(bench.path("frog.png"), bench.path("card").join(not_utf8)).unwrap();
    let pipe = std::process::Command::new("mkfifo").arg(bench.path("card/cam.jpg")).status();
    assert!(pipe.unwrap().success());
    let (success, lines) = bench.lines(&["classify", "card"]);
    assert!(!success);
    let pictures: Vec<_> = lines.iter().map(|line| line["picture"].as_str().unwrap()).collect();
    // WASI does not show names that are not UTF-8: the folder's line reports it.
    assert_eq!(pictures, ["card", "card/a.png", "card/cam.jpg", "card/z.png"]);
    assert_eq!(lines[0]["error"], "folder_unreadable");
    assert_eq!(lines[2]["error"], "file_unreadable");
    assert!(lines[1]["label"].is_string() && lines[1]["label"] == lines[3]["label"]);
}

#[test]
fn an_output_that_closes_is_an_error_and_no_trap() {
    let bench = Bench::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = bench.command(&["classify", "ship.png", "--model", "."]);
    let output = command.stdout(full).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.starts_with("fogline: error[output_closed]: "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[test]
fn a_cloud_url_that_can_never_work_is_refused() {
    let bench = Bench::new();
    for url in
        ["ftp://host", "http://me:word@host", "http://host:99999", "http://host/?a=b", "host"]
    {
        let (success, line) = bench.classify("ship.png", Some(url));
        assert!(!success);
        assert_eq!(line["error"], "cloud_url", "{url}: {line}");
    }
}

#[test]
fn help_teaches() {
    let output = Bench::new().run(&["classify", "--help"]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("wasmtime run -S http") && text.contains("degraded"), "{text}");
}

/// Moves the samples to the folder `set`, and makes no exit sure of any. Returns their number.
fn folder_of_hard(bench: &Bench) -> usize {
    bench.never_sure();
    fs::create_dir_all(bench.path("set/deep")).unwrap();
    let samples = fs::read_dir(&bench.folder).unwrap().map(|entry| entry.unwrap().path());
    let samples: Vec<_> =
        samples.filter(|path| path.extension().is_some_and(|e| e == "png")).collect();
    for (at, sample) in samples.iter().enumerate() {
        let folder = if at % 2 == 0 { "set" } else { "set/deep" };
        fs::rename(sample, bench.path(folder).join(sample.file_name().unwrap())).unwrap();
    }
    samples.len()
}

fn names(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["picture"].as_str().unwrap()).collect()
}

#[test]
fn a_folder_is_answered_in_order_and_hard_ones_travel_together() {
    let bench = Bench::new();
    let pictures = folder_of_hard(&bench);
    let cloud = scripted(|_| Say::Scores);
    let (success, lines) = bench.lines(&["classify", "set", "--batch", "4", "--cloud", &cloud.url]);
    assert!(success);
    let mut sorted = names(&lines);
    sorted.sort_unstable();
    assert_eq!((names(&lines), lines.len()), (sorted, pictures));
    assert!(lines.iter().all(|line| line["origin"] == "cloud"), "{lines:?}");
    let batches = cloud.samples();
    assert_eq!(batches.iter().sum::<usize>(), pictures);
    assert!(batches[..batches.len() - 1].iter().all(|&samples| samples == 4), "{batches:?}");
}

#[test]
fn one_picture_comes_on_standard_input() {
    let bench = Bench::new();
    let frog = fs::read(bench.path("frog.png")).unwrap();
    let output = bench.run_on(&frog, &["classify", "-", "--model", ".", "--json"]);
    let (success, piped) = lines(&output);
    assert!(success);
    let (_, filed) = bench.lines(&["classify", "frog.png"]);
    assert_eq!((&piped[0]["scores"], &piped[0]["picture"]), (&filed[0]["scores"], &"-".into()));
}

#[test]
fn a_degraded_answer_fails_where_strict() {
    let bench = Bench::new();
    bench.never_sure();
    assert!(bench.lines(&["classify", "frog.png"]).0);
    assert!(!bench.lines(&["classify", "frog.png", "--strict"]).0);
}

#[test]
fn policy_and_thresholds_are_the_command_lines() {
    let bench = Bench::new();
    let one = |arguments: &[&str]| {
        bench.lines(&[&["classify", "frog.png"], arguments].concat()).1.remove(0)
    };
    assert_eq!(one(&["--thresholds", "99,99"])["origin"], "exit-1");
    assert_eq!(one(&["--thresholds", "-1,99"])["origin"], "exit-2");
    let margin = one(&["--policy", "margin", "--thresholds", "2,2"]);
    assert_eq!(margin["degraded"]["reason"], "no_cloud");
    assert_eq!(one(&["--thresholds", "1"])["error"], "thresholds_invalid");
    assert_eq!(one(&["--thresholds", "nan,0.1"])["error"], "thresholds_invalid");
    assert_eq!(one(&["--policy", "appeal"])["error"], "policy_unavailable");
}

#[test]
fn a_folder_without_pictures_is_refused() {
    let bench = Bench::new();
    fs::create_dir(bench.path("empty")).unwrap();
    refused(&bench, "empty", "folder_empty");
}

#[test]
fn the_bound_on_pixels_is_the_command_lines() {
    let bench = Bench::new();
    let (success, lines) = bench.lines(&["classify", "frog.png", "--max-pixels", "1000"]);
    assert!(!success);
    assert_eq!(lines[0]["error"], "picture_size");
    assert!(lines[0]["message"].as_str().unwrap().contains("1 to 1000 are allowed"), "{lines:?}");
}

#[test]
fn what_a_file_is_called_does_not_matter_and_an_empty_one_is_no_picture() {
    let bench = Bench::new();
    fs::copy(bench.path("frog.png"), bench.path("frog.jpg")).unwrap();
    fs::write(bench.path("empty.png"), "").unwrap();
    let (_, lines) = bench.lines(&["classify", "frog.png", "frog.jpg", "empty.png"]);
    assert_eq!(lines[0]["scores"], lines[1]["scores"]);
    assert!(lines[0]["scores"].is_array());
    assert_eq!(lines[2]["error"], "picture_unknown");
}
