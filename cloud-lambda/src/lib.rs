//! The cloud half of Fogline: the full-precision layers of a pair, as an AWS Lambda function.
//!
//! A sample that no exit on the device was sure of arrives as a packed feature map in a frame
//! (`fogline::frame`). The function finds the pair it belongs to by its digest, unpacks the
//! map, runs the pair's `cloud.onnx` and answers class scores. One noun a module:
//!
//! - [`lambda`]: Lambda's events to the function, and the only module that knows of Lambda;
//! - [`function`]: from an HTTP request to an HTTP response, and who may ask;
//! - [`preload`]: what is loaded before anybody asks;
//! - [`plans`]: every plan by its pair's digest, loaded once each, kept while there is room;
//! - [`plan`]: the verified runner of one pair;
//! - [`runner`]: a `cloud.onnx` that runs any number of maps at once;
//! - [`batch`]: a batch's convolutions as one each;
//! - [`cache`]: models that were fetched, on disk;
//! - [`index`]: which pairs lie in the bucket;
//! - [`store`]: the bucket, which holds `models/NAME/VERSION/…`;
//! - [`publish`]: a pair on its way into it.
//!
//! Edges in the field run old versions for months, so the function serves whatever pair lies in
//! the bucket and never assumes one. Nothing here logs a feature map or a score.
//!
//! Whoever has an HTTP request can ask it, on Lambda or anywhere:
//!
//! ```no_run
//! use bytes::Bytes;
//! use fogline_cloud::function::{Auth, Call, Function};
//! use fogline_cloud::plans::{Options, Plans};
//! use fogline_cloud::store::{Settings, Store};
//!
//! # async fn example(request: http::Request<Bytes>) -> Result<(), Box<dyn std::error::Error>> {
//! let plans = Plans::new(Store::new(Settings::from_env(None)?), Options::from_env()?);
//! let function = Function::new(Auth::from_env()?, plans);
//! let response = function.handle(request, Call::default()).await;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod batch;
pub mod cache;
pub mod function;
pub mod index;
pub mod lambda;
pub mod plan;
pub mod plans;
pub mod preload;
pub mod publish;
pub mod runner;
pub mod store;
