//! Whatever stops the stack stops all of it, and a part that dies stops it with an error.
#![cfg(target_os = "linux")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use tempfile::TempDir;

/// A stack with a stand-in for cargo-lambda that never becomes ready.
struct Stack {
    folder: TempDir,
    process: Child,
}

impl Stack {
    /// Starts the stack; `end` is what the stand-in does after writing its process id.
    fn start(end: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let emulator = folder.path().join("emulator");
        let number = folder.path().join("number");
        let script =
            format!("#!/bin/sh\necho $$ > {0}.new; mv {0}.new {0}\n{end}\n", number.display());
        fs::write(&emulator, script).unwrap();
        fs::set_permissions(&emulator, fs::Permissions::from_mode(0o755)).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_fogline-stack"))
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
            .arg("--cargo-lambda")
            .arg(emulator)
            .env("TMPDIR", folder.path())
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.path().join("said")).unwrap())
            .spawn()
            .unwrap();
        Self { folder, process }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Waits for the stand-in and returns its process id.
    fn emulator(&self) -> Pid {
        let mut number = String::new();
        until("the emulator runs", || {
            number = fs::read_to_string(self.path("number")).unwrap_or_default();
            !number.is_empty()
        });
        Pid::from_raw(number.trim().parse().unwrap()).unwrap()
    }
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_mins(1), "waited for: {what}");
        sleep(Duration::from_millis(20));
    }
}

#[test]
fn no_end_of_the_stack_leaves_orphans() {
    // Regression: SIGHUP, which also follows Ctrl-C on the terminal's first process, used to leave orphans.
    for signal in [Signal::INT, Signal::HUP, Signal::QUIT, Signal::TERM, Signal::KILL] {
        let mut stack = Stack::start("exec sleep 600");
        let emulator = stack.emulator();
        kill_process(Pid::from_child(&stack.process), signal).unwrap();
        let status = stack.process.wait().unwrap();
        assert_eq!(status.success(), signal != Signal::KILL, "{signal:?}: {status}");
        until("the emulator's end", || test_kill_process(emulator).is_err());
    }
}

#[test]
fn a_part_that_dies_ends_the_stack_with_an_error_that_says_so() {
    let mut stack = Stack::start("echo out of order; exit 3");
    assert_eq!(stack.process.wait().unwrap().code(), Some(1));
    let said = fs::read_to_string(stack.path("said")).unwrap();
    assert!(said.contains("cargo-lambda ended: exit status: 3"), "{said}");
    assert!(said.contains("out of order"), "{said}");
}
