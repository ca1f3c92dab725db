//! A folder to run the component in.

use std::env;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

pub fn variable(name: &str) -> String {
    env::var(name)
        .unwrap_or_else(|_| panic!("{name} is not set: run these tests by `cargo xtask test`"))
}

/// A folder with copies of the pair, which tests may alter, and of the samples.
pub struct Bench {
    pub folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        for file in ["manifest.json", "edge.fog"] {
            fs::copy(Path::new(&variable("FOGLINE_MODEL")).join(file), folder.path().join(file))
                .unwrap();
        }
        for sample in fs::read_dir("../../web-demo/samples").unwrap() {
            let sample = sample.unwrap().path();
            fs::copy(&sample, folder.path().join(sample.file_name().unwrap())).unwrap();
        }
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn change_manifest(&self, change: impl Fn(&mut Value)) {
        let path = self.path("manifest.json");
        let mut manifest: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        change(&mut manifest);
        fs::write(&path, manifest.to_string()).unwrap();
    }

    /// Sets thresholds at which no exit is ever sure, so that every picture goes to the cloud.
    pub fn never_sure(&self) {
        self.change_manifest(|manifest| {
            for exit in manifest["exits"].as_array_mut().unwrap() {
                exit["thresholds"]["entropy"] = (-1).into();
            }
        });
    }

    /// The command that runs the component on `arguments` in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_in(&[], arguments)
    }

    /// The same, with these environment variables.
    pub fn command_in(&self, environment: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(variable("FOGLINE_WASMTIME"));
        command.args(["run", "--allow-precompiled", "-S", "http", "--dir", "."]);
        for variable in environment {
            command.args(["--env", variable]);
        }
        command.arg(variable("FOGLINE_COMPONENT")).args(arguments).current_dir(&self.folder);
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// Runs the component with `input` on standard input.
    pub fn run_on(&self, input: &[u8], arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        child.wait_with_output().unwrap()
    }

    /// Runs with `--model . --json`. Returns whether the exit status was 0, and the lines.
    pub fn lines(&self, arguments: &[&str]) -> (bool, Vec<Value>) {
        lines(&self.run(&[arguments, &["--model", ".", "--json"]].concat()))
    }

    /// Classifies one picture with `--json`. Returns whether the exit status was 0, and the line.
    pub fn classify(&self, picture: &str, cloud: Option<&str>) -> (bool, Value) {
        let mut arguments = vec!["classify", picture];
        if let Some(cloud) = cloud {
            arguments.extend(["--cloud", cloud]);
        }
        let (success, lines) = self.lines(&arguments);
        (success, lines.last().expect("a line").clone())
    }
}

/// Whether the exit status was 0, and the lines of JSON.
pub fn lines(output: &Output) -> (bool, Vec<Value>) {
    let text = std::str::from_utf8(&output.stdout).unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!text.is_empty(), "nothing on standard output; on error: {said}");
    let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
    (output.status.success(), lines.collect())
}

/// Checks that a picture is refused with this error code.
pub fn refused(bench: &Bench, picture: &str, word: &str) {
    let (success, line) = bench.classify(picture, None);
    assert!(!success, "{line}");
    assert_eq!(line["error"], word, "{line}");
    assert!(line["message"].as_str().is_some_and(|message| !message.is_empty()), "{line}");
}

/// A header that claims 50,000 by 50,000 pixels: signature and IHDR of an 8-bit RGB picture, then an empty IDAT.
pub fn huge() -> Vec<u8> {
    let mut png = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    png.extend(50_000_u32.to_be_bytes());
    png.extend(50_000_u32.to_be_bytes());
    png.extend([8, 2, 0, 0, 0]);
    let crc = crc32(&png[12..29]);
    png.extend(crc.to_be_bytes());
    png.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xae\x42\x60\x82");
    png
}

/// PNG's checksum, bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
    })
}
