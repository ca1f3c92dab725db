//! The function. Settings come from the environment: see `auth::Auth::from_env`, `store::Settings::from_env` and
//! `plans::Options::from_env`; `FOGLINE_PRELOAD=NAME/VERSION` loads that pair alone at the start,
//! without it the newest version of each is.

use std::convert::Infallible;
use std::env;
use std::sync::Arc;
use std::time::Duration;

use fogline_cloud::auth::Auth;
use fogline_cloud::plans::{Options, Plans};
use fogline_cloud::store::{Settings, Store};
use lambda_http::tracing::subscriber::{self, filter::LevelFilter};
use lambda_http::{Error, Request, run, service_fn};
use tokio::time::{sleep, timeout};
use tracing::{info, warn};

/// How long the first request may wait for the preload. Lambda runs a starting function at full
/// speed for ten seconds, and stops its threads whenever no request is under way.
const HEAD_START: Duration = Duration::from_secs(6);

// Lambda gives a function one request at a time: a second thread would only cost the way to it and back.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    log();
    let auth = Auth::from_env()?;
    let plans = Plans::new(Store::new(Settings::from_env(None)?), Options::from_env()?);
    let first = tokio::spawn({
        let plans = Arc::clone(&plans);
        async move { preload(&plans).await }
    });
    if !matches!(timeout(HEAD_START, first).await, Ok(Ok(true))) {
        tokio::spawn(keep_trying(Arc::clone(&plans)));
    }
    run(service_fn(move |request: Request| {
        let (auth, plans) = (auth.clone(), Arc::clone(&plans));
        async move { Ok::<_, Infallible>(auth.handle(&plans, request).await) }
    }))
    .await
}

/// A line of JSON an event, on standard output, where Lambda collects it. Whoever sets `AWS_LAMBDA_LOG_LEVEL` or
/// `RUST_LOG` sees more or less.
fn log() {
    let level = env::var("AWS_LAMBDA_LOG_LEVEL").or_else(|_| env::var("RUST_LOG"));
    let level = level.ok().and_then(|level| level.parse().ok()).unwrap_or(LevelFilter::INFO);
    subscriber::fmt().json().flatten_event(true).with_target(false).with_max_level(level).init();
}

/// Loads the pair of `FOGLINE_PRELOAD`, or the newest of each; says whether any is there then.
async fn preload(plans: &Arc<Plans>) -> bool {
    let only = env::var("FOGLINE_PRELOAD").ok().filter(|name| !name.is_empty());
    match plans.preload(only.as_deref()).await {
        Ok(0) => warn!("no pair could be loaded"),
        Ok(pairs) => {
            info!(pairs, "preloaded");
            return true;
        }
        Err(refusal) => warn!(error = refusal.error, "{}", refusal.message),
    }
    false
}

/// Tries until something is loaded: the store may come up later than the function.
async fn keep_trying(plans: Arc<Plans>) {
    let mut pause = Duration::from_secs(1);
    loop {
        sleep(pause).await;
        if preload(&plans).await {
            return;
        }
        pause = (pause * 2).min(Duration::from_secs(30));
    }
}
