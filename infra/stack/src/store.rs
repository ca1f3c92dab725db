//! An in-process S3-compatible store whose bucket holds the pairs.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use hyper::body::Incoming;
use hyper::header::CONTENT_LENGTH;
use hyper::http::Extensions;
use hyper::service::service_fn;
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use s3s::auth::SimpleAuth;
use s3s::dto::PutObjectInput;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{Body, HttpError, HttpResponse, S3, S3Request};
use s3s_fs::FileSystem;
use tempfile::TempDir;

use crate::models::{MANIFEST, Model};
use crate::server;

/// Name of the only bucket.
pub const BUCKET: &str = "fogline-models";
/// The store's only access key and secret key. It listens on this machine only and holds nothing secret.
pub const KEY: (&str, &str) = ("fogline-local", "fogline-local-secret");

/// A running store. Its files are deleted when it is dropped.
#[derive(Debug)]
pub struct LocalStore {
    root: TempDir,
    /// Endpoint URL for S3 clients.
    pub url: String,
}

impl LocalStore {
    /// The folder that has one subfolder per bucket.
    pub fn folder(&self) -> &Path {
        self.root.path()
    }

    /// Puts an object as clients do, so that the store knows its ETag: it would compute the MD5 of a file that was only copied
    /// at every GET, which takes longer than all else of a cold start.
    ///
    /// # Errors
    /// If it cannot be written.
    pub async fn put(&self, key: &str, bytes: Vec<u8>) -> Result<()> {
        let input = PutObjectInput {
            bucket: BUCKET.to_owned(),
            key: key.to_owned(),
            body: Some(Body::from(bytes).into()),
            ..PutObjectInput::default()
        };
        let request = S3Request {
            input,
            method: Method::PUT,
            uri: Uri::default(),
            headers: HeaderMap::default(),
            extensions: Extensions::default(),
            credentials: None,
            region: None,
            service: None,
            trailing_headers: None,
        };
        let put = files(self.folder())?.put_object(request).await;
        put.map_err(|error| anyhow::anyhow!("the store cannot put '{key}': {error}"))?;
        Ok(())
    }
}

/// The files of the store in this folder.
fn files(root: &Path) -> Result<FileSystem> {
    FileSystem::new(root)
        .map_err(|error| anyhow::anyhow!("the store cannot open its folder: {error:?}"))
}

/// Copies the pairs' files to a bucket and serves it.
///
/// # Errors
/// If a file cannot be copied, or there is no free port.
pub async fn start(models: &[Model]) -> Result<LocalStore> {
    let root = tempfile::Builder::new().prefix("fogline-store-").tempdir()?;
    let mut builder = S3ServiceBuilder::new(files(root.path())?);
    builder.set_auth(SimpleAuth::from_single(KEY.0, KEY.1));
    let (s3, folder) = (builder.build(), root.path().to_owned());
    let service = service_fn(move |request| {
        let (s3, folder) = (s3.clone(), folder.clone());
        async move { answer(s3, &folder, request).await }
    });
    let url = server::serve(server::bind(0).await?, service)?;
    let store = LocalStore { root, url };
    fs::create_dir(store.folder().join(BUCKET))?;
    for model in models {
        for name in model.manifest.files.keys().map(String::as_str).chain([MANIFEST]) {
            let from = model.folder.join(name);
            let bytes = fs::read(&from).with_context(|| from.display().to_string())?;
            store.put(&format!("{}/{name}", model.place()), bytes).await?;
        }
    }
    Ok(store)
}

/// The store's response with the object in one piece: s3s-fs sends 4 KiB at a time, which would dominate the cold start
/// with a large model.
async fn answer(
    s3: S3Service,
    root: &Path,
    request: Request<Incoming>,
) -> Result<HttpResponse, HttpError> {
    let object = (request.method() == Method::GET)
        .then(|| root.join(request.uri().path().trim_start_matches('/')));
    let mut response = s3.call(request.map(Body::from)).await?;
    if response.status() == StatusCode::OK
        && let Some(object) = object
        && let Ok(bytes) = tokio::fs::read(object).await
        && response.headers().get(CONTENT_LENGTH) == Some(&bytes.len().into())
    {
        *response.body_mut() = bytes.into();
    }
    Ok(response)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use bytes::Bytes;
    use fogline::manifest::sha256_hex;
    use fogline_gateway::sigv4::{Signer, Unsigned};
    use http_body_util::Full;
    use hyper::Request;
    use hyper_util::client::legacy::Client;
    use hyper_util::rt::TokioExecutor;

    use super::*;

    /// A PUT request as signed and as sent.
    struct Put {
        path: &'static str,
        body: &'static str,
        secret: &'static str,
        /// Offset of the signing time from now, in seconds.
        at: i64,
        sent_path: &'static str,
        sent_body: &'static str,
    }

    const KEY_FILE: &str = "/fogline-models/file";
    const GOOD: Put = Put {
        path: KEY_FILE,
        body: "map",
        secret: KEY.1,
        at: 0,
        sent_path: KEY_FILE,
        sent_body: "map",
    };

    async fn status(store: &LocalStore, put: &Put) -> u16 {
        let signer = Signer {
            access_key: KEY.0.into(),
            secret_key: put.secret.into(),
            session_token: None,
            region: "eu-central-1".into(),
            service: "s3".into(),
        };
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let digest = sha256_hex(put.body.as_bytes());
        let host = store.url.trim_start_matches("http://");
        let headers = [("host", host), ("x-amz-content-sha256", digest.as_str())];
        let unsigned = Unsigned {
            method: "PUT",
            path: put.path,
            headers: &headers,
            body: put.body.as_bytes(),
        };
        let mut request = Request::put(format!("{}{}", store.url, put.sent_path))
            .header("x-amz-content-sha256", &digest);
        for (name, value) in signer.sign(unsigned, now.saturating_add_signed(put.at)) {
            request = request.header(name, value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
        let body = Full::from(put.sent_body);
        client.request(request.body(body).unwrap()).await.unwrap().status().as_u16()
    }

    /// The store's verifier is third-party code that accepts and refuses what AWS does (with a window of 15 minutes; AWS has 5).
    #[tokio::test]
    async fn a_signature_is_good_for_its_request_and_its_minutes_alone() {
        let store = start(&[]).await.unwrap();
        assert_eq!(status(&store, &GOOD).await, 200);
        let hour = 3600;
        for (what, put) in [
            ("expired", Put { at: -hour, ..GOOD }),
            ("from the future", Put { at: hour, ..GOOD }),
            ("wrong", Put { secret: "guessed", ..GOOD }),
            ("of another path", Put { sent_path: "/fogline-models/other", ..GOOD }),
            ("of another body", Put { sent_body: "another map", ..GOOD }),
        ] {
            assert!(status(&store, &put).await >= 400, "{what}");
        }
        assert!(!store.folder().join(BUCKET).join("other").exists());
        assert_eq!(fs::read(store.folder().join(BUCKET).join("file")).unwrap(), b"map");
        // Within its validity, a request can be replayed.
        assert_eq!(status(&store, &GOOD).await, 200);
    }
}
