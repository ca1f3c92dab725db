//! The function without Lambda: golden function-URL events in, responses out, with a real store
//! over real HTTP behind it. What the emulator adds is tested with the local stack.

mod bucket;
mod events;
mod faults;
