//! The function. Settings come from the environment: see `store::Settings::from_env`;
//! `FOGLINE_PRELOAD=NAME/VERSION` loads that pair alone at the start, without it all are.

use std::convert::Infallible;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use fogline_cloud::handler;
use fogline_cloud::plans::Plans;
use fogline_cloud::store::{Settings, Store};
use lambda_http::{Error, Request, run, service_fn};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How long the first request may wait for the preload. Lambda runs a starting function at full
/// speed for ten seconds, and stops its threads whenever no request is under way.
const HEAD_START: Duration = Duration::from_secs(6);

#[tokio::main]
async fn main() -> Result<(), Error> {
    lambda_http::tracing::init_default_subscriber();
    let plans = Arc::new(Plans::new(Store::new(Settings::from_env()?)));
    let mut preload = tokio::spawn(preload(Arc::clone(&plans)));
    let _ = timeout(HEAD_START, &mut preload).await;
    run(service_fn(move |request: Request| {
        let plans = Arc::clone(&plans);
        async move { Ok::<_, Infallible>(handler::handle(&plans, request).await) }
    }))
    .await
}

/// Tries until something is loaded: the store may come up later than the function.
async fn preload(plans: Arc<Plans>) {
    let only = env::var("FOGLINE_PRELOAD").ok().filter(|name| !name.is_empty());
    let mut pause = Duration::from_secs(1);
    loop {
        match plans.preload(only.as_deref()).await {
            Ok(0) => warn!("no pair could be loaded"),
            Ok(pairs) => return info!(pairs, "preloaded"),
            Err(refusal) => warn!(error = refusal.error, "{}", refusal.message),
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}
