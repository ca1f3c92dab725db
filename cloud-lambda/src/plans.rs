//! Every plan by its pair's digest: found in the bucket, loaded once, kept.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fogline::manifest::{CLOUD_ONNX, Manifest};
use fogline::refusal::{INTERNAL, MODEL_CORRUPT, Refusal, UNKNOWN_PAIR};
use tokio::sync::OnceCell;
use tracing::{info, warn};

use crate::plan::Plan;
use crate::store::{Listed, Store, StoreError};

/// An unknown digest makes the bucket be listed anew, but not more often than this, whether the
/// listing succeeded or not: a client that guesses digests must not buy a listing with each.
pub const REFRESH_AT_MOST_EVERY: Duration = Duration::from_secs(3);
/// A pair that could not be loaded is tried again after this time, not with every request: edges
/// repeat what failed, and each try fetches the whole model.
pub const LOAD_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// The largest manifest.
const MAX_MANIFEST: u64 = 1 << 20;
/// The largest cloud model, whatever a manifest says: a function has 10 GB of memory at most.
const MAX_MODEL: u64 = 2 << 30;

impl From<&StoreError> for Refusal {
    fn from(error: &StoreError) -> Self {
        let word = match error {
            StoreError::Missing(_) | StoreError::TooLarge { .. } => MODEL_CORRUPT,
            StoreError::Unreachable(_) => fogline::refusal::STORE_UNREACHABLE,
            StoreError::Setting(_) => INTERNAL,
        };
        match error {
            // Where the store is and why it failed belongs in the log, not on the internet.
            StoreError::Unreachable(why) => {
                warn!(why, "the model store did not answer");
                Self::new(word, "the model store did not answer; try again soon")
            }
            _ => Self::new(word, error.to_string()),
        }
    }
}

/// A pair in the bucket, whose plan is there once somebody has asked for it.
#[derive(Debug)]
struct Pair {
    manifest: Manifest,
    /// The key of the manifest without `manifest.json`.
    prefix: String,
    plan: OnceCell<Arc<Plan>>,
    /// When loading it failed last, and how.
    failed: Mutex<Option<(Instant, Refusal)>>,
}

/// What the last listing of the bucket found.
#[derive(Debug, Default)]
struct Index {
    /// Manifests by key, with the etag that they had.
    known: BTreeMap<String, (Option<String>, Arc<Pair>)>,
    by_digest: HashMap<[u8; 32], Arc<Pair>>,
}

/// A listing of the bucket: when it ended, and what came of it.
type Listing = (Instant, Result<(), Refusal>);

/// All pairs of a bucket.
#[derive(Debug)]
pub struct Plans {
    store: Store,
    /// Replaced whole by a listing, and never held while one waits for the store.
    index: RwLock<Arc<Index>>,
    /// Held while listing: whoever waited takes what came of it and need not list again.
    last: tokio::sync::Mutex<Option<Listing>>,
}

impl Plans {
    /// The plans of `store`, none of them loaded.
    pub fn new(store: Store) -> Self {
        Self { store, index: RwLock::default(), last: tokio::sync::Mutex::default() }
    }

    /// The plan of the pair with this digest. However many ask at once, it is loaded once; a
    /// load that fails is tried again after [`LOAD_AT_MOST_EVERY`].
    ///
    /// # Errors
    /// With `unknown_pair`, `store_unreachable`, `model_corrupt`, or `internal` when the model
    /// cannot be run.
    pub async fn get(&self, digest: &[u8; 32]) -> Result<Arc<Plan>, Refusal> {
        let pair = self.find(digest).await?;
        self.load(&pair).await
    }

    /// Loads every pair of the bucket, or only `NAME/VERSION`; says how many are loaded then.
    /// A pair that cannot be loaded is logged and does not keep the others from it.
    ///
    /// # Errors
    /// When the bucket cannot be listed.
    pub async fn preload(&self, only: Option<&str>) -> Result<usize, Refusal> {
        self.refresh(Duration::ZERO).await?;
        let pairs: Vec<_> = self.index().by_digest.values().cloned().collect();
        for pair in pairs {
            let name = format!("{}/{}", pair.manifest.name, pair.manifest.version);
            if only.is_none_or(|only| only == name)
                && let Err(refusal) = self.load(&pair).await
            {
                warn!(pair = name, error = refusal.error, "{}", refusal.message);
            }
        }
        Ok(self.loaded().len())
    }

    /// The plans that are loaded, by name and version.
    pub fn loaded(&self) -> Vec<Arc<Plan>> {
        let index = self.index();
        let mut plans: Vec<_> =
            index.by_digest.values().filter_map(|pair| pair.plan.get().cloned()).collect();
        let name =
            |plan: &Arc<Plan>| (plan.manifest().name.clone(), plan.manifest().version.clone());
        plans.sort_by_cached_key(name);
        plans
    }

    fn index(&self) -> Arc<Index> {
        Arc::clone(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    async fn find(&self, digest: &[u8; 32]) -> Result<Arc<Pair>, Refusal> {
        if let Some(pair) = self.index().by_digest.get(digest) {
            return Ok(Arc::clone(pair));
        }
        self.refresh(REFRESH_AT_MOST_EVERY).await?;
        self.index().by_digest.get(digest).cloned().ok_or_else(|| {
            Refusal::new(
                UNKNOWN_PAIR,
                format!("the cloud has no pair {}; fetch its manifest anew", hex::encode(digest)),
            )
        })
    }

    /// Lists the bucket anew, unless the last listing is younger than `most`: then what came of that.
    async fn refresh(&self, most: Duration) -> Result<(), Refusal> {
        let mut last = self.last.lock().await;
        if let Some((at, outcome)) = &*last
            && at.elapsed() < most
        {
            return outcome.clone();
        }
        let listed = self.list(&self.index()).await;
        let outcome = listed.map(|index| {
            *self.index.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(index);
        });
        *last = Some((Instant::now(), outcome.clone()));
        outcome
    }

    async fn list(&self, old: &Index) -> Result<Index, Refusal> {
        let listed = self.store.manifests().await.map_err(|error| Refusal::from(&error))?;
        let mut known = BTreeMap::new();
        for Listed { key, etag } in listed {
            let pair = match old.known.get(&key) {
                Some((before, pair)) if etag.is_some() && *before == etag => Arc::clone(pair),
                _ => match self.read(&key, old).await {
                    Ok(pair) => pair,
                    // Without the store nothing is known; one bad manifest spoils only its pair.
                    Err(refusal) if refusal.error == fogline::refusal::STORE_UNREACHABLE => {
                        return Err(refusal);
                    }
                    Err(refusal) => {
                        warn!(key, error = refusal.error, "{}", refusal.message);
                        continue;
                    }
                },
            };
            known.insert(key, (etag, pair));
        }
        let mut by_digest = HashMap::new();
        for (_, pair) in known.values() {
            // Of two names for the same files, the first serves both.
            by_digest.entry(pair.manifest.pair_digest()).or_insert_with(|| Arc::clone(pair));
        }
        Ok(Index { known, by_digest })
    }

    async fn read(&self, key: &str, old: &Index) -> Result<Arc<Pair>, Refusal> {
        let json =
            self.store.get(key, MAX_MANIFEST).await.map_err(|error| Refusal::from(&error))?;
        let manifest = Manifest::parse(&json)
            .map_err(|error| Refusal::new(error.word(), error.to_string()))?;
        // The same manifest again keeps its plan, which took time to load.
        if let Some((_, pair)) = old.known.get(key)
            && pair.manifest == manifest
        {
            return Ok(Arc::clone(pair));
        }
        let prefix = key.trim_end_matches("manifest.json").to_owned();
        Ok(Arc::new(Pair { manifest, prefix, plan: OnceCell::new(), failed: Mutex::default() }))
    }

    async fn load(&self, pair: &Pair) -> Result<Arc<Plan>, Refusal> {
        let build = || async {
            let failed = || pair.failed.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((at, refusal)) = &*failed()
                && at.elapsed() < LOAD_AT_MOST_EVERY
            {
                return Err(refusal.clone());
            }
            self.build(pair).await.inspect_err(|refusal| {
                *failed() = Some((Instant::now(), refusal.clone()));
            })
        };
        pair.plan.get_or_try_init(build).await.cloned()
    }

    async fn build(&self, pair: &Pair) -> Result<Arc<Plan>, Refusal> {
        let start = Instant::now();
        let key = format!("{}{CLOUD_ONNX}", pair.prefix);
        let size = pair.manifest.files.get(CLOUD_ONNX).map_or(0, |file| file.bytes);
        let onnx = self
            .store
            .get(&key, size.min(MAX_MODEL))
            .await
            .map_err(|error| Refusal::from(&error))?;
        let fetched = start.elapsed();
        let manifest = pair.manifest.clone();
        // tract panics on some models that are no models; the task turns that into an error.
        let plan = tokio::task::spawn_blocking(move || Plan::new(manifest, &onnx)).await.map_err(
            |error| Refusal::new(INTERNAL, format!("'{key}' cannot be loaded: {error}")),
        )??;
        info!(
            pair = %format_args!("{}/{}", pair.manifest.name, pair.manifest.version),
            fetch_ms = fetched.as_millis() as u64,
            load_ms = start.elapsed().as_millis() as u64,
            "pair loaded"
        );
        Ok(Arc::new(plan))
    }
}
