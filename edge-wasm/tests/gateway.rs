//! The component under the real wasmtime CLI, against the real function on the local stack.
//!
//! `cargo xtask test` builds them, brings the stack up and says where they are:
//! FOGLINE_WASMTIME, FOGLINE_COMPONENT, FOGLINE_MODEL (the pair's folder), FOGLINE_CLOUD.

use std::env;
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

fn variable(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run these tests by `cargo xtask test`"))
}

/// A folder with a copy of the pair, to be tampered with, and of the samples.
struct Bench {
    folder: TempDir,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["manifest.json", "edge.fog"] {
            fs::copy(Path::new(&variable("FOGLINE_MODEL")).join(file), folder.path().join(file))
                .unwrap();
        }
        for sample in fs::read_dir("../web-demo/samples").unwrap() {
            let sample = sample.unwrap().path();
            fs::copy(&sample, folder.path().join(sample.file_name().unwrap())).unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn change_manifest(&self, change: impl Fn(&mut Value)) {
        let path = self.path("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        fs::write(&path, manifest.to_string()).unwrap();
    }

    /// Lets no exit be sure, so that every picture goes to the cloud.
    fn never_sure(&self) {
        self.change_manifest(|manifest| {
            for exit in manifest["exits"].as_array_mut().unwrap() {
                exit["thresholds"]["entropy"] = (-1).into();
            }
        });
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(variable("FOGLINE_WASMTIME"))
            .args(["run", "-S", "http", "--dir", ".", &variable("FOGLINE_COMPONENT")])
            .args(arguments)
            .current_dir(&self.folder)
            .output()
            .unwrap()
    }

    /// Classifies one picture with `--json`; gives whether the status was 0, and the line.
    fn classify(&self, picture: &str, cloud: Option<&str>) -> (bool, Value) {
        let mut arguments = vec!["classify", picture, "--model", ".", "--json"];
        if let Some(cloud) = cloud {
            arguments.extend(["--cloud", cloud]);
        }
        let output = self.run(&arguments);
        let text = String::from_utf8(output.stdout).unwrap();
        let line = text.lines().last().unwrap_or_else(|| {
            panic!(
                "nothing on standard output; on error: {}",
                String::from_utf8_lossy(&output.stderr)
            )
        });
        (output.status.success(), serde_json::from_str(line).unwrap())
    }
}

fn refused(bench: &Bench, picture: &str, word: &str) {
    let (success, line) = bench.classify(picture, None);
    assert!(!success, "{line}");
    assert_eq!(line["error"], word, "{line}");
    assert!(line["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
}

#[test]
fn a_hard_picture_is_answered_by_the_cloud() {
    let bench = Bench::new();
    bench.never_sure();
    let (success, line) = bench.classify("frog.png", Some(&variable("FOGLINE_CLOUD")));
    assert!(success);
    assert_eq!(line["origin"], "cloud", "{line}");
    assert_eq!(line["degraded"], Value::Null);
    assert!((1024..1200).contains(&line["bytesSent"].as_u64().unwrap()), "{line}");
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
    // A port that was free a moment ago: nobody listens there.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (cloud, reason) in
        [(None, "no_cloud"), (Some(format!("http://127.0.0.1:{port}")), "cloud_unreachable")]
    {
        let (success, line) = bench.classify("frog.png", cloud.as_deref());
        assert!(success);
        assert!(line["origin"].as_str().unwrap().starts_with("exit-"), "{line}");
        assert_eq!(line["degraded"]["reason"], reason, "{line}");
    }
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
    // A JPEG's first bytes up to its picture data, and then nothing.
    fs::write(bench.path("cut.jpg"), b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0")
        .unwrap();
    refused(&bench, "cut.jpg", "picture_damaged");
    refused(&bench, "missing.png", "file_unreadable");
}

#[test]
fn a_picture_of_20_000_by_20_000_is_refused_by_its_header() {
    let bench = Bench::new();
    // Signature and IHDR of an 8-bit RGB picture, then an empty IDAT.
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(20_000_u32.to_be_bytes());
    png.extend(20_000_u32.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    png.extend(0x7f47_b0ff_u32.to_be_bytes());
    let crc = crc32(&png[12..29]);
    png.truncate(29);
    png.extend(crc.to_be_bytes());
    png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    fs::write(bench.path("huge.png"), png).unwrap();
    refused(&bench, "huge.png", "picture_size");
}

/// PNG's checksum, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
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
    let output = bench.run(&["classify", "notes.txt", "ship.png", "--model", ".", "--json"]);
    assert!(!output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["error"], "picture_unknown");
    assert!(lines[1]["label"].is_string());
}

#[test]
fn an_output_that_closes_is_an_error_and_no_trap() {
    let bench = Bench::new();
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = Command::new(variable("FOGLINE_WASMTIME"))
        .args(["run", "-S", "http", "--dir", ".", &variable("FOGLINE_COMPONENT")])
        .args(["classify", "ship.png", "--model", "."])
        .current_dir(&bench.folder)
        .stdout(full)
        .output()
        .unwrap();
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
