//! `cargo xtask compare`: the neighbouring systems beside the plain hybrid network, on the same pictures, energy model and
//! runtime.
//!
//! Each pair is measured as it is deployed, and along its calibration's curve. What the plain network does at the same share
//! of pictures at the edge, or costs at the same accuracy, is read off its own curve, measured on the same test pictures.

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

/// The table and the figures beside the plain pair, for `cargo xtask figures` and the plot.
pub const KEPT: &str = "compare.txt";
const JSON: &str = "compare.json";
/// Where systems are compared along their curves.
const SHARES: [f64; 5] = [0.5, 0.6, 0.7, 0.8, 0.9];
/// Pictures on which the edge is timed, and how many of them a system takes at a turn.
const TIMED: usize = 1000;
const TURN: usize = 50;

/// Options of `cargo xtask compare`.
#[derive(clap::Args)]
pub struct Options {
    /// The dataset: DIR/test/CLASS/*.jpg or .png, or the folder of CIFAR-10's or CIFAR-100's binary version.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// The plain pair, NAME or NAME/VERSION; what is compared with it are the last versions of the pairs NAME-*.
    #[arg(long, value_name = "NAME", default_value = "cifar10-w1")]
    plain: String,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// Only this many pictures, spread evenly over the dataset.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Write the figures, curves too, to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the table as compare.txt and the figures as compare.json beside the plain pair, for docs/results.md.
    #[arg(long, conflicts_with = "limit")]
    keep: bool,
}

/// One system.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    model: String,
    version: String,
    policy: Policy,
    /// As it is deployed.
    own: Point,
    /// Along its curve.
    curve: Curve,
    /// The same network along the curves of other policies, where its own had to be learned.
    others: Vec<(Policy, Curve)>,
    /// Bytes of the packed edge model.
    download: usize,
    /// Milliseconds of the edge a picture, on the mean, on one thread.
    edge_ms: f64,
    /// Milliseconds of the cloud's layers for one picture, on one thread.
    cloud_ms: f64,
}

/// The comparison.
#[derive(Debug, Serialize, Deserialize)]
struct Comparison {
    data: String,
    date: String,
    samples: usize,
    hard: Vec<String>,
    /// The plain one first.
    rows: Vec<Row>,
}

/// Measures, prints, writes.
pub fn run(options: &Options) -> Result<()> {
    let models = Models::find(&options.models)?;
    let plain = models.choose(Some(&options.plain))?;
    let prefix = format!("{}-", plain.manifest.name);
    // One that is missing from the table would look as if there were none.
    let unread = |(folder, _): &&(PathBuf, Error)| {
        let name = folder.parent().and_then(Path::file_name);
        name.is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    };
    if let Some((_, why)) = models.refused.iter().find(unread) {
        bail!("{why:#}");
    }
    let chosen: Vec<&Model> = [plain].into_iter().chain(systems(&models, &prefix)).collect();
    ensure!(
        chosen.len() > 1,
        "{} holds no pair {prefix}*: nothing to compare with",
        options.models.display()
    );
    let extension = chosen.iter().find_map(|model| model.manifest.extension());
    let hard = extension.map_or(vec![], |exit| exit.extends.clone());
    let limit = options.limit.map(|limit| limit as usize);
    let samples = dataset::test_pictures(&options.data, &plain.manifest, limit)?;
    let mut subjects = vec![];
    for model in chosen {
        ensure!(
            model.manifest.classes == plain.manifest.classes,
            "{}: its classes are not those of {}",
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
    // Who reads no further, as `head` does, loses the table but not the files.
    write!(io::stdout(), "{comparison}").context("printing the table")
}

/// The last version of every pair whose name begins so.
fn systems<'a>(models: &'a Models, prefix: &str) -> Vec<&'a Model> {
    let mut found: Vec<&Model> = vec![];
    for model in models.usable.iter().filter(|model| model.manifest.name.starts_with(prefix)) {
        // They come by name, then by version.
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

/// Milliseconds a picture of each subject's edge, and of its cloud: medians of turns, which all subjects take one after the
/// other, so that a machine which changes its clock does so for all.
fn times(subjects: &mut [(Subject, Session)], samples: &[Sample]) -> Result<Vec<[f64; 2]>> {
    let mut spent = vec![[vec![], vec![]]; subjects.len()];
    let bar = ProgressBar::new(samples.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} pictures timed, {eta} left")?);
    for turn in samples.chunks(TURN) {
        for ((subject, session), [edge, cloud]) in subjects.iter_mut().zip(&mut spent) {
            let size = session.manifest().input.size;
            let pictures =
                turn.iter().map(|sample| sample.rgb(size)).collect::<Result<Vec<_>>>()?;
            let (_, map, _) = session.run_through(&pictures[0]); // to warm up
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
    /// By how much `point` costs more than this one does when as accurate; none where it never is.
    fn more_energy(&self, point: &Point) -> Option<String> {
        let energy = self.curve.energy_at(point.accuracy)?;
        Some(format!("{:+.1}%", (point.energy / energy - 1.0) * 100.0))
    }
}
