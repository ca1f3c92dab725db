//! The JavaScript API: `Fogline.load(manifestUrl, options)` and `fogline.classify(picture)`. `types.d.ts` declares
//! the fields of its objects.

mod fetch;

use core::cell::RefCell;
use std::rc::Rc;

use fogline::energy::{self, Constants, Ending};
use fogline::manifest::{EDGE_FOG, Manifest};
use fogline::policy::{POLICIES, Policy};
use js_sys::{Function, Object, Reflect, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{AbortSignal, ImageData, RequestInit, Response};

use crate::cloud::Client;
use crate::device::picture::{self, PictureError};
use crate::kernel::Backend;
use crate::session::{DecisionError, LoadError, Session};
use fetch::{Fetch, fetch, read_body, unless_aborted};

const MAX_MANIFEST: usize = 1 << 20;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = include_str!("types.d.ts");

#[wasm_bindgen]
extern "C" {
    /// The optional argument of `Fogline.load`; `types.d.ts` declares its fields.
    #[wasm_bindgen(extends = Object, typescript_type = "LoadOptions")]
    pub type LoadOptions;
    /// The optional argument of `Fogline.open`; `types.d.ts` declares its fields.
    #[wasm_bindgen(extends = Object, typescript_type = "OpenOptions")]
    pub type OpenOptions;
    /// The optional argument of `classify`; `types.d.ts` declares its fields.
    #[wasm_bindgen(extends = Object, typescript_type = "ClassifyOptions")]
    pub type ClassifyOptions;
    /// RGBA pixels, as `ImageData` or as bytes row by row.
    #[wasm_bindgen(typescript_type = "ImageData | Uint8Array | Uint8ClampedArray")]
    pub type Picture;
    /// [`crate::session::Answer`] as a JavaScript object.
    #[wasm_bindgen(typescript_type = "Answer")]
    pub type Answer;
    /// [`Manifest`] as a JavaScript object.
    #[wasm_bindgen(typescript_type = "Manifest")]
    pub type JsManifest;
    /// Energy per sample, in pJ.
    #[wasm_bindgen(typescript_type = "Energy")]
    pub type Energy;
    /// [`fogline::policy::Rule`]s as JavaScript objects.
    #[wasm_bindgen(typescript_type = "PolicyRule[]")]
    pub type Policies;
}

/// An `Error` whose `code` is the error code.
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

impl From<DecisionError> for JsValue {
    fn from(decision: DecisionError) -> Self {
        error(decision.word(), &decision.to_string())
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
    /// The JSON text, for the getter of the same name.
    manifest: Box<str>,
    cloud: RefCell<Option<Rc<Client<Fetch>>>>,
}

#[wasm_bindgen]
impl Fogline {
    /// Fetches a manifest and the packed model beside it, and verifies the model against the manifest.
    ///
    /// # Errors
    /// An `Error` with a `code`: `model_unreachable`, `model_corrupt`, …
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

    /// Loads a pair from a manifest and a packed model that the caller already has.
    ///
    /// # Errors
    /// An `Error` with a `code`: `model_corrupt`, `manifest_invalid`, …
    #[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen hands optional objects over")]
    pub fn open(
        manifest: &[u8],
        fog: &[u8],
        options: Option<OpenOptions>,
    ) -> Result<Fogline, JsValue> {
        let session = Session::load(manifest, fog, Backend::fastest())?;
        let text = |name| option(options.as_deref(), name).and_then(|value| value.as_string());
        // It was parsed, so it is UTF-8. Keeping the text spares the engine a serialiser for manifests.
        let manifest = String::from_utf8_lossy(manifest).into();
        let fogline = Self { session: RefCell::new(session), manifest, cloud: RefCell::default() };
        fogline.set_cloud(text("cloud"), text("token"));
        if let Some(policy) = text("policy") {
            fogline.decide_by(&policy, None)?;
        }
        Ok(fogline)
    }

    /// The manifest as an object.
    ///
    /// # Errors
    /// Never in practice: the text was parsed as JSON before.
    #[wasm_bindgen(getter)]
    pub fn manifest(&self) -> Result<JsManifest, JsValue> {
        js_sys::JSON::parse(&self.manifest).map(JsCast::unchecked_into)
    }

    /// The instruction set of the convolutions: `words` (no SIMD), `simd128` or `relaxed-simd`.
    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        self.session.borrow().backend().to_string()
    }

    /// Decides by `policy` from now on, with the manifest's thresholds or the given ones, one per exit.
    ///
    /// # Errors
    /// An `Error` with the `code` `policy_unknown`, `policy_unavailable` if the pair's exits cannot decide by it, or
    /// `thresholds_invalid` unless there is one number per exit.
    #[wasm_bindgen(js_name = decideBy)]
    #[expect(clippy::needless_pass_by_value, reason = "wasm-bindgen hands optional lists over")]
    pub fn decide_by(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Policy")] policy: &str,
        thresholds: Option<Vec<f32>>,
    ) -> Result<(), JsValue> {
        let policy: Policy = policy.parse().map_err(|why: String| error("policy_unknown", &why))?;
        Ok(self.session.borrow_mut().decide_by(policy, thresholds.as_deref())?)
    }

    /// Asks the function at `url` from now on, with `token` for authentication if there is one. This also resets the
    /// circuit breaker. Without `url`, no cloud is asked.
    #[wasm_bindgen(js_name = setCloud)]
    pub fn set_cloud(&self, url: Option<String>, token: Option<String>) {
        *self.cloud.borrow_mut() = url.map(|url| Rc::new(Client::new(Fetch::new(&url, token))));
    }

    /// The table of policies: what each measures, and on which side of its threshold an exit is sure.
    ///
    /// # Errors
    /// Never in practice: the table is part of Fogline.
    #[wasm_bindgen(getter)]
    pub fn policies() -> Result<Policies, JsValue> {
        js_sys::JSON::parse(POLICIES).map(JsCast::unchecked_into)
    }

    /// Energy per sample, by the energy model with its default constants.
    ///
    /// # Errors
    /// Never in practice.
    #[wasm_bindgen(getter)]
    pub fn energy(&self) -> Result<Energy, JsValue> {
        let session = self.session.borrow();
        let (manifest, constants) = (session.manifest(), Constants::default());
        let of = |ending, way| energy::of_sample(manifest, ending, way, &constants);
        let ways = (0..session.ways()).map(|way| {
            let exits = (0..manifest.exits.len()).map(|i| of(Ending::Exit(i), way));
            serde_json::json!({"exits": exits.collect::<Vec<_>>(), "cloud": of(Ending::Cloud, way)})
        });
        let costs = serde_json::json!({
            "ways": ways.collect::<Vec<_>>(),
            "twin": energy::of_twin(manifest, &constants),
            "radio": constants.sending(1.0),
        });
        to_js(&costs).map(JsCast::unchecked_into)
    }

    /// Classifies an `ImageData` of any size, or RGBA bytes with their width and height.
    ///
    /// # Errors
    /// An `Error` with the `code` `picture_size` if the bytes do not match the size, or `cancelled` after an abort. A
    /// cloud that does not answer is no error: the answer is marked `degraded`.
    pub async fn classify(
        &self,
        picture: Picture,
        options: Option<ClassifyOptions>,
    ) -> Result<Answer, JsValue> {
        let given = |name| option(options.as_deref(), name);
        let signal = given("signal").map(JsCast::unchecked_into::<AbortSignal>);
        let cancelled = || error("cancelled", "classification was aborted");
        if signal.as_ref().is_some_and(AbortSignal::aborted) {
            return Err(cancelled());
        }
        let size = self.session.borrow().manifest().input.size;
        let rgb = if let Some(data) = picture.dyn_ref::<ImageData>() {
            picture::from_rgba(&data.data().0, data.width(), data.height(), size)?
        } else {
            let side = |name| given(name).and_then(|n| n.as_f64()).map_or(size, |n| n as u32);
            let bytes = Uint8Array::new(&picture).to_vec();
            picture::from_rgba(&bytes, side("width"), side("height"), size)?
        };
        let cloud = self.cloud.borrow().clone();
        // Nothing below borrows the session while it waits, so several pictures may be classified at once.
        let asking = given("onAsking").map(JsCast::unchecked_into::<Function>);
        let tell = |guess: &crate::session::Answer, map: &[u8]| {
            if let (Some(asking), Ok(guess)) = (&asking, to_js(guess)) {
                // An error in the page's callback must not cost the answer.
                let _ = asking.call2(&JsValue::NULL, &guess, &Uint8Array::from(map));
            }
        };
        let answering = self.session.borrow_mut().classify_telling(&rgb, cloud.as_deref(), &tell);
        let answer = unless_aborted(signal.as_ref(), answering).await.ok_or_else(cancelled)?;
        to_js(&answer).map(JsCast::unchecked_into)
    }
}

/// The property `name` of `options`, if it is truthy.
fn option(options: Option<&Object>, name: &str) -> Option<JsValue> {
    let value = Reflect::get(options?, &name.into()).ok()?;
    value.is_truthy().then_some(value)
}

fn to_js(value: &impl serde::Serialize) -> Result<JsValue, JsValue> {
    let text = serde_json::to_string(value).map_err(|why| error("internal", &why.to_string()))?;
    js_sys::JSON::parse(&text)
}

/// Fetches a file of at most `total` bytes, by default [`MAX_MANIFEST`].
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
                // An error in the page's callback must not stop the download.
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
