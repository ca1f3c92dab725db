//! The function without Lambda: golden function-URL events in, responses out, with a real store
//! over real HTTP behind it; in this process, and in one of the function's own. What the emulator
//! adds is tested with the local stack.

mod bucket;
mod content;
mod events;
mod faults;
mod function;
mod memory;
mod process;
mod publish;
