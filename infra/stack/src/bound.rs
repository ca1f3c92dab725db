//! A program that ends when whoever started it does, however that ends: killed, or by a terminal that closes.
//!
//! The kernel sees to it, where it is Linux. A process has to ask it for itself, so that fogline-stack is started once more,
//! asks, and becomes the program.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use tokio::process::Command;

/// The word in front of the parent's number and the program's line.
const WORD: &str = "bound-to";

/// A command that runs `program` and ends with this process, which must be fogline-stack. It is to be started from a thread
/// that lives as long as the process: the kernel takes that one for the parent.
pub fn command(program: &Path) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    // This very file, also when another was built in its place.
    let mut command = Command::new("/proc/self/exe");
    command.arg(WORD).arg(std::process::id().to_string()).arg(program);
    command
}

/// Becomes the program that [`command`] names, where this process was started by it. What is returned says why it
/// could not.
pub fn become_program() -> Option<io::Error> {
    let mut words = env::args_os().skip(1);
    if words.next()? != WORD {
        return None;
    }
    Some(exec(&words.collect::<Vec<_>>()))
}

#[cfg(target_os = "linux")]
fn exec(words: &[OsString]) -> io::Error {
    use std::os::unix::process::CommandExt;

    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    let [parent, program, arguments @ ..] = words else {
        return io::ErrorKind::InvalidInput.into();
    };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return error.into();
    }
    // It may have ended before the kernel was asked.
    let now = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if now.as_deref() != parent.to_str() {
        return io::Error::other("whoever started this has ended");
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    io::Error::new(error.kind(), format!("{}: {error}", program.display()))
}

#[cfg(not(target_os = "linux"))]
fn exec(_: &[OsString]) -> io::Error {
    io::ErrorKind::Unsupported.into()
}
