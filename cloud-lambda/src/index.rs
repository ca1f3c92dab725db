//! Which pairs lie in the bucket: discovered by listing it, or configured by name.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fogline::manifest::Manifest;
use fogline::refusal::{INTERNAL, MODEL_CORRUPT, Refusal, STORE_UNREACHABLE, UNKNOWN_PAIR};
use tracing::warn;

use crate::store::{Listed, PREFIX, Store, StoreError};

/// An unknown digest makes the bucket be listed anew, but not more often than this, whether the
/// listing succeeded or not: a client that guesses digests must not buy a listing with each.
pub const REFRESH_AT_MOST_EVERY: Duration = Duration::from_secs(3);

/// The largest manifest.
pub(crate) const MAX_MANIFEST: u64 = 1 << 20;

impl From<&StoreError> for Refusal {
    fn from(error: &StoreError) -> Self {
        match error {
            // Where the store is and why it failed belongs in the log, not on the internet.
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
    /// Its manifest.
    pub manifest: Manifest,
    /// The key of the manifest without `manifest.json`.
    pub prefix: String,
    /// When loading it failed last, and how.
    pub(crate) failed: Mutex<Option<(Instant, Refusal)>>,
}

/// What the last listing of the bucket found.
#[derive(Debug, Default)]
struct Found {
    /// Manifests by key, with the etag that they had.
    known: BTreeMap<String, (Option<String>, Arc<Pair>)>,
    by_digest: HashMap<[u8; 32], Arc<Pair>>,
}

impl Found {
    fn of(known: BTreeMap<String, (Option<String>, Arc<Pair>)>) -> Self {
        let mut by_digest = HashMap::new();
        for (_, pair) in known.values() {
            // Of two names for the same files, the first serves both.
            by_digest.entry(pair.manifest.pair_digest()).or_insert_with(|| Arc::clone(pair));
        }
        Self { known, by_digest }
    }
}

/// A listing of the bucket: when it ended, and what came of it.
type Listing = (Instant, Result<(), Refusal>);

/// The pairs of a bucket.
#[derive(Debug)]
pub struct Index {
    store: Store,
    /// `NAME/VERSION` each, where the bucket is not to be listed.
    configured: Option<Vec<String>>,
    /// Replaced whole by a listing, and never held while one waits for the store.
    found: RwLock<Arc<Found>>,
    /// Held while listing: whoever waited takes what came of it and need not list again.
    last: tokio::sync::Mutex<Option<Listing>>,
}

impl Index {
    /// The index of `store`, of which nothing is read yet.
    pub fn new(store: Store, configured: Option<Vec<String>>) -> Self {
        Self { store, configured, found: RwLock::default(), last: tokio::sync::Mutex::default() }
    }

    /// The pair with this digest.
    ///
    /// # Errors
    /// With `unknown_pair` or `store_unreachable`.
    pub async fn find(self: &Arc<Self>, digest: &[u8; 32]) -> Result<Arc<Pair>, Refusal> {
        if let Some(pair) = self.found().by_digest.get(digest) {
            return Ok(Arc::clone(pair));
        }
        self.refresh(REFRESH_AT_MOST_EVERY).await?;
        self.found().by_digest.get(digest).cloned().ok_or_else(|| {
            Refusal::new(
                UNKNOWN_PAIR,
                format!("the cloud has no pair {}; fetch its manifest anew", hex::encode(digest)),
            )
        })
    }

    /// Finds the pair `NAME/VERSION` without listing the bucket: a function that starts for one pair waits for no others.
    ///
    /// # Errors
    /// When the store does not answer, or has no whole manifest of it.
    pub async fn add(&self, pair: &str) -> Result<Arc<Pair>, Refusal> {
        if self.configured.as_ref().is_some_and(|pairs| pairs.iter().all(|one| one != pair)) {
            let message = format!("{pair} is none of the pairs that this function serves");
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

    /// All pairs that were found, in the order of their keys.
    pub fn pairs(&self) -> Vec<Arc<Pair>> {
        self.found().known.values().map(|(_, pair)| Arc::clone(pair)).collect()
    }

    fn found(&self) -> Arc<Found> {
        Arc::clone(&self.found.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, found: Found) {
        *self.found.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(found);
    }

    /// Whether the bucket has been listed, well or not.
    pub async fn is_listed(&self) -> bool {
        self.last.lock().await.is_some()
    }

    /// Lists the bucket anew, unless the last listing is younger than `most`: then what came of that. A listing that
    /// fails takes away nothing that was found before; one that nobody waits for any more goes on.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn refresh(self: &Arc<Self>, most: Duration) -> Result<(), Refusal> {
        let index = Arc::clone(self);
        match tokio::spawn(async move { index.refresh_here(most).await }).await {
            Ok(outcome) => outcome,
            Err(error) => {
                warn!(%error, "listing broke off");
                Err(Refusal::new(INTERNAL, "listing broke off"))
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
                // Without the store nothing is known; one bad manifest spoils only its pair.
                (Err(refusal), _) if refusal.error == STORE_UNREACHABLE => return Err(refusal),
                (Err(refusal), before) => {
                    warn!(
                        key,
                        error = refusal.error,
                        kept = before.is_some(),
                        "{}",
                        refusal.message
                    );
                    // Its edges are out there, and what they need may be in memory still.
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
        match before {
            Some(pair) if pair.manifest == manifest => Ok(Arc::clone(pair)),
            _ => {
                let prefix = key.trim_end_matches("manifest.json").to_owned();
                Ok(Arc::new(Pair { manifest, prefix, failed: Mutex::default() }))
            }
        }
    }
}
