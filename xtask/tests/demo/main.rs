//! `cargo xtask demo` without `--check`: up until it is interrupted, and nothing left afterwards;
//! with the committed pair, and with one that was just made.
//!
//! `cargo xtask test` runs it, after it has built everything that a demo needs.

mod own_pair;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// The demo, in a process group of its own, as a shell starts it.
struct Demo(Child);

impl Demo {
    fn start(arguments: &[&str]) -> Self {
        let mut demo = Command::new(env!("CARGO_BIN_EXE_xtask"));
        demo.arg("demo").args(arguments);
        demo.process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(demo.spawn().unwrap())
    }

    /// Waits for the page: what the demo printed before, and the page's address.
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

    /// Ctrl-C, as a terminal sends it: to every process of the group.
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
    let Ok(mut stream) = TcpStream::connect(host) else { return false };
    let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    stream.write_all(request.as_bytes()).is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

#[test]
fn the_demo_stays_up_until_it_is_interrupted() {
    let mut demo = Demo::start(&[]);
    let (_, host) = demo.until_up();

    assert!(answers(&host), "{host}");
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
