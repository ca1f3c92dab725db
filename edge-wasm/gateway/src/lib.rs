//! The parts of the gateway that are useful without WASI: [`sigv4`], which signs requests for AWS, and [`mqtt`], which keeps messages
//! until a broker has them.
//!
//! The gateway itself is the binary `fogline`, built for wasm32-wasip2.
//!
//! ```
//! use fogline_gateway::sigv4::{Signer, Unsigned};
//!
//! let signer = Signer {
//!     access_key: "AKIDEXAMPLE".into(),
//!     secret_key: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".into(),
//!     session_token: None,
//!     region: "eu-central-1".into(),
//!     service: "lambda".into(),
//! };
//! let host = [("host", "id.lambda-url.eu-central-1.on.aws")];
//! let request = Unsigned { method: "POST", path: "/infer", headers: &host, body: b"frame" };
//! let headers = signer.sign(request, 1_440_938_160);
//! assert!(headers.contains(&("x-amz-date", "20150830T123600Z".to_owned())));
//! ```
#![warn(missing_docs)]

pub mod mqtt;
pub mod sigv4;
