//! An S3-compatible store of one test: its own folder, its own port.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fogline_cloud::plans::Plans;
use fogline_cloud::store::{Settings, Store};
use hyper::body::Incoming;
use hyper::service::Service;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub const BUCKET: &str = "fogline-test";

/// The path of a file of the tests' pair.
pub fn pair_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pair").join(name)
}

pub struct Bucket {
    root: TempDir,
    address: SocketAddr,
    fetched: Arc<AtomicUsize>,
}

impl Bucket {
    /// A store whose bucket holds the tests' pair.
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
        let service = builder.build();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let fetched = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&fetched);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (service, counter) = (service.clone(), Arc::clone(&counter));
                let counted =
                    hyper::service::service_fn(move |request: hyper::Request<Incoming>| {
                        let model = request.uri().path().ends_with("cloud.onnx");
                        counter.fetch_add(usize::from(model), Ordering::SeqCst);
                        Service::call(&service, request)
                    });
                tokio::spawn(async move {
                    let server = auto::Builder::new(TokioExecutor::new());
                    let _ = server.serve_connection(TokioIo::new(socket), counted).await;
                });
            }
        });
        Self { root, address, fetched }
    }

    pub fn put_pair(&self) {
        let folder = self.folder();
        fs::create_dir_all(&folder).unwrap();
        for name in ["manifest.json", "cloud.onnx"] {
            fs::copy(pair_file(name), folder.join(name)).unwrap();
        }
    }

    /// Where the pair's files lie.
    pub fn folder(&self) -> PathBuf {
        self.root.path().join(BUCKET).join("models/tiny/1.0.0")
    }

    /// How often `cloud.onnx` was fetched.
    pub fn fetched(&self) -> usize {
        self.fetched.load(Ordering::SeqCst)
    }

    pub fn settings(&self) -> Settings {
        settings(self.address)
    }

    pub fn plans(&self) -> Arc<Plans> {
        Arc::new(Plans::new(Store::new(self.settings())))
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
