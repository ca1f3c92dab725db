//! What of the gateway is of use without WASI: [`sigv4`], signing for AWS.
//!
//! The component itself is the binary `fogline`, built for wasm32-wasip2.
#![warn(missing_docs)]

pub mod sigv4;
