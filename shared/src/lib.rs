//! What Fogline's edge and cloud must agree on.
//!
//! Fogline runs a *conditionally deep hybrid neural network* (Long, Chakraborty, Roy 2020,
//! arXiv 2005.10851): quantised layers on the device end in early exits; a sample that no exit
//! is sure of sends its packed feature map to the cloud, whose full-precision layers finish the
//! job. Two programs on two machines thus take part in one inference, and this crate is the
//! part that is the same in both:
//!
//! - [`manifest`]: what a pair of edge and cloud models is, and its digest;
//! - [`frame`]: how a packed feature map travels, and its answer;
//! - [`packed`]: how the elements of a map lie in bytes;
//! - [`policy`]: when an exit is sure, the same bit for bit everywhere;
//! - [`energy`]: what an inference costs in the paper's model;
//! - [`refusal`]: how either side says no.
//!
//! Nothing in here does I/O or holds `unsafe` code, and it builds for every target.
//!
//! ```
//! use fogline::frame::{Request, Tensor};
//!
//! let request = Request {
//!     pair: [7; 32],
//!     request_id: [1; 16],
//!     tensors: vec![Tensor { shape: [128, 8, 8], bits: 1, bytes: vec![0; 1024] }],
//! };
//! let bytes = request.encode()?;
//! assert_eq!(Request::decode(&bytes)?, request);
//! assert!(Request::decode(&bytes[..100]).is_err());
//! # Ok::<(), fogline::frame::FrameError>(())
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod energy;
pub mod frame;
pub mod manifest;
pub mod packed;
pub mod policy;
pub mod refusal;
