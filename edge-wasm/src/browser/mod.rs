//! The JavaScript API: `Fogline.load(manifestUrl, options)` and `fogline.classify(picture)`. What its objects
//! hold is declared in `types.d.ts`.

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
    /// [`fogline::policy::Rule`]s, as objects.
    #[wasm_bindgen(typescript_type = "PolicyRule[]")]
    pub type Policies;
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
    /// The manifest's text.
    manifest: Box<str>,
    cloud: RefCell<Option<Rc<Client<Fetch>>>>,
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
        // It was parsed, and so is UTF-8. Handing it over as it is spares the engine what would write it anew.
        let manifest = String::from_utf8_lossy(manifest).into();
        let fogline = Self { session: RefCell::new(session), manifest, cloud: RefCell::default() };
        fogline.set_cloud(text("cloud"), text("token"));
        if let Some(policy) = text("policy") {
            fogline.decide_by(&policy, None)?;
        }
        Ok(fogline)
    }

    /// The manifest, as an object.
    ///
    /// # Errors
    /// Never in practice: it was read from JSON.
    #[wasm_bindgen(getter)]
    pub fn manifest(&self) -> Result<JsManifest, JsValue> {
        js_sys::JSON::parse(&self.manifest).map(JsCast::unchecked_into)
    }

    /// The instructions that the convolutions run on: `words` (none), `simd128` or `relaxed-simd`.
    #[wasm_bindgen(getter)]
    pub fn backend(&self) -> String {
        self.session.borrow().backend().to_string()
    }

    /// Decides by a policy, with the manifest's thresholds or with others, one an exit.
    ///
    /// # Errors
    /// An `Error` with `code` `policy_unknown`; `policy_unavailable` where the pair's exits cannot decide by it;
    /// `thresholds_invalid` where they are not one number for each exit.
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

    /// Asks this function from now on, whatever came of asking it before, and shows it this token where there is one;
    /// without an address, asks none.
    #[wasm_bindgen(js_name = setCloud)]
    pub fn set_cloud(&self, url: Option<String>, token: Option<String>) {
        *self.cloud.borrow_mut() = url.map(|url| Rc::new(Client::new(Fetch::new(&url, token))));
    }

    /// The table of policies: by which measures exits may decide, and where each is sure.
    ///
    /// # Errors
    /// Never in practice: it is a file of ours.
    #[wasm_bindgen(getter)]
    pub fn policies() -> Result<Policies, JsValue> {
        js_sys::JSON::parse(POLICIES).map(JsCast::unchecked_into)
    }

    /// What samples cost, by the energy model and its default constants.
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
    /// An `Error` with `code` `picture_size` when bytes and size do not match, `cancelled` after an
    /// abort. A cloud that does not answer is no error: the answer says `degraded`.
    pub async fn classify(
        &self,
        picture: Picture,
        options: Option<ClassifyOptions>,
    ) -> Result<Answer, JsValue> {
        let given = |name| option(options.as_deref(), name);
        let signal = given("signal").map(JsCast::unchecked_into::<AbortSignal>);
        let cancelled = || error("cancelled", "the picture was given up");
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
        // The session is free again before anything waits: several pictures may be under way.
        let asking = given("onAsking").map(JsCast::unchecked_into::<Function>);
        let tell = |guess: &crate::session::Answer, map: &[u8]| {
            if let (Some(asking), Ok(guess)) = (&asking, to_js(guess)) {
                // A fault in the page's own callback must not cost the answer.
                let _ = asking.call2(&JsValue::NULL, &guess, &Uint8Array::from(map));
            }
        };
        let answering = self.session.borrow_mut().classify_telling(&rgb, cloud.as_deref(), &tell);
        let answer = unless_aborted(signal.as_ref(), answering).await.ok_or_else(cancelled)?;
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
