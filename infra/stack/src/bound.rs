//! Starts programs that exit when their parent does, even if that is killed or its terminal closes.
//!
//! The kernel does this on Linux, but a process must request it for itself. fogline-stack therefore starts itself again,
//! makes the request, and becomes the program.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::Path;

use tokio::process::Command;

/// First argument of the second start; the parent's process id and the program's command line follow.
const WORD: &str = "bound-to";

/// A command that runs `program` and exits with this process, which must be fogline-stack. Start it from a thread that lives
/// as long as the process: to the kernel, the parent is that thread.
pub fn command(program: &Path) -> Command {
    if !cfg!(target_os = "linux") {
        return Command::new(program);
    }
    // This executable, even if it was rebuilt meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command.arg(WORD).arg(std::process::id().to_string()).arg(program);
    command
}

/// If [`command`] started this process, becomes the program that it names. Returns an error if that fails, and `None` if
/// this process was started otherwise.
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
    // The parent may have exited before the request.
    let now = getppid().map(|parent| parent.as_raw_nonzero().to_string());
    if now.as_deref() != parent.to_str() {
        return io::Error::other("the parent process has exited");
    }
    let error = std::process::Command::new(program).args(arguments).exec();
    io::Error::new(error.kind(), format!("{}: {error}", program.display()))
}

#[cfg(not(target_os = "linux"))]
fn exec(_: &[OsString]) -> io::Error {
    io::ErrorKind::Unsupported.into()
}
