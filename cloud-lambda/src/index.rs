//! The index of the pairs in the bucket, found by listing it or configured by name.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fogline::manifest::{File, Manifest};
use fogline::refusal::{INTERNAL, MODEL_CORRUPT, Refusal, STORE_UNREACHABLE, UNKNOWN_PAIR};
use tracing::warn;

use crate::half;
use crate::store::{Listed, PREFIX, Store, StoreError};

/// Minimum time between two listings. An unknown digest triggers a listing, and a client that guesses digests must not
/// trigger one per guess. Failed listings count too.
pub const REFRESH_AT_MOST_EVERY: Duration = Duration::from_secs(3);

/// Size limit of a manifest in bytes.
pub(crate) const MAX_MANIFEST: u64 = 1 << 20;

impl From<&StoreError> for Refusal {
    fn from(error: &StoreError) -> Self {
        match error {
            // The store's address and the cause belong in the log, not in a response.
            StoreError::Unreachable(why) => {
                warn!(why, "the model store did not answer");
                Self::new(STORE_UNREACHABLE, "the model store did not answer; try again soon")
            }
            StoreError::Missing(_) | StoreError::TooLarge { .. } => {
                Self::new(MODEL_CORRUPT, error.to_string())
            }
            StoreError::Setting(_) | StoreError::Exists(_) => {
                Self::new(INTERNAL, error.to_string())
            }
        }
    }
}

/// A pair in the bucket.
#[derive(Debug)]
pub struct Pair {
    /// The parsed `manifest.json` of the pair.
    pub manifest: Manifest,
    /// The pair's digest, by which requests name it.
    pub digest: [u8; 32],
    /// The key of the manifest without `manifest.json`.
    pub prefix: String,
    /// The model in half precision, if it was published like that.
    pub half: Option<File>,
    /// When and why loading the pair last failed.
    pub(crate) failed: Mutex<Option<(Instant, Refusal)>>,
}

/// The result of the last listing.
#[derive(Debug, Default)]
struct Found {
    /// The pairs by the key of their manifest, with the etag it had.
    known: BTreeMap<String, (Option<String>, Arc<Pair>)>,
    by_digest: BTreeMap<[u8; 32], Arc<Pair>>,
}

impl Found {
    fn of(known: BTreeMap<String, (Option<String>, Arc<Pair>)>) -> Self {
        let mut by_digest = BTreeMap::new();
        for (_, pair) in known.values() {
            // If two names have the same files, the first serves both.
            by_digest.entry(pair.digest).or_insert_with(|| Arc::clone(pair));
        }
        Self { known, by_digest }
    }

    /// The pair whose digest starts with these bytes, of at most 32.
    fn get(&self, start: &[u8]) -> Option<Arc<Pair>> {
        let mut least = [0; 32];
        least[..start.len()].copy_from_slice(start);
        let (digest, pair) = self.by_digest.range(least..).next()?;
        digest.starts_with(start).then(|| Arc::clone(pair))
    }
}

/// When a listing ended, and its outcome.
type Listing = (Instant, Result<(), Refusal>);

/// The pairs of a bucket, by digest and by name.
#[derive(Debug)]
pub struct Index {
    store: Store,
    /// The configured pairs as `NAME/VERSION`; `None` to list the bucket.
    configured: Option<Vec<String>>,
    /// A listing replaces this as a whole; the lock is never held across a request to the store.
    found: RwLock<Arc<Found>>,
    /// Held during a listing, so that concurrent callers share its outcome.
    last: tokio::sync::Mutex<Option<Listing>>,
}

impl Index {
    /// An index of `store`. Reads nothing yet.
    pub fn new(store: Store, configured: Option<Vec<String>>) -> Self {
        Self { store, configured, found: RwLock::default(), last: tokio::sync::Mutex::default() }
    }

    /// Returns the pair with this digest. Lists the bucket first if the digest is unknown, at most once per
    /// [`REFRESH_AT_MOST_EVERY`].
    ///
    /// # Errors
    /// `unknown_pair` if the bucket has no such pair, `store_unreachable` if it cannot be listed.
    pub async fn find(self: &Arc<Self>, digest: &[u8]) -> Result<Arc<Pair>, Refusal> {
        if let Some(pair) = self.found().get(digest) {
            return Ok(pair);
        }
        self.refresh(REFRESH_AT_MOST_EVERY).await?;
        self.found().get(digest).ok_or_else(|| {
            Refusal::new(
                UNKNOWN_PAIR,
                format!(
                    "the cloud has no pair with digest {}; fetch the current manifest",
                    hex::encode(digest)
                ),
            )
        })
    }

    /// Adds the pair `NAME/VERSION` without listing the bucket, so that a function that preloads one pair need not wait for
    /// the others.
    ///
    /// # Errors
    /// `unknown_pair` if the function is configured not to serve it; otherwise if the store fails or its manifest is missing
    /// or invalid.
    pub async fn add(&self, pair: &str) -> Result<Arc<Pair>, Refusal> {
        if self.configured.as_ref().is_some_and(|pairs| pairs.iter().all(|one| one != pair)) {
            let message =
                format!("this function does not serve {pair}; FOGLINE_PAIRS lists what it does");
            return Err(Refusal::new(UNKNOWN_PAIR, message));
        }
        let _listing = self.last.lock().await;
        let key = format!("{PREFIX}{pair}/manifest.json");
        let mut known = self.found().known.clone();
        let pair = self.read(&key, known.get(&key).map(|(_, pair)| pair)).await?;
        known.insert(key, (None, Arc::clone(&pair)));
        self.put(Found::of(known));
        Ok(pair)
    }

    /// All known pairs, ordered by key.
    pub fn pairs(&self) -> Vec<Arc<Pair>> {
        self.found().known.values().map(|(_, pair)| Arc::clone(pair)).collect()
    }

    fn found(&self) -> Arc<Found> {
        Arc::clone(&self.found.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, found: Found) {
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
    }

    /// Whether the bucket has been listed, successfully or not.
    pub async fn is_listed(&self) -> bool {
        self.last.lock().await.is_some()
    }

    /// Lists the bucket again, or returns the outcome of the last listing if that is younger than `most`. A failed listing
    /// removes no known pair. Dropping the future does not stop the listing.
    ///
    /// # Errors
    /// `store_unreachable` if the store does not answer.
    pub async fn refresh(self: &Arc<Self>, most: Duration) -> Result<(), Refusal> {
        let index = Arc::clone(self);
        match tokio::spawn(async move { index.refresh_here(most).await }).await {
            Ok(outcome) => outcome,
            Err(error) => {
                warn!(%error, "listing the bucket panicked");
                Err(Refusal::new(INTERNAL, "listing the bucket panicked; see the log"))
            }
        }
    }

    async fn refresh_here(&self, most: Duration) -> Result<(), Refusal> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < most
        {
            return outcome.clone();
        }
        let listed = self.list(&self.found()).await;
        let outcome = listed.map(|found| self.put(found));
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn list(&self, old: &Found) -> Result<Found, Refusal> {
        let listed = match &self.configured {
            Some(pairs) => pairs
                .iter()
                .map(|pair| Listed { key: format!("{PREFIX}{pair}/manifest.json"), etag: None })
                .collect(),
            None => self.store.manifests().await.map_err(|error| Refusal::from(&error))?,
        };
        let mut known = BTreeMap::new();
        for Listed { key, etag } in listed {
            let before = old.known.get(&key);
            let pair = match before {
                Some((before, pair)) if etag.is_some() && *before == etag => Ok(Arc::clone(pair)),
                _ => self.read(&key, before.map(|(_, pair)| pair)).await,
            };
            match (pair, before) {
                (Ok(pair), _) => known.insert(key, (etag, pair)),
                // If the store is down, the listing fails; one bad manifest affects only its own pair.
                (Err(refusal), _) if refusal.error == STORE_UNREACHABLE => return Err(refusal),
                (Err(refusal), before) => {
                    warn!(
                        key,
                        error = refusal.error,
                        kept = before.is_some(),
                        "{}",
                        refusal.message
                    );
                    // Devices still use this pair, and its plan may still be in memory.
                    before.and_then(|before| known.insert(key, before.clone()))
                }
            };
        }
        Ok(Found::of(known))
    }

    async fn read(&self, key: &str, before: Option<&Arc<Pair>>) -> Result<Arc<Pair>, Refusal> {
        let json =
            self.store.get(key, MAX_MANIFEST).await.map_err(|error| Refusal::from(&error))?;
        let manifest = Manifest::parse(&json)
            .map_err(|error| Refusal::new(error.word(), error.to_string()))?;
        let half = half::named(&json).map_err(|error| {
            Refusal::new("manifest_invalid", format!("'half' of {key}: {error}"))
        })?;
        match before {
            Some(pair) if pair.manifest == manifest && pair.half == half => Ok(Arc::clone(pair)),
            _ => {
                let prefix = key.trim_end_matches("manifest.json").to_owned();
                let digest = manifest.pair_digest();
                Ok(Arc::new(Pair { manifest, digest, prefix, half, failed: Mutex::default() }))
            }
        }
    }
}
