//! Loads pairs before the first request.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use tracing::{info, warn};

use crate::plans::Plans;
use crate::store::variable;

/// Loads the pair named by `FOGLINE_PRELOAD`, or the newest version of every pair. Returns after `head_start` at the
/// latest; if nothing is loaded by then, loading continues in the background.
pub async fn preload(plans: &Arc<Plans>, head_start: Duration) {
    let first = tokio::spawn({
        let plans = Arc::clone(plans);
        async move { load(&plans).await }
    });
    if !matches!(timeout(head_start, first).await, Ok(Ok(true))) {
        tokio::spawn(keep_trying(Arc::clone(plans)));
    }
}

/// Tries once. Returns whether any pair is loaded.
async fn load(plans: &Arc<Plans>) -> bool {
    match plans.preload(variable("FOGLINE_PRELOAD").as_deref()).await {
        Ok(0) => warn!("no pair could be loaded"),
        Ok(pairs) => {
            info!(pairs, "preloaded");
            return true;
        }
        Err(refusal) => warn!(error = refusal.error, "{}", refusal.message),
    }
    false
}

/// Retries until a pair is loaded: the store may come up later than the function.
async fn keep_trying(plans: Arc<Plans>) {
    let mut pause = Duration::from_secs(1);
    loop {
        sleep(pause).await;
        if load(&plans).await {
            return;
        }
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}
