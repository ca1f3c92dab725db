//! The cloud half of Fogline: the full-precision layers of a pair, as an AWS Lambda function.
//!
//! When no exit on the device is sure of a sample, the device sends the packed feature map in a frame
//! (`fogline::frame`). The function finds the pair by the digest in the frame, unpacks the map, runs the pair's
//! `cloud.onnx` and returns class scores. The modules:
//!
//! - [`lambda`]: the AWS Lambda host, and the only module that knows about Lambda;
//! - [`function`]: HTTP request in, HTTP response out, with authentication and logging;
//! - [`preload`]: loads pairs before the first request;
//! - [`plans`]: the plans in memory, by pair digest; each is loaded once and evicted when memory runs short;
//! - [`plan`]: one pair's verified model;
//! - [`runner`]: runs a `cloud.onnx` on batches of any size;
//! - [`batch`]: rewrites convolutions so that a batch reads their weights once;
//! - [`winograd`]: rewrites 3x3 convolutions for `fogline_winograd`, which takes fewer products;
//! - [`half`]: weights in half precision on the store;
//! - [`cache`]: downloaded models on disk;
//! - [`index`]: the pairs in the bucket;
//! - [`store`]: the S3 client for `models/NAME/VERSION/…`;
//! - [`trial`]: a trial of a cloud part before it is packed or published;
//! - [`publish`]: uploads a pair to the bucket.
//!
//! Devices in the field run old versions for months, so the function serves every pair in the bucket rather than one
//! it was built with. It never logs a feature map or a score.
//!
//! The function needs no Lambda: any host that has an `http::Request` can call it. In this example the store is
//! unreachable, so the function is alive but not ready:
//!
//! ```
//! use bytes::Bytes;
//! use fogline_cloud::function::{Auth, Call, Function};
//! use fogline_cloud::plans::{Options, Plans};
//! use fogline_cloud::store::{Settings, Store};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let store = Store::new(Settings {
//!     endpoint: Some("http://127.0.0.1:1".into()),
//!     region: "eu-central-1".into(),
//!     access_key: "key".into(),
//!     secret_key: "secret".into(),
//!     session_token: None,
//!     bucket: "models".into(),
//! });
//! let function = Function::new(Auth::Anybody, Plans::new(store, Options::default()));
//!
//! let health = http::Request::get("/health").body(Bytes::new())?;
//! let response = function.handle(health, Call::default()).await;
//! assert_eq!(response.status(), 200);
//! assert_eq!(response.body(), r#"{"status":"live"}"#);
//!
//! // `/ready` also needs a loaded pair.
//! let ready = http::Request::get("/ready").body(Bytes::new())?;
//! assert_eq!(function.handle(ready, Call::default()).await.status(), 503);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod batch;
pub mod cache;
pub mod function;
pub mod half;
pub mod index;
pub mod lambda;
pub mod plan;
pub mod plans;
pub mod preload;
pub mod publish;
pub mod runner;
pub mod store;
pub mod trial;
pub mod winograd;
