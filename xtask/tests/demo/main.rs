//! Tests `cargo xtask pack`, and `demo` without `--check`, with the committed pair and with a newly trained one: it runs until it is
//! interrupted and leaves nothing behind.
//!
//! `cargo xtask test` runs this after building everything that a demo needs.

mod own_pair;
mod pack;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// The demo in its own process group, as a shell would start it.
struct Demo(Child);

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_xtask"));
        demo.arg("demo").args(arguments);
        demo.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(demo.spawn().unwrap())
    }

    /// Waits for the page. Returns what the demo printed before, and the page's URL.
    fn until_up(&mut self) -> (Vec<String>, String) {
        let said = BufReader::new(self.0.stdout.take().unwrap());
        let mut lines = vec![];
        for line in said.lines().map_while(Result::ok) {
            if line.starts_with("The page is at ") {
                let host = line.split('/').nth(2).expect("an address").to_owned();
                return (lines, host);
            }
            lines.push(line);
        }
        panic!("the demo did not come up: {lines:#?}");
    }

    /// Sends Ctrl-C like a terminal: to every process of the group.
    fn interrupt(&self) {
        let group = Pid::from_child(&self.0);
        let _ = kill_process_group(group, Signal::INT);
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        self.interrupt();
        let _ = self.0.wait();
    }
}

fn answers(host: &str) -> bool {
    get(host, "/").is_some()
}

/// Downloads a file, which must exist.
fn get(host: &str, path: &str) -> Option<Vec<u8>> {
    let mut stream = TcpStream::connect(host).ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = vec![];
    stream.read_to_end(&mut answer).ok()?;
    let end = answer.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    answer.starts_with(b"HTTP/1.1 200").then(|| answer.split_off(end))
}

/// Writes a CIFAR-10 in its binary version, with `records` grey pictures.
fn cifar(records: usize) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let record = |at: usize| [vec![(at % 10) as u8], vec![at as u8; 3 * 1024]].concat();
    let batch: Vec<u8> = (0..records).flat_map(record).collect();
    std::fs::write(folder.path().join("test_batch.bin"), batch).unwrap();
    let names = "airplane automobile bird cat deer dog frog horse ship truck";
    std::fs::write(folder.path().join("batches.meta.txt"), names.replace(' ', "\n")).unwrap();
    folder
}

/// With a dataset, the demo's page shows some of its test pictures with their classes.
fn shows_gallery(host: &str) {
    let parsed = |path| serde_json::from_slice::<serde_json::Value>(&get(host, path).unwrap());
    let config = parsed("/config.json").unwrap();
    assert_eq!(config["gallery"], "gallery/index.json");
    let index = parsed("/gallery/index.json").unwrap();
    let shown = index.as_array().unwrap();
    assert_eq!(shown.len(), 50);
    assert_eq!((&shown[2]["label"], &shown[11]["label"]), (&"bird".into(), &"automobile".into()));
    for picture in shown {
        let file = format!("/gallery/{}", picture["file"].as_str().unwrap());
        assert!(get(host, &file).unwrap().starts_with(b"\x89PNG"), "{file}");
    }
}

#[test]
fn the_demo_stays_up_until_it_is_interrupted() {
    let data = cifar(200);
    let mut demo = Demo::start(&["--data", data.path().to_str().unwrap()]);
    let (lines, host) = demo.until_up();

    let ready =
        |line: &String| line.contains("classify web-demo/samples/frog.png --model onnx-models/");
    assert!(lines.iter().any(|line| line.starts_with("The function is at http://")), "{lines:#?}");
    assert!(lines.iter().any(ready), "{lines:#?}");
    assert!(answers(&host), "{host}");
    shows_gallery(&host);
    sleep(Duration::from_secs(2));
    assert!(demo.0.try_wait().unwrap().is_none(), "the demo ended after its table");
    assert!(answers(&host), "the page went down by itself");

    demo.interrupt();
    demo.0.wait().unwrap();
    let ended = (0..100).any(|_| {
        sleep(Duration::from_millis(100));
        TcpStream::connect(&host).is_err()
    });
    assert!(ended, "10 s after Ctrl-C something still listens on {host}");
}
