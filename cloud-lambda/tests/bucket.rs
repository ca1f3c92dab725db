//! An S3-compatible store for one test, in its own folder and on its own port.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{fs, io};

use bytes::Bytes;
use fogline::manifest::{Manifest, sha256_hex};
use fogline_cloud::plans::{Options, Plans};
use fogline_cloud::store::{Settings, Store};
use fogline_stack::server;
use futures_util::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::{Service, service_fn};
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::time::sleep;

pub const BUCKET: &str = "fogline-test";

/// The path of a file of the tests' pair.
pub fn pair_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pair").join(name)
}

/// A fault injected into every download of a `cloud.onnx`.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    None,
    /// The store answers with this status.
    Status(u16),
    /// The connection closes in the middle.
    Cut,
    /// 64 bytes arrive at a time, with this pause in between.
    Drops(Duration),
}

impl Fault {
    async fn befall(
        self,
        answer: hyper::Response<s3s::Body>,
    ) -> hyper::Response<UnsyncBoxBody<Bytes, io::Error>> {
        let (mut head, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let whole = |bytes| Full::new(bytes).map_err(|never| match never {}).boxed_unsync();
        let body = match self {
            Fault::None => whole(bytes),
            Fault::Status(status) => {
                head.status = status.try_into().unwrap();
                head.headers.clear();
                whole(Bytes::new())
            }
            Fault::Cut => {
                let half = Ok(Frame::data(bytes.slice(..bytes.len() / 2)));
                StreamBody::new(stream::iter([half, Err(io::ErrorKind::BrokenPipe.into())]))
                    .boxed_unsync()
            }
            Fault::Drops(pause) => {
                StreamBody::new(stream::unfold(bytes, move |mut left| async move {
                    sleep(pause).await;
                    let drop = left.split_to(left.len().min(64));
                    (!drop.is_empty()).then(|| (Ok(Frame::data(drop)), left))
                }))
                .boxed_unsync()
            }
        };
        hyper::Response::from_parts(head, body)
    }
}

pub struct Bucket {
    root: TempDir,
    address: SocketAddr,
    fetched: Arc<AtomicUsize>,
    fault: Arc<Mutex<Fault>>,
}

impl Bucket {
    /// Starts a store whose bucket holds the tests' pair.
    pub async fn with_pair() -> Self {
        let bucket = Self::empty().await;
        bucket.put_pair();
        bucket
    }

    pub async fn empty() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single("key", "secret"));
        let store = builder.build();
        let fetched = Arc::new(AtomicUsize::new(0));
        let fault = Arc::new(Mutex::new(Fault::None));
        let (counter, faults) = (Arc::clone(&fetched), Arc::clone(&fault));
        let service = service_fn(move |request: hyper::Request<Incoming>| {
            let model = request.uri().path().ends_with("cloud.onnx");
            counter.fetch_add(usize::from(model), Ordering::SeqCst);
            let fault = if model { *faults.lock().unwrap() } else { Fault::None };
            let answer = Service::call(&store, request);
            async move { Ok::<_, s3s::HttpError>(fault.befall(answer.await?).await) }
        });
        let url = server::serve(server::bind(0).await.unwrap(), service).unwrap();
        let address = url.strip_prefix("http://").unwrap().parse().unwrap();
        Self { root, address, fetched, fault }
    }

    /// Injects this fault from now on.
    pub fn suffer(&self, fault: Fault) {
        *self.fault.lock().unwrap() = fault;
    }

    pub fn put_pair(&self) {
        let folder = self.folder();
        fs::create_dir_all(&folder).unwrap();
        for name in ["manifest.json", "cloud.onnx"] {
            fs::copy(pair_file(name), folder.join(name)).unwrap();
        }
    }

    /// Publishes the tests' pair with one weight changed, as this version. Returns its digest.
    pub fn put_other(&self, version: &str) -> [u8; 32] {
        let folder = self.folder().with_file_name(version);
        fs::create_dir_all(&folder).unwrap();
        let mut onnx = fs::read(pair_file("cloud.onnx")).unwrap();
        let mut manifest = Manifest::parse(&fs::read(pair_file("manifest.json")).unwrap()).unwrap();
        // Changing the lowest bits of a weight gives another file and still a working model.
        onnx[500] ^= 1;
        version.clone_into(&mut manifest.version);
        manifest.files.get_mut("cloud.onnx").unwrap().sha256 = sha256_hex(&onnx);
        fs::write(folder.join("cloud.onnx"), onnx).unwrap();
        fs::write(folder.join("manifest.json"), serde_json::to_vec(&manifest).unwrap()).unwrap();
        manifest.pair_digest()
    }

    /// The folder of the pair's files.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join(BUCKET).join("models/tiny/1.0.0")
    }

    /// How often `cloud.onnx` was downloaded.
    pub fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    pub fn settings(&self) -> Settings {
        settings(self.address)
    }

    pub fn plans(&self) -> Arc<Plans> {
        Plans::new(Store::new(self.settings()), Options::default())
    }
}

pub fn settings(address: SocketAddr) -> Settings {
    Settings {
        endpoint: Some(format!("http://{address}")),
        region: "eu-central-1".into(),
        access_key: "key".into(),
        secret_key: "secret".into(),
        session_token: None,
        bucket: BUCKET.into(),
    }
}
