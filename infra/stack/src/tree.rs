//! A process and all its descendants.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

/// A process, identified by its id and start time, because ids are reused.
#[derive(Debug, PartialEq, Eq)]
pub struct Process {
    pid: Pid,
    started: String,
}

impl Process {
    fn of(pid: Pid) -> Option<Self> {
        let (_, started) = stat(pid)?;
        Some(Self { pid, started })
    }

    /// Whether the process is still running.
    pub fn lives(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// Sends a signal, if the process is still running.
    pub fn signal(&self, signal: Signal) {
        if self.lives() {
            let _ = kill_process(self.pid, signal);
        }
    }
}

/// Returns a process, its children, their children, and so on.
///
/// Reads `/proc`. Without it the list is empty, and only direct children can be stopped.
pub fn family(root: u32) -> Vec<Process> {
    let Some(root) = Pid::from_raw(root as i32) else { return Vec::new() };
    let all: Vec<Pid> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect();
    let parents: Vec<(Pid, u32)> =
        all.into_iter().filter_map(|pid| Some((pid, stat(pid)?.0))).collect();
    let mut family = vec![root];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        let number = parent.as_raw_nonzero().get() as u32;
        family.extend(parents.iter().filter(|(_, of)| *of == number).map(|(pid, _)| *pid));
        next += 1;
    }
    family.into_iter().filter_map(Process::of).collect()
}

/// Parent and start time of a process; `None` if it has exited or is a zombie.
fn stat(pid: Pid) -> Option<(u32, String)> {
    let text = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    // The name in brackets may contain brackets and spaces.
    let (_, rest) = text.rsplit_once(')')?;
    let fields: Vec<_> = rest.split_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    if fields.first() == Some(&"Z") {
        return None;
    }
    Some((parent, (*fields.get(19)?).to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    #[cfg(target_os = "linux")]
    fn grandchildren_in_their_own_groups_are_found_and_ended() {
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 60 & wait"])
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        let found = loop {
            let found = family(shell.id());
            if found.len() == 2 || Instant::now() > deadline {
                break found;
            }
        };
        assert_eq!(found.len(), 2);
        for process in &found {
            process.signal(Signal::KILL);
        }
        shell.wait().unwrap();
        while found.iter().any(Process::lives) {
            assert!(Instant::now() < deadline, "a process outlived its end");
        }
    }
}
