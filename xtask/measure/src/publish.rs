//! `cargo xtask publish`: uploads a pair to a bucket.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fogline::manifest::EDGE_FOG;
use fogline_cloud::publish::{PublishError, publish, try_out};
use fogline_cloud::store::{Settings, Store};
use fogline_edge::device::folder::Folder;
use fogline_edge::kernel::Backend;
use serde_json::json;

use crate::labels::Labels;
use crate::subject::Subject;

/// Smallest share of the test pictures whose label half precision must not change.
const SAME: f64 = 0.9995;

/// Options of `cargo xtask publish`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair's folder, which must end in NAME/VERSION.
    pair: PathBuf,
    /// The bucket [default: FOGLINE_BUCKET].
    #[arg(long, value_name = "NAME")]
    bucket: Option<String>,
    /// Endpoint of an S3-compatible store, addressed by path [default: AWS_ENDPOINT_URL_S3, or AWS itself].
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    /// Succeed if the bucket already has exactly this pair.
    #[arg(long)]
    unless_there: bool,
    /// Only check that edge and function can load the pair; upload nothing. Needs no credentials.
    #[arg(long)]
    check: bool,
    /// Also upload the cloud's weights in half precision, which the function then loads in place of cloud.onnx: half the bytes at each
    /// start. DIR is a dataset as for `cargo xtask eval`, whose test pictures must get the same label, at least 9,995 of 10,000.
    #[arg(long, value_name = "DIR")]
    half: Option<PathBuf>,
    /// Print what was published as one JSON object on standard output.
    #[arg(long)]
    json: bool,
}

/// Checks and publishes the pair, and prints each key.
pub fn run(options: &Options) -> Result<()> {
    let pair = options.pair.canonicalize().with_context(|| options.pair.display().to_string())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut tried = runtime.block_on(try_out(&pair))?;
    load_edge(&pair)?;
    if let Some(data) = &options.half {
        let (half, plan) = tried.in_half()?;
        let labels = Labels::compare(&Subject::load(&pair)?, &plan, data)?;
        let said = format!(
            "in half precision, {} of {} test pictures get the same label; the largest difference of a probability is {:.1e}",
            labels.same, labels.pictures, labels.difference
        );
        ensure!(labels.share() >= SAME, "{said}; publish the pair without --half");
        eprintln!("{said}");
        tried = half;
    }
    if tried.trial().batch == 1 {
        eprintln!("warning: the cloud part runs one sample at a time, because its batch is fixed");
    }
    if options.check {
        println!("{}: edge and function can load it", options.pair.display());
        return Ok(());
    }
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let mut settings = Settings::from_env(given(&options.bucket).as_deref())?;
    settings.endpoint = given(&options.endpoint).or(settings.endpoint);
    let bucket = settings.bucket.clone();
    let mut keys = vec![];
    let said = |key: &str, bytes| {
        eprintln!("  {key}  {bytes} bytes");
        keys.push(key.to_owned());
    };
    let manifest = match runtime.block_on(publish(&Store::new(settings), tried, said)) {
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

/// Loads the edge part as a device would: a pair that no device can run must not be published.
fn load_edge(pair: &Path) -> Result<()> {
    let fog = pair.join(EDGE_FOG);
    ensure!(fog.is_file(), "{} is missing; cargo xtask pack writes it", fog.display());
    Folder::at(pair).load(Backend::fastest()).map(drop).with_context(|| fog.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_edge_that_cannot_run_is_not_published() {
        let committed =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../onnx-models/cifar10-w1/3.2.0");
        let root = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| fs::write(root.path().join(name), bytes).unwrap();
        put("manifest.json", &fs::read(committed.join("manifest.json")).unwrap());
        let why = || format!("{:#}", load_edge(root.path()).unwrap_err());
        assert!(why().contains("cargo xtask pack writes it"), "{}", why());
        let mut fog = fs::read(committed.join(EDGE_FOG)).unwrap();
        put(EDGE_FOG, &fog);
        load_edge(root.path()).unwrap();
        fog[100] ^= 1;
        put(EDGE_FOG, &fog);
        assert!(why().contains(EDGE_FOG), "{}", why());
    }
}
