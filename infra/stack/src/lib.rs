//! A local stand-in for AWS, for tests, measurements and demos.
//!
//! - [`store`]: an S3-compatible store with the pairs in [`models`];
//! - [`runtime`]: Lambda's runtime API for one function process, one event at a time;
//! - [`function`]: the function in cargo-lambda's emulator of Lambda and function URLs;
//! - [`bound`]: child processes that exit with their parent;
//! - [`page`] and [`proxy`]: the page's files, and the function under `/cloud/`;
//! - [`server`]: serves all of it on free ports of 127.0.0.1.

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
