//! The cloud half of Fogline: the full-precision layers of a pair, as an AWS Lambda function.
//!
//! A sample that no exit on the device was sure of arrives as a packed feature map in a frame
//! (`fogline::frame`). The function finds the pair it belongs to by its digest, unpacks the
//! map, runs the pair's `cloud.onnx` and answers class scores. One noun a module:
//!
//! - [`auth`]: who may ask;
//! - [`store`]: the bucket that holds `models/NAME/VERSION/…`;
//! - [`index`]: which pairs lie in it;
//! - [`cache`]: models that were fetched, on disk;
//! - [`batch`]: a batch's convolutions as one each;
//! - [`runner`]: a `cloud.onnx` that runs any number of maps at once;
//! - [`plan`]: the verified runner of one pair;
//! - [`plans`]: every plan by its pair's digest, loaded once each, kept while there is room;
//! - [`body`]: what a request holds, whatever it came as;
//! - [`metadata`]: what a model takes and gives;
//! - [`handler`]: from an HTTP request to an HTTP response;
//! - [`publish`]: a pair on its way into the bucket;
//! - [`record`]: what the log and the metrics say of it.
//!
//! Edges in the field run old versions for months, so the function serves whatever pair lies in
//! the bucket and never assumes one. Nothing here logs a feature map or a score.
//!
//! ```no_run
//! use fogline_cloud::{handler, plans::{Options, Plans}, store::{Settings, Store}};
//!
//! # async fn example(request: lambda_http::Request) -> Result<(), Box<dyn std::error::Error>> {
//! let plans = Plans::new(Store::new(Settings::from_env(None)?), Options::from_env()?);
//! let response = handler::handle(&plans, request).await;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod auth;
pub mod batch;
pub mod body;
pub mod cache;
pub mod handler;
pub mod index;
pub mod metadata;
pub mod plan;
pub mod plans;
pub mod publish;
pub mod record;
pub mod runner;
pub mod store;
