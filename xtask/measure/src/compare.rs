//! `cargo xtask compare`: compares related systems with the plain hybrid network, on the same pictures, energy model and
//! runtime.
//!
//! Each pair is measured as deployed and along its calibration curve. The plain network's accuracy at the same offload rate,
//! and its energy at the same accuracy, are interpolated on its own curve, measured on the same test pictures.

mod table;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{fs, io};

use anyhow::{Context, Error, Result, bail, ensure};
use fogline::energy::Constants;
use fogline::policy::Policy;
use fogline_edge::session::Session;
use fogline_stack::models::{Model, Models};
use indicatif::{ProgressBar, ProgressStyle};
use serde::{Deserialize, Serialize};

use crate::curve::{Curve, Point};
use crate::dataset::{self, Sample};
use crate::subject::Subject;
use crate::times::{median, ms};

/// File name of the table in the plain pair's folder, for `cargo xtask figures`.
pub const KEPT: &str = "compare.txt";
const JSON: &str = "compare.json";
/// Shares of pictures answered at the edge at which the curves are compared.
const SHARES: [f64; 5] = [0.5, 0.6, 0.7, 0.8, 0.9];
/// Number of pictures on which the edge is timed, and how many a system takes per turn.
const TIMED: usize = 1000;
const TURN: usize = 50;

/// Options of `cargo xtask compare`.
#[derive(clap::Args)]
pub struct Options {
    /// The dataset: DIR/test/CLASS/*.jpg or .png, or the folder of CIFAR-10's or CIFAR-100's binary version.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The plain pair, NAME or NAME/VERSION. It is compared with the latest version of every pair NAME-*.
    #[arg(long, value_name = "NAME", default_value = "cifar10-w1")]
    plain: String,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// Use only this many pictures, spread evenly over the dataset.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Write all figures, including the curves, to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write compare.txt and compare.json to the plain pair's folder, for docs/results.md.
    #[arg(long, conflicts_with = "limit")]
    keep: bool,
}

/// Results of one system.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    model: String,
    version: String,
    policy: Policy,
    /// With the manifest's policy and thresholds.
    own: Point,
    /// Along the calibration curve.
    curve: Curve,
    /// If its policy is learned: the same network along the curves of the other policies.
    others: Vec<(Policy, Curve)>,
    /// Size of the packed edge model in bytes.
    download: usize,
    /// Mean time of the edge per picture, in milliseconds on one thread.
    edge_ms: f64,
    /// Time of the cloud's layers for one picture, in milliseconds on one thread.
    cloud_ms: f64,
}

/// Results of all systems.
#[derive(Debug, Serialize, Deserialize)]
struct Comparison {
    data: String,
    date: String,
    samples: usize,
    hard: Vec<String>,
    /// The plain network comes first.
    rows: Vec<Row>,
}

/// Measures all systems, prints the table and writes the files that were asked for.
pub fn run(options: &Options) -> Result<()> {
    let models = Models::find(&options.models)?;
    let plain = models.choose(Some(&options.plain))?;
    let prefix = format!("{}-", plain.manifest.name);
    // Fail early: a system missing from the table would look as if it did not exist.
    let unread = |(folder, _): &&(PathBuf, Error)| {
        let name = folder.parent().and_then(Path::file_name);
        name.is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    };
    if let Some((_, why)) = models.refused.iter().find(unread) {
        bail!("{why:#}");
    }
    let chosen: Vec<&Model> = [plain].into_iter().chain(systems(&models, &prefix)).collect();
    ensure!(chosen.len() > 1, "{} has no pair {prefix}* to compare with", options.models.display());
    let extension = chosen.iter().find_map(|model| model.manifest.extension());
    let hard = extension.map_or(vec![], |exit| exit.extends.clone());
    let limit = options.limit.map(|limit| limit as usize);
    let samples = dataset::test_pictures(&options.data, &plain.manifest, limit)?;
    let mut subjects = vec![];
    for model in chosen {
        ensure!(
            model.manifest.classes == plain.manifest.classes,
            "{} does not have the same classes as {}",
            model.folder.display(),
            plain.folder.display()
        );
        let load = || -> Result<_> {
            let subject = Subject::load(&model.folder)?;
            let session = subject.session()?;
            Ok((subject, session))
        };
        subjects.push(load().with_context(|| model.folder.display().to_string())?);
    }
    let times = times(&mut subjects, &dataset::evenly(samples.clone(), Some(TIMED)))?;
    let mut rows = vec![];
    for ((subject, session), times) in subjects.iter_mut().zip(times) {
        eprintln!("{} {}", subject.manifest.name, subject.manifest.version);
        rows.push(measure(subject, session, times, &samples, &hard)?);
    }
    let measured = plain.manifest.measured.as_ref().map(|measured| measured.data.clone());
    let comparison = Comparison {
        data: measured.unwrap_or_else(|| options.data.display().to_string()),
        date: time::OffsetDateTime::now_utc().date().to_string(),
        samples: samples.len(),
        hard,
        rows,
    };
    let text = serde_json::to_string_pretty(&comparison)? + "\n";
    let kept = options.keep.then(|| plain.folder.join(JSON));
    for path in options.json.iter().chain(&kept) {
        fs::write(path, &text).with_context(|| path.display().to_string())?;
    }
    if options.keep {
        let path = plain.folder.join(KEPT);
        fs::write(&path, comparison.to_string()).with_context(|| path.display().to_string())?;
    }
    // Print last: a closed pipe, as with `| head`, must not lose the files.
    write!(io::stdout(), "{comparison}").context("printing the table")
}

/// The latest version of every pair whose name starts with `prefix`.
fn systems<'a>(models: &'a Models, prefix: &str) -> Vec<&'a Model> {
    let mut found: Vec<&Model> = vec![];
    for model in models.usable.iter().filter(|model| model.manifest.name.starts_with(prefix)) {
        // Ordered by name, then by version.
        if found.last().is_some_and(|last| last.manifest.name == model.manifest.name) {
            found.pop();
        }
        found.push(model);
    }
    found
}

fn measure(
    subject: &Subject,
    session: &mut Session,
    [edge_ms, cloud_ms]: [f64; 2],
    samples: &[Sample],
    hard: &[String],
) -> Result<Row> {
    let seen = subject.see(samples)?;
    let (policy, constants) = (session.policy(), Constants::default());
    let own = Point::of(session, &seen, &constants, hard);
    let curve = Curve::measured(session, policy, &seen, &constants, hard)?;
    let mut others = vec![];
    if policy == Policy::Appeal {
        for &other in subject.manifest.curves.keys().filter(|&&other| other != policy) {
            others.push((other, Curve::measured(session, other, &seen, &constants, hard)?));
        }
    }
    Ok(Row {
        model: subject.manifest.name.clone(),
        version: subject.manifest.version.clone(),
        policy,
        own,
        curve,
        others,
        download: subject.fog().len(),
        edge_ms,
        cloud_ms,
    })
}

/// Median milliseconds per picture of each subject's edge and cloud. The subjects take turns, so that a change of the
/// machine's clock rate affects all of them.
fn times(subjects: &mut [(Subject, Session)], samples: &[Sample]) -> Result<Vec<[f64; 2]>> {
    let mut spent = vec![[vec![], vec![]]; subjects.len()];
    let bar = ProgressBar::new(samples.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} pictures timed, {eta} left")?);
    for turn in samples.chunks(TURN) {
        for ((subject, session), [edge, cloud]) in subjects.iter_mut().zip(&mut spent) {
            let size = session.manifest().input.size;
            let pictures =
                turn.iter().map(|sample| sample.rgb(size)).collect::<Result<Vec<_>>>()?;
            let (_, map, _) = session.run_through(&pictures[0]); // warm-up
            let began = Instant::now();
            for picture in &pictures {
                session.run_edge(picture);
            }
            edge.push(ms(began) / pictures.len() as f64);
            subject.cloud(map.clone())?;
            let began = Instant::now();
            subject.cloud(map)?;
            cloud.push(ms(began));
        }
        bar.inc(turn.len() as u64);
    }
    bar.finish_and_clear();
    Ok(spent.iter().map(|each| each.each_ref().map(|samples| median(samples))).collect())
}

impl Row {
    /// How much more energy `point` needs than this system at the same accuracy; `None` if this one never reaches it.
    fn more_energy(&self, point: &Point) -> Option<String> {
        let energy = self.curve.energy_at(point.accuracy)?;
        Some(format!("{:+.1}%", (point.energy / energy - 1.0) * 100.0))
    }
}
