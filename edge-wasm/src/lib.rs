//! Fogline on the device.
#![warn(missing_docs)]

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod browser;
pub mod cloud;
pub mod engine;
pub mod fog;
pub mod kernel;
pub mod op;
#[cfg(feature = "pack")]
pub mod pack;
pub mod picture;
pub mod session;
