//! The plans in memory, by pair digest. Concurrent requests share one load; the least recently used plan is evicted when
//! memory runs short.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fogline::coding::Coder;
use fogline::manifest::{CLOUD_ONNX, File, Manifest, SPLIT_CODER, compare_versions};
use fogline::refusal::{INTERNAL, MODEL_CORRUPT, Refusal};
use moka::future::Cache as Memory;
use moka::policy::EvictionPolicy;
use tracing::{info, warn};

use crate::cache::Cache;
use crate::half::CLOUD_HALF;
use crate::index::{Index, Pair};
use crate::plan::{self, Plan};
use crate::store::{Store, variable};

/// Minimum time between two attempts to load a pair. Devices retry failed requests, and each attempt downloads the
/// whole model.
pub const LOAD_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// Size limit of a cloud model in bytes, whatever its manifest says: a Lambda function has at most 10 GB of memory.
pub(crate) const MAX_MODEL: u64 = 2 << 30;

const MIB: u64 = 1 << 20;

/// Which pairs a function serves, and how much memory and disk they may take.
#[derive(Debug, Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Options {
    /// `NAME/VERSION` of each pair to serve; `None` serves every pair in the bucket.
    pub pairs: Option<Vec<String>>,
    /// Memory limit of all plans in bytes; the least recently used plan is evicted first. A plan that exceeds the limit on
    /// its own serves the requests that wait for it and is then dropped.
    pub memory: u64,
    /// The cache of downloaded models on disk, if any.
    pub cache: Option<Cache>,
    /// Cores that the samples of a request are spread over.
    pub cores: usize,
}

impl Default for Options {
    /// All pairs, 512 MiB of plans, no cache on disk, one core.
    fn default() -> Self {
        Self { pairs: None, memory: 512 * MIB, cache: None, cores: 1 }
    }
}

impl Options {
    /// Reads `FOGLINE_PAIRS` (`NAME/VERSION,…`), `FOGLINE_MEMORY_MIB` (default: half of the function's memory),
    /// `FOGLINE_CACHE` (a folder) and `FOGLINE_CACHE_MIB` (default: 256). The cores are those that Lambda gives a function of its
    /// memory, or this machine's.
    ///
    /// # Errors
    /// If a number is invalid or too large, a pair is not of the form `NAME/VERSION`, or the cache folder cannot be created.
    pub fn from_env() -> Result<Self, String> {
        let bytes = |name| variable(name).map(|text| mib(name, &text)).transpose();
        let whole = bytes("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")?;
        let memory = bytes("FOGLINE_MEMORY_MIB")?.or(whole.map(|whole| whole / 2));
        let here = thread::available_parallelism().map_or(1, usize::from);
        let cap = bytes("FOGLINE_CACHE_MIB")?.unwrap_or(256 * MIB);
        let cache = |folder: String| {
            Cache::new(PathBuf::from(&folder), cap)
                .map_err(|error| format!("cannot create FOGLINE_CACHE '{folder}': {error}"))
        };
        Ok(Self {
            pairs: variable("FOGLINE_PAIRS").map(|text| names(&text)).transpose()?,
            memory: memory.unwrap_or(512 * MIB),
            cache: variable("FOGLINE_CACHE").map(cache).transpose()?,
            cores: whole.map_or(here, |whole| cores(whole).min(here)),
        })
    }
}

/// Parses a number of MiB and returns it in bytes.
fn mib(name: &str, text: &str) -> Result<u64, String> {
    let bytes = text.parse().ok().and_then(|mib: u64| mib.checked_mul(MIB));
    bytes.ok_or_else(|| format!("{name} is '{text}'; it must be a whole number of MiB"))
}

/// The cores' worth of time that a function with so much memory gets from Lambda: one for each 1,769 MiB, at least one.
fn cores(memory: u64) -> usize {
    ((memory as f64 / (1769 * MIB) as f64).round() as usize).max(1)
}

/// Parses the value of `FOGLINE_PAIRS`.
fn names(text: &str) -> Result<Vec<String>, String> {
    let name = |pair: &str| match pair.split('/').collect::<Vec<_>>()[..] {
        [name, version] if !name.is_empty() && !version.is_empty() => Ok(pair.to_owned()),
        _ => Err(format!("FOGLINE_PAIRS is '{text}'; it must be NAME/VERSION,NAME/VERSION,…")),
    };
    text.split(',').map(str::trim).map(name).collect()
}

/// The plans of a bucket's pairs, loaded on demand.
#[derive(Debug)]
pub struct Plans {
    store: Store,
    index: Arc<Index>,
    cache: Option<Cache>,
    cores: usize,
    loaded: Memory<[u8; 32], Arc<Plan>>,
}

impl Plans {
    /// Plans of the pairs in `store`; loads none yet.
    pub fn new(store: Store, options: Options) -> Arc<Self> {
        let kib = |plan: &Arc<Plan>| u32::try_from(plan.memory() / 1024).unwrap_or(u32::MAX);
        let loaded = Memory::builder()
            .weigher(move |_, plan| kib(plan))
            .max_capacity(options.memory / 1024)
            .eviction_policy(EvictionPolicy::lru())
            .build();
        let index = Arc::new(Index::new(store.clone(), options.pairs));
        Arc::new(Self { store, index, cache: options.cache, cores: options.cores, loaded })
    }

    /// The index of all pairs, loaded or not.
    pub fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Returns the plan of the pair whose digest starts with these bytes, loading it if necessary. Concurrent callers share one
    /// load, and a failed load is retried no sooner than [`LOAD_AT_MOST_EVERY`]. Dropping the future does not stop the load.
    ///
    /// # Errors
    /// `unknown_pair`, `store_unreachable`, `model_corrupt`, or `internal` if the model cannot be run.
    pub async fn get(self: &Arc<Self>, digest: &[u8]) -> Result<Arc<Plan>, Refusal> {
        let pair = self.index.find(digest).await?;
        if let Some(plan) = self.loaded.get(&pair.digest).await {
            return Ok(plan);
        }
        self.load(pair).await
    }

    /// Loads the newest version of every pair, or only the given `NAME/VERSION`. Returns how many plans are loaded. A pair
    /// that cannot be loaded is logged and skipped.
    ///
    /// # Errors
    /// If the bucket cannot be listed, or does not have the given pair.
    pub async fn preload(self: &Arc<Self>, only: Option<&str>) -> Result<usize, Refusal> {
        let mut wanted: BTreeMap<String, Arc<Pair>> = BTreeMap::new();
        if let Some(only) = only {
            wanted.insert(only.to_owned(), self.index.add(only).await?);
        } else {
            self.index.refresh(Duration::ZERO).await?;
            for pair in self.index.pairs() {
                let Manifest { name, version, .. } = &pair.manifest;
                let newer =
                    |other: &Arc<Pair>| compare_versions(&other.manifest.version, version).is_lt();
                if wanted.get(name).is_none_or(newer) {
                    wanted.insert(name.clone(), pair);
                }
            }
        }
        for (name, pair) in wanted {
            if let Err(refusal) = self.load(pair).await {
                warn!(pair = name, error = refusal.error, "{}", refusal.message);
            }
        }
        Ok(self.loaded().len())
    }

    /// The plans in memory, ordered by name and version.
    pub fn loaded(&self) -> Vec<Arc<Plan>> {
        let mut plans: Vec<_> = self.loaded.iter().map(|(_, plan)| plan).collect();
        let name = |manifest: &Manifest| (manifest.name.clone(), manifest.version.clone());
        plans.sort_by_cached_key(|plan| name(plan.manifest()));
        plans
    }

    /// Waits until pending evictions are done.
    pub async fn settle(&self) {
        self.loaded.run_pending_tasks().await;
    }

    async fn load(self: &Arc<Self>, pair: Arc<Pair>) -> Result<Arc<Plan>, Refusal> {
        let plans = Arc::clone(self);
        let load = async move {
            let build = Box::pin(plans.build_unless_failed(&pair));
            plans.loaded.try_get_with(pair.digest, build).await
        };
        match tokio::spawn(load).await {
            Ok(loaded) => loaded.map_err(|refusal| (*refusal).clone()),
            Err(error) => {
                warn!(%error, "loading a pair panicked");
                Err(Refusal::new(INTERNAL, "loading the pair panicked; see the log"))
            }
        }
    }

    async fn build_unless_failed(&self, pair: &Pair) -> Result<Arc<Plan>, Refusal> {
        let failed = || pair.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, refusal)) = &*failed()
            && at.elapsed() < LOAD_AT_MOST_EVERY
        {
            return Err(refusal.clone());
        }
        self.build(pair).await.inspect_err(|refusal| {
            *failed() = Some((Instant::now(), refusal.clone()));
        })
    }

    async fn build(&self, pair: &Pair) -> Result<Arc<Plan>, Refusal> {
        let start = Instant::now();
        let manifest = &pair.manifest;
        let Some(file) = pair.half.as_ref().or_else(|| manifest.files.get(CLOUD_ONNX)) else {
            let pair = format!("{}/{}", manifest.name, manifest.version);
            return Err(Refusal::new(
                INTERNAL,
                format!("the manifest of {pair} lists no {CLOUD_ONNX}"),
            ));
        };
        let model = async {
            match self.read_cached(pair, file).await {
                Some(plan) => Ok((plan?, Duration::ZERO)),
                None => self.fetch(pair, file).await,
            }
        };
        let ((plan, store), coder) = tokio::try_join!(model, self.coder(pair))?;
        let plan = plan.with_coder(coder).with_cores(self.cores);
        info!(
            pair = %format_args!("{}/{}", manifest.name, manifest.version),
            load_ms = start.elapsed().as_secs_f64() * 1e3,
            store_ms = store.as_secs_f64() * 1e3,
            tract_ms = plan.optimised_in().as_secs_f64() * 1e3,
            "pair loaded"
        );
        Ok(Arc::new(plan))
    }

    /// The pair's coder, if it has one: a few kilobytes, which arrive while tract reads the model.
    async fn coder(&self, pair: &Pair) -> Result<Option<Coder>, Refusal> {
        let Some(file) = pair.manifest.files.get(SPLIT_CODER) else { return Ok(None) };
        let key = format!("{}{SPLIT_CODER}", pair.prefix);
        let bytes = self.store.get(&key, file.bytes.min(MAX_MODEL)).await;
        let bytes = bytes.map_err(|error| Refusal::from(&error))?;
        plan::coder(&pair.manifest, &bytes).map(Some)
    }

    /// The plan of the model cached on disk; `None` if it is missing or fails verification.
    async fn read_cached(&self, pair: &Pair, file: &File) -> Option<Result<Plan, Refusal>> {
        let (cache, plan, file) = (self.cache.clone()?, plan_of(pair), file.clone());
        let plan = apart("reading a cached model", move || {
            let Some(onnx) = cache.read(&file) else { return Ok(None) };
            match plan(&onnx) {
                Err(refusal) if refusal.error == MODEL_CORRUPT => {
                    warn!(digest = file.sha256, "a cached model is corrupt; downloading it again");
                    cache.remove(&file);
                    Ok(None)
                }
                plan => plan.map(Some),
            }
        });
        plan.await.transpose()
    }

    /// Downloads the model and makes its plan. Returns the plan and the time of the download.
    async fn fetch(&self, pair: &Pair, file: &File) -> Result<(Plan, Duration), Refusal> {
        let name = if pair.half.is_some() { CLOUD_HALF } else { CLOUD_ONNX };
        let (key, start) = (format!("{}{name}", pair.prefix), Instant::now());
        let onnx = self.store.get(&key, file.bytes.min(MAX_MODEL)).await;
        let onnx = onnx.map_err(|error| Refusal::from(&error))?;
        let store = start.elapsed();
        let (cache, plan, file) = (self.cache.clone(), plan_of(pair), file.clone());
        apart(&format!("'{key}'"), move || {
            let plan = plan(&onnx)?;
            if let Some(cache) = cache
                && let Err(error) = cache.put(&file, &onnx)
            {
                warn!(%error, "cannot cache a model on disk");
            }
            Ok((plan, store))
        })
        .await
    }
}

/// Makes the plan from the pair's model as the bucket has it.
fn plan_of(pair: &Pair) -> impl FnOnce(&[u8]) -> Result<Plan, Refusal> + use<> {
    let (manifest, half) = (pair.manifest.clone(), pair.half.clone());
    move |onnx| match half {
        Some(half) => Plan::of_half(manifest, &half, onnx),
        None => Plan::new(manifest, onnx),
    }
}

/// Runs blocking `work` on another thread and turns a panic into a refusal: tract panics on some invalid models.
pub(crate) async fn apart<T, F>(what: &str, work: F) -> Result<T, Refusal>
where
    T: Send + 'static,
    F: FnOnce() -> Result<T, Refusal> + Send + 'static,
{
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Refusal::new(INTERNAL, format!("{what} panicked; see the log"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mib_that_overflow_are_refused_and_so_are_pairs_that_are_none() {
        assert_eq!(mib("M", "17592186044415"), Ok(u64::MAX - MIB + 1));
        assert!(mib("M", "17592186044416").is_err());
        assert_eq!(names("a/1, b/2").unwrap(), ["a/1", "b/2"]);
        for none in [",", "a", "a/1,", "/", "a//1", "a/1/2"] {
            assert!(names(none).is_err(), "{none}");
        }
    }

    #[tokio::test]
    async fn a_panic_in_the_model_is_a_typed_refusal() {
        let refusal = apart::<(), _>("it", || panic!("index out of range")).await.unwrap_err();
        assert_eq!((refusal.error.as_str(), refusal.status()), (INTERNAL, 500));
    }
}
