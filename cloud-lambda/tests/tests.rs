//! The function without a host, on another host than Lambda, and behind Lambda's runtime API in a process of its own; with a
//! real store over real HTTP behind it. What the emulator adds is tested with the local stack.

mod bucket;
mod content;
mod faults;
mod handle;
mod host;
mod lambda;
mod memory;
mod process;
mod publish;
mod request;
mod running;
