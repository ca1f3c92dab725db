//! The bucket that holds the pairs: S3, or anything that speaks its protocol.
//!
//! The client is built by hand from the environment. Lambda puts all of it there, and what
//! `aws-config` adds (profiles, single sign-on, metadata services) has no place in a function.

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

/// The folder of the bucket that holds `NAME/VERSION/…`.
pub const PREFIX: &str = "models/";

/// How long an object may take at least, and how many bytes a second a store sends at the slowest.
const PATIENCE: Duration = Duration::from_secs(8);
const SLOWEST: u64 = 1 << 20;

/// Where the bucket is, and with whose key it opens.
#[derive(Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Settings {
    /// Another endpoint than AWS's own; addressed by path, as local stores need it.
    pub endpoint: Option<String>,
    /// AWS region.
    pub region: String,
    /// Access key id.
    pub access_key: String,
    /// Secret access key.
    pub secret_key: String,
    /// The token that goes with a role's temporary keys.
    pub session_token: Option<String>,
    /// The bucket.
    pub bucket: String,
}

/// Why the bucket did not give what was asked. [`StoreError::word`] is for machines.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum StoreError {
    /// A variable that the store needs is not in the environment.
    Setting(&'static str),
    /// The store did not answer, or refused the bucket.
    Unreachable(String),
    /// There is no object of that key.
    Missing(String),
    /// The object is larger than it may be.
    TooLarge {
        /// Its key.
        key: String,
        /// Bytes that it may have.
        cap: u64,
    },
    /// There is an object of that key already, and it stays.
    Exists(String),
}

impl StoreError {
    /// The machine word of this error.
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
                write!(f, "'{key}' in the model store is over {cap} bytes")
            }
            Self::Exists(key) => write!(f, "the model store has '{key}' already"),
        }
    }
}

impl std::error::Error for StoreError {}

/// An environment variable. An empty one counts as unset, everywhere in Fogline: templates often leave one behind.
pub(crate) fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Reads the variables that the AWS SDKs share, and `FOGLINE_BUCKET` unless the bucket is given.
    ///
    /// # Errors
    /// When the region, a key or the bucket is not set.
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

/// An object as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listed {
    /// Its key.
    pub key: String,
    /// Changes whenever its bytes do; not every store lists it.
    pub etag: Option<String>,
}

/// The bucket.
#[derive(Debug, Clone)]
pub struct Store {
    client: Client,
    bucket: String,
}

impl Store {
    /// A store by its settings. Nothing is sent yet.
    pub fn new(settings: Settings) -> Self {
        // A cleartext endpoint is a local one: reading the root certificates would be for nothing.
        let cleartext = settings.endpoint.as_ref().is_some_and(|url| url.starts_with("http://"));
        let http = if cleartext {
            Builder::new().build_http()
        } else {
            Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
        };
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            // To the first bytes of an answer; with all its tries before the edge's 10 s are over.
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

    /// Every `models/NAME/VERSION/manifest.json`, in the order of their keys.
    ///
    /// # Errors
    /// When the store does not answer or has no such bucket.
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

    /// All bytes of an object that may have at most `cap` of them.
    ///
    /// # Errors
    /// When the store does not answer, has no such object, a larger one, or sends it in drops.
    pub async fn get(&self, key: &str, cap: u64) -> Result<Vec<u8>, StoreError> {
        // The client times the way to the first byte; from there, a store may send slowly for ever.
        let patience = PATIENCE + Duration::from_secs(cap / SLOWEST);
        timeout(patience, self.fetch(key, cap)).await.unwrap_or_else(|_| {
            let why = format!("'{key}' was not here after {} s", patience.as_secs());
            Err(StoreError::Unreachable(why))
        })
    }

    async fn fetch(&self, key: &str, cap: u64) -> Result<Vec<u8>, StoreError> {
        let get = self.client.get_object().bucket(&self.bucket).key(key);
        let mut object = get.send().await.map_err(|error| match error.code() {
            // The second where a proxy answers 404 without a word; a missing bucket has another code.
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

    /// Puts an object where there is none; never over one that is there, whoever put it meanwhile.
    ///
    /// # Errors
    /// When there is one, or the store does not answer.
    pub async fn put_new(&self, key: &str, bytes: Vec<u8>) -> Result<(), StoreError> {
        let put = self.client.put_object().bucket(&self.bucket).key(key).if_none_match("*");
        match put.body(ByteStream::from(bytes)).send().await {
            Ok(_) => Ok(()),
            // S3 answers the second of two at once with a conflict.
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
