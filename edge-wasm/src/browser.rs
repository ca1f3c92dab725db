//! The JavaScript API: `Fogline.load(manifestUrl, options)` and `fogline.classify(picture)`. What its objects
//! hold is declared in `browser/types.d.ts`.

use core::cell::RefCell;
use core::time::Duration;

use fogline::energy::{self, Constants, Ending};
use fogline::frame::MEDIA_TYPE;
use fogline::manifest::{EDGE_FOG, Manifest};
use fogline::policy::Policy;
use js_sys::{Function, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{
    AbortController, AbortSignal, Headers, ImageData, ReadableStreamDefaultReader, RequestInit,
    Response,
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

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("browser/types.d.ts");

#[wasm_bindgen]
extern "C" {
    /// What `Fogline.load` takes beside the manifest's address.
    #[wasm_bindgen(extends = Object, typescript_type = "LoadOptions")]
    pub type LoadOptions;
    /// What `Fogline.open` takes beside the bytes.
    #[wasm_bindgen(extends = Object, typescript_type = "OpenOptions")]
    pub type OpenOptions;
    /// What `classify` takes beside the picture.
    #[wasm_bindgen(extends = Object, typescript_type = "ClassifyOptions")]
    pub type ClassifyOptions;
    /// Pixels, RGBA.
    #[wasm_bindgen(typescript_type = "ImageData | Uint8Array | Uint8ClampedArray")]
    pub type Picture;
    /// [`crate::session::Answer`], as an object.
    #[wasm_bindgen(typescript_type = "Answer")]
    pub type Answer;
    /// [`Manifest`], as an object.
    #[wasm_bindgen(typescript_type = "Manifest")]
    pub type JsManifest;
    /// What samples cost, in pJ.
    #[wasm_bindgen(typescript_type = "Energy")]
    pub type Energy;
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
    cloud: RefCell<Option<String>>,
}

#[wasm_bindgen]
impl Fogline {
    /// Fetches a manifest and the packed model beside it, and verifies the one by the other.
    ///
    /// # Errors
    /// An `Error` whose `code` is a machine word: `model_unreachable`, `model_corrupt`, …
    pub async fn load(
        manifest_url: String,
        options: Option<LoadOptions>,
    ) -> Result<Fogline, JsValue> {
        let progress = option(options.as_deref(), "onProgress").and_then(|f| f.dyn_into().ok());
        let manifest = download(&manifest_url, "manifest.json", None, progress.as_ref()).await?;
        let parsed = Manifest::parse(&manifest).map_err(LoadError::Manifest)?;
        let total = parsed.files.get(EDGE_FOG).map(|file| file.bytes as usize);
        let base = manifest_url.rsplit_once('/').map_or("", |(base, _)| base);
        let fog_url =
            if base.is_empty() { EDGE_FOG.to_owned() } else { format!("{base}/{EDGE_FOG}") };
        let fog = download(&fog_url, EDGE_FOG, total, progress.as_ref()).await?;
        Self::open(&manifest, &fog, options.map(JsCast::unchecked_into))
    }

    /// The pair of a manifest and a packed model that the caller fetched, or kept, himself.
    ///
    /// # Errors
    /// An `Error` whose `code` is a machine word: `model_corrupt`, `manifest_invalid`, …
    #[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen hands optional objects over")]
    pub fn open(
        manifest: &[u8],
        fog: &[u8],
        options: Option<OpenOptions>,
    ) -> Result<Fogline, JsValue> {
        let session = Session::load(manifest, fog, Backend::fastest())?;
        let text = |name| option(options.as_deref(), name).and_then(|value| value.as_string());
        let fogline = Self { session: RefCell::new(session), cloud: RefCell::new(text("cloud")) };
        if let Some(policy) = text("policy") {
            fogline.decide_by(&policy, None)?;
        }
        Ok(fogline)
    }

    /// The manifest, as an object.
    ///
    /// # Errors
    /// Never in practice: a manifest always has a JSON form.
    #[wasm_bindgen(getter)]
    pub fn manifest(&self) -> Result<JsManifest, JsValue> {
        to_js(self.session.borrow().manifest()).map(JsCast::unchecked_into)
    }

    /// The instructions that the convolutions run on: `words` (none), `simd128` or `relaxed-simd`.
    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        self.session.borrow().backend().to_string()
    }

    /// Decides by a policy, with the manifest's thresholds or with others, one an exit.
    ///
    /// # Errors
    /// An `Error` with `code` `policy_unknown`, or `model_mismatch` where the exits lack thresholds.
    #[wasm_bindgen(js_name = decideBy)]
    pub fn decide_by(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Policy")] policy: &str,
        thresholds: Option<Vec<f32>>,
    ) -> Result<(), JsValue> {
        let policy: Policy = policy.parse().map_err(|why: String| error("policy_unknown", &why))?;
        let mut session = self.session.borrow_mut();
        session.set_policy(policy)?;
        if let Some(thresholds) = thresholds {
            session.set_thresholds(&thresholds)?;
        }
        Ok(())
    }

    /// Asks this function from now on; without an address, none.
    #[wasm_bindgen(js_name = setCloud)]
    pub fn set_cloud(&self, url: Option<String>) {
        *self.cloud.borrow_mut() = url;
    }

    /// What samples cost, by the energy model and its default constants.
    ///
    /// # Errors
    /// Never in practice.
    #[wasm_bindgen(getter)]
    pub fn energy(&self) -> Result<Energy, JsValue> {
        let session = self.session.borrow();
        let (manifest, constants) = (session.manifest(), Constants::default());
        let of = |ending| energy::of_sample(manifest, ending, &constants);
        let exits: Vec<_> = (0..manifest.exits.len()).map(|i| of(Ending::Exit(i))).collect();
        let costs = serde_json::json!({
            "exits": exits,
            "cloud": of(Ending::Cloud),
            "twin": energy::of_twin(manifest, &constants),
            "radio": constants.sending(1.0),
        });
        to_js(&costs).map(JsCast::unchecked_into)
    }

    /// Classifies an `ImageData` of any size, or RGBA bytes with their width and height.
    ///
    /// # Errors
    /// An `Error` with `code` `picture_size` when bytes and size do not match, `cancelled` after an
    /// abort. A cloud that does not answer is no error: the answer says `degraded`.
    pub async fn classify(
        &self,
        picture: Picture,
        options: Option<ClassifyOptions>,
    ) -> Result<Answer, JsValue> {
        let given = |name| option(options.as_deref(), name);
        let signal = given("signal").map(JsCast::unchecked_into::<AbortSignal>);
        let cancelled = || signal.as_ref().is_some_and(AbortSignal::aborted);
        if cancelled() {
            return Err(error("cancelled", "the picture was given up"));
        }
        let size = self.session.borrow().manifest().input.size;
        let rgb = if let Some(data) = picture.dyn_ref::<ImageData>() {
            picture::from_rgba(&data.data().0, data.width(), data.height(), size)?
        } else {
            let side = |name| given(name).and_then(|n| n.as_f64()).map_or(size, |n| n as u32);
            let bytes = Uint8Array::new(&picture).to_vec();
            picture::from_rgba(&bytes, side("width"), side("height"), size)?
        };
        let began = performance_now();
        let pass = self.session.borrow_mut().run_edge(&rgb);
        let edge_ms = performance_now() - began;
        let url = self.cloud.borrow().clone();
        let outcome = match (&pass.map, url) {
            (None, _) => None,
            (Some(_), None) => Some(session::no_cloud()),
            (Some(map), Some(url)) => {
                let mut id = [0; 16];
                get_random_values(&mut id);
                // Not borrowed while waiting: several pictures may be under way.
                let (request, classes) = {
                    let session = self.session.borrow();
                    (session.request(map.clone(), id), session.manifest().classes.len())
                };
                let cloud = Fetch::new(&url, signal.clone());
                let outcome = session::ask(&cloud, &request, classes).await;
                if cancelled() {
                    return Err(error("cancelled", "the picture was given up"));
                }
                Some(outcome)
            }
        };
        let answer = self.session.borrow().answer(&pass, outcome, edge_ms);
        to_js(&answer).map(JsCast::unchecked_into)
    }
}

/// A property that is there and says something.
fn option(options: Option<&Object>, name: &str) -> Option<JsValue> {
    let value = Reflect::get(options?, &name.into()).ok()?;
    value.is_truthy().then_some(value)
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
    /// The caller's, who may give up.
    signal: Option<AbortSignal>,
}

impl Fetch {
    fn new(base: &str, signal: Option<AbortSignal>) -> Self {
        Self { url: format!("{}/infer", base.trim_end_matches('/')), signal }
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
        let stop = Closure::<dyn FnMut()>::new({
            let abort = abort.clone();
            move || abort.abort()
        });
        let stop: &Function = stop.as_ref().unchecked_ref();
        if let Some(signal) = &self.signal {
            signal.add_event_listener_with_callback("abort", stop).map_err(broken)?;
            if signal.aborted() {
                abort.abort();
            }
        }
        let timer = set_timeout(stop, limit.as_secs_f64() * 1e3);
        let reply = self.exchange(body, &abort).await;
        clear_timeout(&timer);
        if let Some(signal) = &self.signal {
            signal.remove_event_listener_with_callback("abort", stop).map_err(broken)?;
        }
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
