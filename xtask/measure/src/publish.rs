//! `cargo xtask publish`: a pair into a bucket.

use std::path::PathBuf;

use anyhow::{Context, Result};
use fogline_cloud::publish::{PublishError, publish};
use fogline_cloud::store::{Settings, Store};
use serde_json::json;

/// Options of `cargo xtask publish`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair's folder, NAME/VERSION at its end.
    pair: PathBuf,
    /// The bucket [default: FOGLINE_BUCKET].
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Another endpoint than AWS's own, addressed by path [default: AWS_ENDPOINT_URL_S3].
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// End well where the bucket has this very pair already.
    #[arg(long)]
    unless_there: bool,
    /// What was published as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Publishes, and says each key.
pub fn run(options: &Options) -> Result<()> {
    let mut settings = Settings::from_env(options.bucket.as_deref())?;
    settings.endpoint = options.endpoint.clone().or(settings.endpoint);
    let bucket = settings.bucket.clone();
    let pair = options.pair.canonicalize().with_context(|| options.pair.display().to_string())?;
    let mut keys = vec![];
    let said = |key: &str, bytes| {
        eprintln!("  {key}  {bytes} bytes");
        keys.push(key.to_owned());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let manifest = match runtime.block_on(publish(&Store::new(settings), &pair, said)) {
        Err(there @ PublishError::Published(_)) if options.unless_there => {
            eprintln!("{there}");
            return Ok(());
        }
        done => done?,
    };
    let (name, version) = (&manifest.name, &manifest.version);
    let digest = hex::encode(manifest.pair_digest());
    if options.json {
        println!(
            "{}",
            json!({"bucket": bucket, "name": name, "version": version, "digest": digest, "keys": keys})
        );
    } else {
        println!("{name}/{version} is in {bucket}; its digest is {digest}");
    }
    Ok(())
}
