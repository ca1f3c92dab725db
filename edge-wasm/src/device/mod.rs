//! What a device needs besides the engine: pictures, the folder of a pair, a spool for missed requests, metrics, a watch for drift.

pub mod audits;
pub mod drift;
pub mod folder;
pub mod hard;
pub mod metrics;
pub mod picture;
pub mod source;
pub mod spool;
pub mod watch;
