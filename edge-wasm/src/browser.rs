//! The JavaScript API: `Fogline.load(manifestUrl, options)` and `fogline.classify(picture)`.

use core::cell::RefCell;
use core::time::Duration;

use fogline::frame::MEDIA_TYPE;
use fogline::manifest::{EDGE_FOG, Manifest};
use fogline::policy::Policy;
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, Headers, ImageData, ReadableStreamDefaultReader, RequestInit, Response,
};

use crate::cloud::{MAX_REPLY, Reply, Transport, TransportError};
use crate::kernel::Backend;
use crate::picture::{self, PictureError};
use crate::session::{self, LoadError, Session};

const MAX_MANIFEST: usize = 1 << 20;

// Declared here rather than taken from `Window`, so that the engine runs in a worker too.
#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_name = fetch)]
    fn fetch(url: &str, init: &RequestInit) -> Promise;
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Function, ms: f64) -> JsValue;
    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(id: &JsValue);
    #[wasm_bindgen(js_namespace = performance, js_name = now)]
    fn performance_now() -> f64;
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

/// An `Error` whose `code` is the machine word.
fn error(code: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    // Setting a property of a fresh object cannot fail.
    let _ = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}

impl From<LoadError> for JsValue {
    fn from(load: LoadError) -> Self {
        error(load.word(), &load.to_string())
    }
}

impl From<PictureError> for JsValue {
    fn from(picture: PictureError) -> Self {
        error(picture.word(), &picture.to_string())
    }
}

/// A pair of models, loaded into this page or worker.
#[wasm_bindgen]
pub struct Fogline {
    session: RefCell<Session>,
    cloud: Option<Fetch>,
}

#[wasm_bindgen]
impl Fogline {
    /// Fetches a manifest and the packed model beside it, and verifies the one by the other.
    ///
    /// `options`: `cloud`, the base URL of the function (frames are posted to `cloud + "/infer"`);
    /// `onProgress`, called with `{file, loaded, total}`; `policy`, one of `entropy`,
    /// `max_probability` and `margin`.
    ///
    /// # Errors
    /// An `Error` whose `code` is a machine word: `model_unreachable`, `model_corrupt`, …
    pub async fn load(manifest_url: String, options: Option<Object>) -> Result<Fogline, JsValue> {
        let option = |name: &str| {
            options
                .as_ref()
                .and_then(|o| Reflect::get(o, &name.into()).ok())
                .filter(JsValue::is_truthy)
        };
        let progress = option("onProgress").and_then(|f| f.dyn_into::<Function>().ok());
        let manifest = download(&manifest_url, "manifest.json", None, progress.as_ref()).await?;
        let parsed = Manifest::parse(&manifest).map_err(LoadError::Manifest)?;
        let total = parsed.files.get(EDGE_FOG).map(|file| file.bytes as usize);
        let base = manifest_url.rsplit_once('/').map_or("", |(base, _)| base);
        let fog_url =
            if base.is_empty() { EDGE_FOG.to_owned() } else { format!("{base}/{EDGE_FOG}") };
        let fog = download(&fog_url, EDGE_FOG, total, progress.as_ref()).await?;
        let mut session = Session::load(&manifest, &fog, Backend::fastest())?;
        if let Some(policy) = option("policy") {
            let name = policy.as_string().unwrap_or_default();
            let policy: Policy =
                name.parse().map_err(|why: String| error("policy_unknown", &why))?;
            session.set_policy(policy)?;
        }
        let cloud = option("cloud").and_then(|url| url.as_string()).map(|base| Fetch::new(&base));
        Ok(Self { session: RefCell::new(session), cloud })
    }

    /// The manifest, as an object.
    ///
    /// # Errors
    /// Never in practice: a manifest always has a JSON form.
    #[wasm_bindgen(getter)]
    pub fn manifest(&self) -> Result<JsValue, JsValue> {
        to_js(self.session.borrow().manifest())
    }

    /// The instructions that the convolutions run on: `simd128` or `relaxed-simd`.
    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        self.session.borrow().backend().to_string()
    }

    /// Classifies an `ImageData` of any size, or RGBA bytes with their width and height (by
    /// default the model's input size).
    ///
    /// # Errors
    /// An `Error` with `code` `picture_size` when bytes and size do not match. A cloud that does
    /// not answer is no error: the answer says `degraded`.
    pub async fn classify(
        &self,
        picture: JsValue,
        width: Option<u32>,
        height: Option<u32>,
    ) -> Result<JsValue, JsValue> {
        let size = self.session.borrow().manifest().input.size;
        let rgb = if let Some(data) = picture.dyn_ref::<ImageData>() {
            picture::from_rgba(&data.data().0, data.width(), data.height(), size)?
        } else {
            let bytes = Uint8Array::new(&picture).to_vec();
            picture::from_rgba(&bytes, width.unwrap_or(size), height.unwrap_or(size), size)?
        };
        let began = performance_now();
        let pass = self.session.borrow_mut().run_edge(&rgb);
        let edge_ms = performance_now() - began;
        let outcome = match (&pass.map, &self.cloud) {
            (None, _) => None,
            (Some(_), None) => Some(session::no_cloud()),
            (Some(map), Some(cloud)) => {
                let mut id = [0; 16];
                get_random_values(&mut id);
                // Not borrowed while waiting: several pictures may be under way.
                let (request, classes) = {
                    let session = self.session.borrow();
                    (session.request(map.clone(), id), session.manifest().classes.len())
                };
                Some(session::ask(cloud, &request, classes).await)
            }
        };
        to_js(&self.session.borrow().answer(&pass, outcome, edge_ms))
    }
}

fn to_js(value: &impl serde::Serialize) -> Result<JsValue, JsValue> {
    let text = serde_json::to_string(value).map_err(|why| error("internal", &why.to_string()))?;
    js_sys::JSON::parse(&text)
}

/// Fetches a file of at most `total` bytes, or of a manifest's.
async fn download(
    url: &str,
    file: &str,
    total: Option<usize>,
    progress: Option<&Function>,
) -> Result<Vec<u8>, JsValue> {
    let unreachable = |why: &str| error("model_unreachable", &format!("{file} at {url}: {why}"));
    let response = JsFuture::from(fetch(url, &RequestInit::new()))
        .await
        .map_err(|_| unreachable("the server is out of reach"))?
        .unchecked_into::<Response>();
    if !response.ok() {
        return Err(unreachable(&format!("HTTP status {}", response.status())));
    }
    let report = |loaded: usize| {
        if let Some(progress) = progress {
            let event = serde_json::json!({"file": file, "loaded": loaded, "total": total});
            if let Ok(event) = js_sys::JSON::parse(&event.to_string()) {
                // A fault in the page's own callback must not stop the download.
                let _ = progress.call1(&JsValue::NULL, &event);
            }
        }
    };
    let limit = total.unwrap_or(MAX_MANIFEST);
    match read_body(&response, limit, report).await {
        Ok(Some(bytes)) => Ok(bytes),
        Ok(None) => Err(error(
            fogline::refusal::MODEL_CORRUPT,
            &format!("{file} at {url} is longer than {limit} bytes"),
        )),
        Err(_) => Err(unreachable("the connection broke")),
    }
}

/// Reads a body; `None` when it is longer than `limit`.
async fn read_body(
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

/// The cloud over `fetch`.
struct Fetch {
    url: String,
}

impl Fetch {
    fn new(base: &str) -> Self {
        Self { url: format!("{}/infer", base.trim_end_matches('/')) }
    }

    async fn exchange(&self, body: &[u8], abort: &AbortController) -> Result<Reply, JsValue> {
        let headers = Headers::new()?;
        headers.set("content-type", MEDIA_TYPE)?;
        headers.set("accept", MEDIA_TYPE)?;
        let init = RequestInit::new();
        init.set_method("POST");
        init.set_headers(&headers);
        init.set_body(&Uint8Array::from(body));
        init.set_signal(Some(&abort.signal()));
        let response: Response = JsFuture::from(fetch(&self.url, &init)).await?.unchecked_into();
        let retry_after = response.headers().get("retry-after")?.and_then(|s| s.parse().ok());
        let body = read_body(&response, MAX_REPLY, |_| ()).await?;
        let body = body.ok_or_else(|| error("too_large", "the answer is too large"))?;
        Ok(Reply {
            status: response.status(),
            retry_after: retry_after.map(Duration::from_secs),
            body,
        })
    }
}

impl Transport for Fetch {
    async fn post(&self, body: &[u8], limit: Duration) -> Result<Reply, TransportError> {
        let broken = |why: JsValue| {
            let why: js_sys::Error = why.unchecked_into();
            TransportError::Unreachable(String::from(why.message()))
        };
        let abort = AbortController::new().map_err(broken)?;
        let late = Closure::once({
            let abort = abort.clone();
            move || abort.abort()
        });
        let timer = set_timeout(late.as_ref().unchecked_ref(), limit.as_secs_f64() * 1e3);
        let reply = self.exchange(body, &abort).await;
        clear_timeout(&timer);
        reply.map_err(|why| {
            let code = Reflect::get(&why, &"code".into()).ok().and_then(|code| code.as_string());
            if code.as_deref() == Some("too_large") {
                TransportError::TooLarge
            } else if abort.signal().aborted() {
                TransportError::Late
            } else {
                broken(why)
            }
        })
    }

    async fn pause(&self, duration: Duration) {
        let wait = Promise::new(&mut |resolve, _| {
            set_timeout(&resolve, duration.as_secs_f64() * 1e3);
        });
        // A timer's promise is never rejected.
        let _ = JsFuture::from(wait).await;
    }

    fn now(&self) -> Duration {
        Duration::from_secs_f64(performance_now() / 1e3)
    }

    fn random(&self) -> f64 {
        js_sys::Math::random()
    }
}
