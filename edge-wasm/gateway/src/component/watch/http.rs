//! A camera over HTTP: snapshots, or a Motion JPEG stream, as its answer turns out to be.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use fogline_edge::device::watch::Mjpeg;
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use wstd::future::FutureExt;
use wstd::http::body::Bytes;
use wstd::http::{Error, HeaderValue, Uri};
use wstd::runtime::{Task, spawn};
use wstd::task::sleep_until;
use wstd::time::Instant;

use super::sources::Login;
use crate::component::fault::{Fault, first_line, shown_url};
use crate::component::fetch::{self, Purpose};
use crate::component::signal::Signal;

/// The most bytes of a frame: no camera's picture needs more.
const MOST_FRAME: usize = 16 << 20;

/// A camera that is asked again and again, or whose stream is read.
pub struct Camera {
    url: Uri,
    login: Option<HeaderValue>,
    interval: Duration,
    timeout: Duration,
    /// When the next frame is due.
    due: Instant,
    stream: Option<Stream>,
}

/// A stream that a task of its own reads, so that the frame taken is always the newest.
struct Stream {
    newest: Rc<Newest>,
    _task: Task<()>,
}

#[derive(Default)]
struct Newest {
    frame: RefCell<Option<Result<Vec<u8>, Fault>>>,
    /// Bytes that arrived since a frame was taken.
    bytes: Cell<usize>,
    arrived: Signal,
}

impl Camera {
    pub fn new(
        url: &Uri,
        login: Option<&Login>,
        interval: Duration,
        timeout: Duration,
    ) -> Result<Self, Fault> {
        let header = |Login { user, password }: &Login| {
            let value = format!("Basic {}", BASE64.encode(format!("{user}:{password}")));
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| Fault::new("source_url", "user and password do not fit a header"))?;
            value.set_sensitive(true);
            Ok::<_, Fault>(value)
        };
        let login = login.map(header).transpose()?;
        let due = Instant::now();
        Ok(Self { url: url.clone(), login, interval, timeout, due, stream: None })
    }

    /// The next frame, once it is due.
    pub async fn next(&mut self) -> Result<Vec<u8>, Fault> {
        sleep_until(self.due).await;
        self.due = Instant::now() + self.interval.into();
        let timeout = self.timeout;
        let frame = self.frame().timeout(wstd::time::Duration::from(timeout)).await;
        let frame = frame.unwrap_or_else(|_| Err(self.late()));
        if frame.is_err() {
            self.stream = None;
        }
        frame
    }

    /// Why there was no frame in time.
    fn late(&self) -> Fault {
        let (url, seconds) = (shown_url(&self.url.to_string()), self.timeout.as_secs_f64());
        match self.stream.as_ref().map(|stream| stream.newest.bytes.get()) {
            Some(bytes) if bytes > 0 => {
                let why = format!("{bytes} bytes in {seconds} seconds (--timeout), but no frame");
                Fault::new("camera_stream", format!("{url}: {why}"))
            }
            _ => Fault::new(
                "camera_late",
                format!("{url}: no frame within {seconds} seconds (--timeout)"),
            ),
        }
    }

    async fn frame(&mut self) -> Result<Vec<u8>, Fault> {
        if self.stream.is_none() {
            let response = fetch::open(&self.url, self.login.as_ref(), Purpose::Camera).await?;
            let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok());
            let Some(parser) = kind.and_then(|kind| Mjpeg::of(kind, MOST_FRAME)) else {
                return fetch::body(&self.url, response, MOST_FRAME as u64, Purpose::Camera).await;
            };
            let newest = Rc::<Newest>::default();
            let body = response.into_body().into_boxed_body();
            let url = shown_url(&self.url.to_string());
            let task = spawn(read(url, body, parser, Rc::clone(&newest)));
            self.stream = Some(Stream { newest, _task: task });
        }
        let Some(Stream { newest, .. }) = &self.stream else { unreachable!("it was opened") };
        loop {
            if let Some(frame) = newest.frame.take() {
                newest.bytes.set(0);
                return frame;
            }
            newest.arrived.wait().await;
        }
    }
}

/// Reads a stream until it ends. A frame that nobody took makes way for the next.
async fn read(
    url: String,
    mut body: UnsyncBoxBody<Bytes, Error>,
    mut parser: Mjpeg,
    newest: Rc<Newest>,
) {
    let put = |frame: Result<Vec<u8>, Fault>| {
        newest.frame.replace(Some(frame));
        newest.arrived.raise();
    };
    let fault = |word: &str, why: String| Err(Fault::new(word, format!("{url}: {why}")));
    let end = loop {
        match body.frame().await {
            None => break fault("camera_ended", "the stream ended".into()),
            Some(Err(error)) => break fault("camera_unreachable", first_line(&error)),
            Some(Ok(piece)) => {
                let piece = piece.data_ref().map_or(&[][..], AsRef::as_ref);
                newest.bytes.set(newest.bytes.get() + piece.len());
                parser.push(piece);
            }
        }
        loop {
            match parser.next_frame() {
                Ok(Some(frame)) => put(Ok(frame)),
                Ok(None) => break,
                Err(error) => return put(fault(error.word(), error.to_string())),
            }
        }
    };
    // The last frame is still good.
    while newest.frame.borrow().is_some() {
        sleep_until(Instant::now() + wstd::time::Duration::from_millis(10)).await;
    }
    put(end);
}
