//! Fogline on the device: the edge half of a conditionally deep hybrid network.
//!
//! A picture becomes levels of 8 bits, passes blocks of 1-bit convolutions, and meets early exits on
//! the way. An exit that is sure answers, and nothing leaves the device. If none is, the feature map at
//! the split, quantised to bits, goes to the cloud in one frame.
//!
//! - [`picture`]: any picture to the pixels that the model takes, alike on page and gateway;
//! - [`fog`]: the packed model, checked before it runs; [`op`]: what it may do;
//! - [`kernel`]: the convolutions, a reference beside each fast one; [`engine`]: runs a model from exit to exit;
//! - [`session`]: a pair at work, from pixels to an answer that says where it came from;
//! - [`folder`]: where a pair lies on a device, and how a newer one takes its place;
//! - [`batch`]: many pictures, hard ones in one frame; [`source`]: the files that they are in;
//! - [`score`]: how well pictures of known classes were answered;
//! - [`cloud`]: questions to the function, with tries, a deadline and a circuit breaker, over any `Transport`;
//! - [`quota`]: how large a share of pictures may go to the cloud;
//! - [`spool`]: questions that the cloud missed, kept on disk until it answers them;
//! - `sigv4` (feature `gateway`): signing for AWS;
//! - `pack` (feature `pack`): QONNX to a packed model;
//! - `browser` (in wasm32-unknown-unknown): the JavaScript API. The WASI command is `src/gateway`.
//!
//! Whole numbers up to the batch-norms, and floating point in a fixed order behind them, make results
//! the same bit for bit in the reference, in SIMD, natively, in V8 and in wasmtime.
//!
//! ```
//! use fogline_edge::{cloud::Outcome, kernel::Backend, session::Session};
//!
//! let manifest = include_bytes!("../tests/tiny/manifest.json");
//! let model = include_bytes!("../tests/tiny/edge.fog");
//! let mut session = Session::load(manifest, model, Backend::fastest())?;
//! let grey = [127; 16 * 16 * 3];
//! let pass = session.run_edge(&grey);
//! // Either the last exit was sure, or there is a map to send; without a cloud the best exit answers.
//! let outcome = pass.map.is_some().then(Outcome::not_configured);
//! let answer = session.answer(&pass, outcome, 0.0);
//! assert!(answer.origin.starts_with("exit-"));
//! assert_eq!(answer.degraded.is_some(), pass.map.is_some());
//! # Ok::<(), fogline_edge::session::LoadError>(())
//! ```
#![warn(missing_docs)]

pub mod batch;
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod browser;
mod check;
pub mod cloud;
pub mod engine;
pub mod fog;
pub mod folder;
pub mod kernel;
pub mod op;
#[cfg(feature = "pack")]
pub mod pack;
pub mod picture;
mod plan;
pub mod quota;
mod row;
pub mod score;
pub mod session;
#[cfg(any(feature = "gateway", all(test, not(target_family = "wasm"))))]
pub mod sigv4;
pub mod source;
pub mod spool;
