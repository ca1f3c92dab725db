//! The function on AWS Lambda. Environment variables configure it: see `Auth::from_env`, `store::Settings::from_env`,
//! `plans::Options::from_env` and `preload`.

use std::error::Error;

use fogline_cloud::function::{Auth, Function};
use fogline_cloud::lambda::{self, HEAD_START};
use fogline_cloud::plans::{Options, Plans};
use fogline_cloud::preload::preload;
use fogline_cloud::store::{Settings, Store};

// Lambda sends one request at a time, so a second thread would only add context switches.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error + Send + Sync>> {
    lambda::log();
    let auth = Auth::from_env()?;
    let plans = Plans::new(Store::new(Settings::from_env(None)?), Options::from_env()?);
    preload(&plans, HEAD_START).await;
    lambda::serve(&Function::new(auth, plans)).await
}
