//! Fogline on the device: the edge half of a conditionally deep hybrid network.
//!
//! A picture is quantised to 8-bit levels, passes blocks of 1-bit convolutions, and reaches early
//! exits on the way. An exit that is sure answers, and nothing leaves the device. If none is sure, the
//! feature map at the split point, quantised to bits, goes to the cloud in one frame.
//!
//! - [`tensor`]: shapes, data types and storage of maps and weights;
//! - [`kernel`]: the convolutions, with a reference beside each fast kernel;
//! - [`ops`]: the operations, one file each;
//! - [`model`]: the packed model, which is checked before it runs;
//! - [`engine`]: runs a model from exit to exit;
//! - [`cloud`]: requests to the function, with retries, a deadline and a circuit breaker, over any
//!   `Transport`;
//! - [`session`]: a loaded pair that classifies one picture or many, limits the offload rate, and
//!   scores its answers;
//! - [`device`]: pictures, alike on page and gateway; the folder of a pair and its updates; the spool
//!   of requests that the cloud missed; a gateway's metrics;
//! - `browser` (in wasm32-unknown-unknown): the JavaScript API.
//!
//! Each module uses only those above it. The crates `fogline-gateway` (the WASI component) and
//! `fogline-pack` (QONNX to a packed model) build on this one.
//!
//! Arithmetic is on integers up to the batch-norms, and in floating point in a fixed order after
//! them. Results are therefore the same bit for bit in the reference, in SIMD, natively, in V8 and in
//! wasmtime.
//!
//! ```
//! use fogline_edge::{kernel::Backend, session::Session};
//!
//! let manifest = include_bytes!("../tests/tiny/manifest.json");
//! let model = include_bytes!("../tests/tiny/edge.fog");
//! let mut session = Session::load(manifest, model, Backend::fastest())?;
//! let grey = [127; 16 * 16 * 3];
//! // If no exit is sure, the most confident one answers, because there is no cloud to ask.
//! let answer = session.classify_alone(&grey);
//! assert!(answer.origin.starts_with("exit-"));
//! assert_eq!(answer.degraded.is_some(), !answer.exits.iter().any(|exit| exit.verdict.sure));
//! # Ok::<(), fogline_edge::session::LoadError>(())
//! ```
//!
//! To ask the cloud, a program implements `Transport`. This one speaks HTTP over a plain socket:
//!
//! ```
//! # use core::{future::Future, pin::pin, task::{Context, Poll, Waker}, time::Duration};
//! # use std::io::{Read, Write};
//! # use std::net::{SocketAddr, TcpListener, TcpStream};
//! # use std::hash::{BuildHasher, Hasher, RandomState};
//! # use fogline::frame::{Request, Response};
//! use fogline_edge::cloud::{Client, Reply, Transport, TransportError};
//! use fogline_edge::device::{folder::Folder, picture};
//! use fogline_edge::kernel::Backend;
//!
//! struct Socket { function: SocketAddr }
//!
//! impl Transport for Socket {
//!     async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError> {
//!         // Any HTTP client will do.
//!         let answer = exchange(self.function, body, limit);
//!         answer.map_err(|error| TransportError::Unreachable(error.to_string()))
//!     }
//!     async fn pause(&self, duration: Duration) { std::thread::sleep(duration) }
//!     fn random(&self) -> [u8; 16] {
//!         // Any random generator will do; here, Rust's own random seed.
//!         let half = || RandomState::new().build_hasher().finish().to_le_bytes();
//!         [half(), half()].concat().try_into().expect("two halves of 8 bytes")
//!     }
//! }
//! # fn exchange(function: SocketAddr, body: &[u8], limit: Duration) -> std::io::Result<Reply> {
//! #     let mut stream = TcpStream::connect_timeout(&function, limit)?;
//! #     stream.set_read_timeout(Some(limit))?;
//! #     write!(stream, "POST /infer HTTP/1.0\r\ncontent-length: {}\r\n\r\n", body.len())?;
//! #     stream.write_all(body)?;
//! #     let mut answer = vec![];
//! #     stream.read_to_end(&mut answer)?;
//! #     let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
//! #     let status = std::str::from_utf8(&answer[9..12]).unwrap().parse().unwrap();
//! #     Ok(Reply { status, retry_after: None, body: answer.split_off(end) })
//! # }
//! # // A function that assigns every sample to class 3.
//! # fn function() -> SocketAddr {
//! #     let listener = TcpListener::bind("127.0.0.1:0").unwrap();
//! #     let address = listener.local_addr().unwrap();
//! #     std::thread::spawn(move || {
//! #         let (mut stream, _) = listener.accept().unwrap();
//! #         let mut bytes = vec![];
//! #         let request = loop {
//! #             let mut some = [0; 4096];
//! #             let length = stream.read(&mut some).unwrap();
//! #             bytes.extend(&some[..length]);
//! #             let head = bytes.windows(4).position(|four| four == b"\r\n\r\n");
//! #             if let Some(Ok(request)) = head.map(|at| Request::decode(&bytes[at + 4..])) {
//! #                 break request;
//! #             }
//! #         };
//! #         let scores = vec![vec![0.0, 0.0, 0.0, 9.0, 0.0]; request.tensors.len()];
//! #         let body = Response { request_id: request.request_id, scores }.encode().unwrap();
//! #         stream.write_all(b"HTTP/1.0 200 OK\r\n\r\n").unwrap();
//! #         stream.write_all(&body).unwrap();
//! #     });
//! #     address
//! # }
//! # // `Socket` only ever blocks, so the future is never pending.
//! # fn block_on<T>(future: impl Future<Output = T>) -> T {
//! #     match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
//! #         Poll::Ready(value) => value,
//! #         Poll::Pending => unreachable!("no part of it is ever pending"),
//! #     }
//! # }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let (folder, function) = ("tests/tiny", function());
//! let cloud = Client::new(Socket { function }).within(Duration::from_secs(2));
//! let mut session = Folder::at(folder.as_ref()).load(Backend::fastest())?;
//! # session.decide_by(session.policy(), Some(&[-1.0, -1.0]))?; // No exit is ever sure.
//! let picture = image::open("../web-demo/samples/frog.png")?.into_rgba8();
//! let (width, height) = picture.dimensions();
//! let size = session.manifest().input.size;
//! let pixels = picture::from_rgba(&picture, width, height, size)?;
//! let answer = block_on(session.classify(&pixels, Some(&cloud)));
//! println!("{} by {}", answer.label, answer.origin);
//! # assert_eq!((answer.label.as_str(), answer.origin.as_str()), ("class-3", "cloud"));
//! # assert!(answer.degraded.is_none() && answer.exits.len() == 2 && answer.bytes_sent > 0);
//! # Ok(())
//! # }
//! ```
#![warn(missing_docs)]

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
pub mod browser;
mod clock;
pub mod cloud;
pub mod device;
pub mod engine;
pub mod kernel;
pub mod model;
pub mod ops;
pub mod session;
pub mod tensor;
