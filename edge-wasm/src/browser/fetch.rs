//! The [`Transport`] over the browser's `fetch`.

use core::cell::Cell;
use core::future::poll_fn;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use fogline::frame::MEDIA_TYPE;
use js_sys::{Date, Function, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, ReadableStreamDefaultReader, RequestInit, Response,
};

use super::error;
use crate::cloud::{MAX_REPLY, Reply, Transport, TransportError, seconds};

// Declared here instead of taken from `Window`, so that the engine also runs in a worker.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    pub(super) fn fetch(url: &str, init: &RequestInit) -> Promise;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
    #[wasm_bindgen(js_name = parseFloat)]
    fn parse_float(text: &str) -> f64;
}

/// Reads the body of a response, or returns `None` if it is longer than `limit` bytes. `report` gets the length so far.
pub(super) async fn read_body(
    response: &Response,
    limit: usize,
    report: impl Fn(usize),
) -> Result<Option<Vec<u8>>, JsValue> {
    let mut bytes = vec![];
    let Some(body) = response.body() else { return Ok(Some(bytes)) };
    let reader: ReadableStreamDefaultReader = body.get_reader().unchecked_into();
    loop {
        let chunk = JsFuture::from(reader.read()).await?;
        if Reflect::get(&chunk, &"done".into())?.is_truthy() {
            return Ok(Some(bytes));
        }
        let chunk: Uint8Array = Reflect::get(&chunk, &"value".into())?.unchecked_into();
        if bytes.len() + chunk.length() as usize > limit {
            return Ok(None);
        }
        bytes.extend(chunk.to_vec());
        report(bytes.len());
    }
}

/// The output of `future`, or `None` if the signal aborts first; then `future` is dropped.
pub(super) async fn unless_aborted<T>(
    signal: Option<&AbortSignal>,
    future: impl Future<Output = T>,
) -> Option<T> {
    let Some(signal) = signal else { return Some(future.await) };
    // wasm-bindgen's default function is made from text, which content security policies forbid.
    let mut listener: Function = JsValue::UNDEFINED.unchecked_into();
    let aborted = Promise::new(&mut |resolve, _| listener = resolve);
    // Adding and removing a listener cannot fail on a signal.
    let _ = signal.add_event_listener_with_callback("abort", &listener);
    let output = {
        let (mut future, mut aborted) = (pin!(future), pin!(JsFuture::from(aborted)));
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending => aborted.as_mut().poll(context).map(|_| None),
        })
        .await
    };
    // A signal may outlive many pictures.
    let _ = signal.remove_event_listener_with_callback("abort", &listener);
    output
}

/// Posts to one function.
pub(super) struct Fetch {
    url: String,
    authorization: Option<String>,
    function_ms: Cell<Option<f64>>,
}

impl Fetch {
    pub(super) fn new(base: &str, token: Option<String>) -> Self {
        Self {
            url: format!("{}/infer", base.trim_end_matches('/')),
            authorization: token.map(|token| format!("Bearer {token}")),
            function_ms: Cell::default(),
        }
    }

    async fn exchange(&self, body: &[u8], abort: &AbortController) -> Result<Reply, JsValue> {
        let headers = Headers::new()?;
        headers.set("content-type", MEDIA_TYPE)?;
        headers.set("accept", MEDIA_TYPE)?;
        if let Some(authorization) = &self.authorization {
            headers.set("authorization", authorization)?;
        }
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&Uint8Array::from(body));
        init.set_signal(Some(&abort.signal()));
        let response: Response = JsFuture::from(fetch(&self.url, &init)).await?.unchecked_into();
        let retry_after =
            response.headers().get("retry-after")?.and_then(|said| retry_after(&said));
        let timing = response.headers().get("server-timing")?;
        let body = read_body(&response, MAX_REPLY, |_| ()).await?;
        let body = body.ok_or_else(|| error("too_large", "the answer is too large"))?;
        // From another origin, the header is visible only if CORS exposes it.
        self.function_ms.set(timing.as_deref().and_then(function_ms));
        Ok(Reply { status: response.status(), retry_after, body })
    }
}

/// The function's own time in milliseconds, from `Server-Timing`. Proxies append their times after it.
fn function_ms(timing: &str) -> Option<f64> {
    // `parseFloat` ignores what follows the number, and gives NaN if there is no number.
    let ms = parse_float(timing.strip_prefix("fogline;dur=")?);
    ms.is_finite().then_some(ms)
}

/// The wait that a `Retry-After` asks for, in seconds or up to a date.
fn retry_after(said: &str) -> Option<Duration> {
    let to_date = || {
        let ms = Date::parse(said) - Date::now();
        (ms.is_finite()).then(|| Duration::from_secs_f64(ms.max(0.0) / 1e3))
    };
    seconds(said).or_else(to_date)
}

/// Whether the browser reports that it is offline.
fn is_offline() -> bool {
    let navigator = Reflect::get(&js_sys::global(), &"navigator".into());
    let online = navigator.and_then(|navigator| Reflect::get(&navigator, &"onLine".into()));
    online.is_ok_and(|online| online == false)
}

/// An exchange in progress; dropping it aborts the request and clears its timer.
struct Exchange<'a> {
    abort: &'a AbortController,
    timer: JsValue,
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        clear_timeout(&self.timer);
        self.abort.abort();
    }
}

impl Transport for Fetch {
    async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError> {
        let broken = |why: JsValue| {
            let why: js_sys::Error = why.unchecked_into();
            TransportError::Unreachable(String::from(why.message()))
        };
        let abort = AbortController::new().map_err(broken)?;
        let stop = Closure::<dyn FnMut()>::new({
            let abort = abort.clone();
            move || abort.abort()
        });
        let timer = set_timeout(stop.as_ref().unchecked_ref(), limit.as_secs_f64() * 1e3);
        let _exchange = Exchange { abort: &abort, timer };
        let reply = self.exchange(body, &abort).await;
        reply.map_err(|why| {
            let code = Reflect::get(&why, &"code".into()).ok().and_then(|code| code.as_string());
            if code.as_deref() == Some("too_large") {
                TransportError::TooLarge
            } else if abort.signal().aborted() {
                TransportError::Late
            } else if is_offline() {
                TransportError::Unconnected("this device is offline".into())
            } else {
                broken(why)
            }
        })
    }

    fn function_ms(&self) -> Option<f64> {
        self.function_ms.get()
    }

    async fn pause(&self, duration: Duration) {
        let wait = Promise::new(&mut |resolve, _| {
            set_timeout(&resolve, duration.as_secs_f64() * 1e3);
        });
        // A timer's promise is never rejected.
        let _ = JsFuture::from(wait).await;
    }

    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        get_random_values(&mut bytes);
        bytes
    }
}
