//! `cargo xtask eval`: measures a pair on a dataset, with the same code that runs in the field.
//!
//! Every picture runs through the native edge engine up to the split point and through the cloud part in tract, so that
//! exits, final head and system are measured in one run. If the pair's folder has a `twin.onnx`, the full-precision twin
//! runs on the same pictures.

use std::io::Write as _;
use std::path::PathBuf;
use std::{fs, io};

use anyhow::{Context, Result, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fogline::energy::Constants;
use fogline::policy::Policy;
use fogline_stack::models::Models;

use crate::curve::Curve;
use crate::dataset;
use crate::report::{Outcome, Report, Setting};
use crate::subject::Subject;

/// Options of `cargo xtask eval`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair: NAME or NAME/VERSION in the models folder.
    #[arg(long)]
    model: String,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// The dataset: DIR/test/CLASS/*.jpg or .png, or the folder of CIFAR-10's or CIFAR-100's binary version.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Use only this many pictures, spread evenly over the dataset.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// The exit policy [default: the manifest's].
    #[arg(long, value_parser = PossibleValuesParser::new(Policy::ALL.iter().map(|policy| policy.name())).try_map(|name| name.parse::<Policy>()))]
    policy: Option<Policy>,
    /// Name of the dataset in the report [default: the manifest's name for it].
    #[arg(long, value_name = "NAME")]
    data_name: Option<String>,
    /// Set a constant of the energy model, in pJ; may be repeated. The constants and their defaults: multiply (3.1, for 32
    /// bits), add (0.1), full_mac (3.2; 4.6 for floating point), access (2.5 per bit read), radio (296456 per bit sent:
    /// Wi-Fi at 10 Mbit/s).
    #[arg(long, value_name = "NAME=PJ")]
    constant: Vec<String>,
    /// Write the figures as JSON to this file instead of the pair's report.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures the pair, prints the table and writes the report.
pub fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.json {
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        file.with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut constants = Constants::default();
    for assignment in &options.constant {
        constants.set(assignment).map_err(|why| anyhow!(why))?;
    }
    let models = Models::find(&options.models)?;
    let folder = &models.choose(Some(&options.model))?.folder;
    let subject = Subject::load(folder)?;
    let manifest = &subject.manifest;
    let mut session = subject.session()?;
    if let Some(policy) = options.policy {
        session.decide_by(policy, None)?;
    }
    let limit = options.limit.map(|limit| limit as usize);
    let samples = dataset::test_pictures(&options.data, manifest, limit)?;
    let seen = subject.see(&samples)?;
    let outcomes: Vec<Outcome> = seen.iter().map(|seen| seen.outcome(&session)).collect();
    let policy = session.policy();
    let curve = Curve::measured(&mut session, policy, &seen, &constants, &[])?;
    let named = options.data_name.clone().or(manifest.measured.as_ref().map(|m| m.data.clone()));
    let setting = Setting {
        manifest,
        manifest_sha256: subject.manifest_sha256(),
        data: named.unwrap_or_else(|| options.data.display().to_string()),
        date: time::OffsetDateTime::now_utc().date().to_string(),
        policy,
        constants,
    };
    let report = Report::new(setting, &outcomes, &curve);
    // report.json is only for the unmodified pair on the whole dataset.
    let as_it_is =
        options.limit.is_none() && options.policy.is_none() && options.constant.is_empty();
    let beside = as_it_is.then(|| folder.join("report.json"));
    if let Some(path) = options.json.clone().or(beside) {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        eprintln!("wrote {}", path.display());
    }
    // Print last: a closed pipe, as with `| head`, must not lose the file.
    write!(io::stdout(), "{report}").context("printing the table")
}
