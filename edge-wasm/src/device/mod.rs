//! What a device has beside the engine: pictures, a folder with a pair, a disk for what the cloud missed, counts.

pub mod folder;
pub mod metrics;
pub mod picture;
pub mod source;
pub mod spool;
