//! What stands in for AWS on one machine, for tests, measurements and trying out.
//!
//! - [`store`]: an S3-compatible store of the pairs in [`models`];
//! - [`runtime`]: Lambda's runtime API for one process of the function, one event at a time;
//! - [`function`]: the function in cargo-lambda's emulator of Lambda and its function URLs;
//! - [`bound`]: what is started ends with who started it;
//! - [`page`] and [`proxy`]: the page's files, and the function under its `/cloud/`;
//! - [`server`]: all of it on free ports of 127.0.0.1.

#![forbid(unsafe_code)]

pub mod bound;
pub mod function;
pub mod models;
pub mod page;
pub mod proxy;
pub mod runtime;
pub mod server;
pub mod store;
mod tree;
