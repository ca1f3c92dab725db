//! Serves the page's files: the page itself, the built engine under `/pkg/`, the pairs under `/models/`, a dataset's pictures
//! under `/gallery/` if there are any, and a generated `/config.json`.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
    X_CONTENT_TYPE_OPTIONS,
};
use hyper::{Method, Response, StatusCode};
use serde_json::Value;

/// A response of the page's server.
pub type Answer = Response<Full<Bytes>>;

/// The folders that make up the page.
#[derive(Debug)]
pub struct Site {
    page: PathBuf,
    pkg: PathBuf,
    models: PathBuf,
    gallery: Option<PathBuf>,
    config: Bytes,
    /// The page's content security policy, sent as a header because the page's `meta` element does not bind its worker.
    policy: Option<HeaderValue>,
}

impl Site {
    /// A site that serves these folders, without a gallery.
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

    /// Adds a folder of pictures under `/gallery/`.
    #[must_use]
    pub fn with_gallery(self, gallery: Option<PathBuf>) -> Self {
        Self { gallery, ..self }
    }

    /// Answers one request. For HEAD, Hyper omits the body.
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

    /// The root folder and the file that `path` names; `None` if the path is not allowed.
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
        // The page's files need no other characters. This excludes '..', percent escapes and hidden files.
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let segment = |s: &str| !s.is_empty() && !s.starts_with('.') && s.chars().all(plain);
        rest.split('/').all(segment).then(|| (root.as_path(), root.join(rest)))
    }
}

/// The content security policy in the page's `meta` element.
fn policy(page: &Path) -> Option<HeaderValue> {
    let html = std::fs::read_to_string(page.join("index.html")).ok()?;
    let (_, stated) = html.split_once("http-equiv=\"Content-Security-Policy\" content=\"")?;
    HeaderValue::from_str(stated.split_once('"')?.0).ok()
}

/// Reads a file, unless a symbolic link leads out of `root`.
async fn read(root: &Path, file: &Path) -> Option<(PathBuf, Vec<u8>)> {
    let root = tokio::fs::canonicalize(root).await.ok()?;
    let file = tokio::fs::canonicalize(file).await.ok()?;
    // Reading a pipe might never end.
    if !file.starts_with(root) || !tokio::fs::metadata(&file).await.ok()?.is_file() {
        return None;
    }
    let bytes = tokio::fs::read(&file).await.ok()?;
    Some((file, bytes))
}

const TEXT: &str = "text/plain; charset=utf-8";

/// Browsers require the right type for modules and for compiling WebAssembly while it downloads.
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

/// A response that caches must revalidate, because the files change during development.
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
