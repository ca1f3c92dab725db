//! What Fogline's edge and cloud must agree on.
//!
//! Fogline runs a *conditionally deep hybrid neural network* (Long, Chakraborty, Roy 2020,
//! arXiv 2005.10851). Quantised layers on the device end in early exits. A sample that no exit is
//! sure of sends its packed feature map to the cloud, whose full-precision layers finish the
//! inference. Two programs on two machines share one inference, and this crate holds the code
//! that must be the same in both:
//!
//! - [`manifest`]: what describes a pair of edge and cloud models, and the digest that names it;
//! - [`frame`]: the request that carries packed feature maps, and the response;
//! - [`packed`]: the byte layout of a packed map;
//! - [`policy`]: when an exit is sure, bit for bit the same everywhere;
//! - [`energy`]: what an inference costs, by the paper's energy model;
//! - [`refusal`]: the error codes and the body of an error response;
//! - [`trace`]: the header that ties a request to what it leads to.
//!
//! The crate does no I/O, has no `unsafe` code, and builds for every target.
//!
//! An edge encodes its hard samples; the cloud decodes them, or says what is wrong:
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

pub mod coding;
pub mod energy;
pub mod frame;
pub mod manifest;
pub mod packed;
pub mod policy;
pub mod refusal;
pub mod trace;
