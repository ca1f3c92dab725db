//! The page's files: the page itself, the built engine under `/pkg/`, the pairs under
//! `/models/`, a dataset's pictures under `/gallery/` where there are any, and a generated `/config.json`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use serde_json::Value;

/// What this server answers.
pub type Answer = Response<Full<Bytes>>;

/// The folders that make up the page.
#[derive(Debug)]
pub struct Site {
    page: PathBuf,
    pkg: PathBuf,
    models: PathBuf,
    gallery: Option<PathBuf>,
    config: Bytes,
    /// The page's own content policy as a header too: what the page says of itself does not bind its worker.
    policy: Option<HeaderValue>,
}

impl Site {
    /// A site of these folders.
    pub fn new(page: &Path, pkg: &Path, models: &Path, config: &Value) -> Self {
        Self {
            page: page.to_owned(),
            pkg: pkg.to_owned(),
            models: models.to_owned(),
            gallery: None,
            config: config.to_string().into(),
            policy: policy(page),
        }
    }

    /// The same with a folder of pictures.
    #[must_use]
    pub fn with_gallery(self, gallery: Option<PathBuf>) -> Self {
        Self { gallery, ..self }
    }

    /// The answer to one request. Hyper leaves the body out where the method is HEAD.
    pub async fn answer(&self, method: &Method, path: &str) -> Answer {
        let mut answer = self.unbound(method, path).await;
        if let Some(policy) = &self.policy {
            answer.headers_mut().insert(CONTENT_SECURITY_POLICY, policy.clone());
        }
        answer
    }

    async fn unbound(&self, method: &Method, path: &str) -> Answer {
        if method != Method::GET && method != Method::HEAD {
            let mut refused = answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n");
            refused.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return refused;
        }
        if path == "/config.json" {
            return answer(StatusCode::OK, "application/json", self.config.clone());
        }
        let found = match self.file(path) {
            Some((root, file)) => read(root, &file).await,
            None => None,
        };
        match found {
            Some((file, bytes)) => answer(StatusCode::OK, content_type(&file), bytes),
            None => answer(StatusCode::NOT_FOUND, TEXT, format!("nothing at {path}\n")),
        }
    }

    /// The folder and the file in it that `path` names, if it is one that may be asked for.
    fn file(&self, path: &str) -> Option<(&Path, PathBuf)> {
        let (root, rest) = if let Some(rest) = path.strip_prefix("/pkg/") {
            // A browser with relaxed SIMD runs the engine with SIMD as well, the only one that the demo builds.
            let plain = rest.strip_prefix("relaxed/");
            (&self.pkg, plain.filter(|_| !self.pkg.join("relaxed").is_dir()).unwrap_or(rest))
        } else if let Some(rest) = path.strip_prefix("/models/") {
            (&self.models, rest)
        } else if let Some(rest) = path.strip_prefix("/gallery/") {
            (self.gallery.as_ref()?, rest)
        } else {
            (&self.page, path.strip_prefix('/')?)
        };
        let rest = if rest.is_empty() { "index.html" } else { rest };
        // No file of the page needs more than these letters, and none of them climbs: neither
        // '..' nor an escape gets through, and hidden files stay hidden.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.chars().all(plain);
        rest.split('/').all(segment).then(|| (root.as_path(), root.join(rest)))
    }
}

/// The content policy that the page states in its head.
fn policy(page: &Path) -> Option<HeaderValue> {
    let html = std::fs::read_to_string(page.join("index.html")).ok()?;
    let (_, stated) = html.split_once("http-equiv=\"Content-Security-Policy\" content=\"")?;
    HeaderValue::from_str(stated.split_once('"')?.0).ok()
}

/// A file's bytes, unless a link leads out of `root`.
async fn read(root: &Path, file: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let root = tokio::fs::canonicalize(root).await.ok()?;
    let file = tokio::fs::canonicalize(file).await.ok()?;
    // A pipe would be read for ever.
    if !file.starts_with(root) || !tokio::fs::metadata(&file).await.ok()?.is_file() {
        return None;
    }
    let bytes = tokio::fs::read(&file).await.ok()?;
    Some((file, bytes))
}

const TEXT: &str = "text/plain; charset=utf-8";

/// Browsers compile wasm while it arrives, and take modules at all, only under these types.
fn content_type(file: &Path) -> &'static str {
    match file.extension().and_then(|extension| extension.to_str()) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "map" | "webmanifest") => "application/json",
        Some("wasm") => "application/wasm",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("webp") => "image/webp",
        Some("ico") => "image/x-icon",
        Some("txt" | "md" | "ts") => TEXT,
        _ => "application/octet-stream",
    }
}

/// An answer that no cache keeps unasked: the files change while one works on them.
pub fn answer(status: StatusCode, content_type: &str, body: impl Into<Bytes>) -> Answer {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(CONTENT_TYPE, value);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests;
