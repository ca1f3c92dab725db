//! The bucket that holds the pairs, on S3 or any compatible store.
//!
//! The client is configured from environment variables alone. Lambda sets all of them, and a function has no use for
//! what `aws-config` adds (profiles, single sign-on, metadata services).

use core::fmt;
use std::env;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use tokio::time::timeout;

/// Key prefix of all pairs, followed by `NAME/VERSION/…`.
pub const PREFIX: &str = "models/";

/// Base time limit of a download; to it comes the object's size limit at the [`SLOWEST`] rate.
const PATIENCE: Duration = Duration::from_secs(8);
/// Slowest acceptable download rate in bytes per second.
const SLOWEST: u64 = 1 << 20;

/// Location and credentials of the bucket.
#[derive(Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Settings {
    /// Endpoint URL of a store other than AWS's own; uses path-style addresses, as local stores need.
    pub endpoint: Option<String>,
    /// The AWS region, such as `eu-central-1`.
    pub region: String,
    /// The AWS access key id.
    pub access_key: String,
    /// The AWS secret access key.
    pub secret_key: String,
    /// The session token of a role's temporary credentials.
    pub session_token: Option<String>,
    /// The bucket's name, without `s3://`.
    pub bucket: String,
}

/// Why an operation on the bucket failed. [`StoreError::word`] is its error code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A required environment variable is not set.
    Setting(&'static str),
    /// The store did not answer, or denied access to the bucket.
    Unreachable(String),
    /// The bucket has no object with this key.
    Missing(String),
    /// The object exceeds its size limit.
    TooLarge {
        /// Key of the object in the bucket.
        key: String,
        /// Largest allowed size in bytes.
        cap: u64,
    },
    /// The bucket already has an object with this key, which was not overwritten.
    Exists(String),
}

impl StoreError {
    /// The stable error code, such as `object_missing`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Setting(_) => "store_setting",
            Self::Unreachable(_) => fogline::refusal::STORE_UNREACHABLE,
            Self::Missing(_) => "object_missing",
            Self::TooLarge { .. } => "object_too_large",
            Self::Exists(_) => "object_exists",
        }
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Setting(name) => write!(f, "the environment variable {name} is not set"),
            Self::Unreachable(why) => write!(f, "the model store did not answer: {why}"),
            Self::Missing(key) => write!(f, "the model store has no '{key}'"),
            Self::TooLarge { key, cap } => {
                write!(f, "'{key}' in the model store exceeds its limit of {cap} bytes")
            }
            Self::Exists(key) => write!(f, "the model store already has '{key}'"),
        }
    }
}

impl std::error::Error for StoreError {}

/// Reads an environment variable. An empty one counts as unset throughout Fogline: templates often leave one behind.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Reads the standard AWS variables, and `FOGLINE_BUCKET` unless `bucket` is given.
    ///
    /// # Errors
    /// If the region, a key or the bucket is not set.
    pub fn from_env(bucket: Option<&str>) -> Result<Self, StoreError> {
        let need = |name| variable(name).ok_or(StoreError::Setting(name));
        Ok(Self {
            endpoint: variable("AWS_ENDPOINT_URL_S3").or_else(|| variable("AWS_ENDPOINT_URL")),
            region: need("AWS_REGION")?,
            access_key: need("AWS_ACCESS_KEY_ID")?,
            secret_key: need("AWS_SECRET_ACCESS_KEY")?,
            session_token: variable("AWS_SESSION_TOKEN"),
            bucket: bucket
                .map_or_else(|| need("FOGLINE_BUCKET"), |bucket| Ok(bucket.to_owned()))?,
        })
    }
}

/// An object in a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Key of the object in the bucket.
    pub key: String,
    /// Changes whenever the object does; `None` if the store does not list etags.
    pub etag: Option<String>,
}

/// A client for one bucket.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    bucket: String,
}

impl Store {
    /// A client with these settings. Sends nothing yet.
    pub fn new(settings: Settings) -> Self {
        // A plain HTTP endpoint is local, so skip loading the root certificates.
        let cleartext = settings.endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
        let http = if cleartext {
            Builder::new().build_http()
        } else {
            Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            // Time to the first byte. All attempts together must end before the edge's timeout of 10 s.
            .operation_attempt_timeout(Duration::from_secs(3))
            .operation_timeout(Duration::from_secs(8))
            .build();
        let key = Credentials::new(
            settings.access_key,
            settings.secret_key,
            settings.session_token,
            None,
            "environment",
        );
        let mut config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(settings.region))
            .credentials_provider(key)
            .http_client(http)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(200)));
        if let Some(endpoint) = settings.endpoint {
            config = config.endpoint_url(endpoint).force_path_style(true);
        }
        Self { client: Client::from_conf(config.build()), bucket: settings.bucket }
    }

    /// Lists every `models/NAME/VERSION/manifest.json`, ordered by key.
    ///
    /// # Errors
    /// [`StoreError::Unreachable`] if the store does not answer or the bucket does not exist.
    pub async fn manifests(&self) -> Result<Vec<Listed>, StoreError> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(PREFIX);
        let mut pages = list.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| unreachable(&error))?;
            for object in page.contents() {
                let Some(key) = object.key() else { continue };
                let parts: Vec<_> = key.split('/').collect();
                if matches!(parts[..], ["models", _, _, "manifest.json"]) {
                    let etag = object.e_tag().map(str::to_owned);
                    found.push(Listed { key: key.to_owned(), etag });
                }
            }
        }
        Ok(found)
    }

    /// Downloads an object of at most `cap` bytes.
    ///
    /// # Errors
    /// If the store does not answer or sends too slowly, the object is missing, or it is larger than `cap`.
    pub async fn get(&self, key: &str, cap: u64) -> Result<Vec<u8>, StoreError> {
        // The client's timeouts end at the first byte; after that, a slow store could take for ever.
        let patience = PATIENCE + Duration::from_secs(cap / SLOWEST);
        timeout(patience, self.fetch(key, cap)).await.unwrap_or_else(|_| {
            let why = format!("downloading '{key}' took over {} s", patience.as_secs());
            Err(StoreError::Unreachable(why))
        })
    }

    async fn fetch(&self, key: &str, cap: u64) -> Result<Vec<u8>, StoreError> {
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let mut object = get.send().await.map_err(|error| match error.code() {
            // `NotFound` comes from proxies that send 404 without a body; a missing bucket has another code.
            Some("NoSuchKey" | "NotFound") => StoreError::Missing(key.to_owned()),
            _ => unreachable(&error),
        })?;
        let too_large = || StoreError::TooLarge { key: key.to_owned(), cap };
        let length = object.content_length().unwrap_or(0).max(0).unsigned_abs();
        if length > cap {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(length as usize);
        while let Some(chunk) = object.body.next().await {
            let chunk = chunk.map_err(|error| StoreError::Unreachable(error.to_string()))?;
            if (bytes.len() + chunk.len()) as u64 > cap {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// Uploads an object, never overwriting one that exists, even if it was just created by somebody else.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if there is one, [`StoreError::Unreachable`] if the store does not answer.
    pub async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key).if_none_match("*");
        match put.body(ByteStream::from(bytes)).send().await {
            Ok(_) => Ok(()),
            // S3 answers the later of two concurrent uploads with a conflict.
            Err(error)
                if matches!(
                    error.code(),
                    Some("PreconditionFailed" | "ConditionalRequestConflict")
                ) =>
            {
                Err(StoreError::Exists(key.to_owned()))
            }
            Err(error) => Err(unreachable(&error)),
        }
    }
}

fn unreachable<E, R>(error: &SdkError<E, R>) -> StoreError
where
    E: std::error::Error + 'static,
    R: fmt::Debug,
{
    StoreError::Unreachable(DisplayErrorContext(error).to_string())
}
