//! Tests the function without a host, on a plain HTTP host, and in its own process behind Lambda's runtime API, each with a
//! real store over real HTTP. The local stack's tests cover the emulator.

mod bucket;
mod coded;
mod content;
mod cores;
mod faults;
mod handle;
mod host;
mod lambda;
mod memory;
mod process;
mod publish;
mod request;
mod running;
mod trial;
