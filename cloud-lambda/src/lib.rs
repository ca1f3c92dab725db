//! The cloud half of Fogline: the full-precision layers of a pair, as an AWS Lambda function.
//!
//! A sample that no exit on the device was sure of arrives as a packed feature map in a frame
//! (`fogline::frame`). The function finds the pair it belongs to by its digest, unpacks the
//! map, runs the pair's `cloud.onnx` and answers class scores. Four modules, one noun each:
//!
//! - [`store`]: the bucket that holds `models/NAME/VERSION/…`;
//! - [`plan`]: one verified `cloud.onnx`, ready to run;
//! - [`plans`]: every plan by its pair's digest, loaded once each;
//! - [`handler`]: from an HTTP request to an HTTP response.
//!
//! Edges in the field run old versions for months, so the function serves whatever pair lies in
//! the bucket and never assumes one. Nothing here logs a feature map or a score.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use fogline_cloud::{handler, plans::Plans, store::{Settings, Store}};
//!
//! # async fn example(request: lambda_http::Request) -> Result<(), Box<dyn std::error::Error>> {
//! let plans = Arc::new(Plans::new(Store::new(Settings::from_env()?)));
//! let response = handler::handle(&plans, request).await;
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod handler;
pub mod plan;
pub mod plans;
pub mod store;
