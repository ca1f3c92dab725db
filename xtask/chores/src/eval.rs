//! `cargo xtask eval`: what a pair does on a dataset, measured with the parts that run in the field.
//!
//! Every picture passes the native edge engine to the split and the cloud part in tract, so that each
//! exit, the final head and the system are measured on the same run; the full-precision twin, where
//! `twin.onnx` lies beside the pair, sees the same pictures.

use std::io::Write as _;
use std::path::PathBuf;
use std::{fs, io, slice, thread};

use anyhow::{Context, Result, anyhow, ensure};
use fogline::energy::Constants;
use fogline::frame::Tensor;
use fogline::manifest::{CLOUD_ONNX, EDGE_FOG, Manifest, Part, Role, sha256_hex};
use fogline::policy::{Policy, Verdict};
use fogline_cloud::plan::Plan;
use fogline_edge::kernel::Backend;
use fogline_edge::session::Session;
use fogline_stack::models::Models;
use indicatif::{ProgressBar, ProgressStyle};

use crate::dataset::{self, Sample};
use crate::report::{Outcome, Report, Setting};
use crate::twin::Twin;

/// The full-precision twin's file, from picture to scores. No part of the pair.
const TWIN_ONNX: &str = "twin.onnx";

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
    /// Only this many pictures, spread evenly over the dataset.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// How exits decide: entropy, max_probability or margin [default: the manifest's].
    #[arg(long)]
    policy: Option<Policy>,
    /// What the dataset is called in the report [default: as in the manifest's own measurement].
    #[arg(long, value_name = "NAME")]
    data_name: Option<String>,
    /// Set a constant of the energy model, in pJ: multiply (3.1, of 32 bits), add (0.1), full_mac (3.2; 4.6 is a
    /// floating-point one), access (2.5 a bit read), radio (296456 a bit sent: Wi-Fi at 10 Mbit/s). May be repeated.
    #[arg(long, value_name = "NAME=PJ")]
    constant: Vec<String>,
    /// Write the figures to this file as JSON, instead of report.json beside the pair.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// Measures, prints, writes.
pub fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.json {
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        file.with_context(|| format!("{}: not to be written", path.display()))?;
    }
    let mut constants = Constants::default();
    for assignment in &options.constant {
        constants.set(assignment).map_err(|why| anyhow!(why))?;
    }
    let models = Models::find(&options.models)?;
    let folder = &models.choose(Some(&options.model))?.folder;
    let read = |name: &str| {
        let path = folder.join(name);
        fs::read(&path).with_context(|| path.display().to_string())
    };
    let (manifest, fog, onnx) = (read("manifest.json")?, read(EDGE_FOG)?, read(CLOUD_ONNX)?);
    let session = || -> Result<Session> {
        let mut session = Session::load(&manifest, &fog, Backend::fastest())?;
        if let Some(policy) = options.policy {
            session.set_policy(policy)?;
        }
        Ok(session)
    };
    let parsed = Manifest::parse(&manifest)?;
    let counted = |part: &Part| part.role == Role::Cloud && part.macs.values().any(|&n| n > 0);
    ensure!(
        parsed.parts.iter().any(counted),
        "{}: its 'parts' count no MACs of the cloud, which would look as if it cost nothing",
        folder.join("manifest.json").display()
    );
    let plan = Plan::new(parsed.clone(), &onnx).map_err(|refusal| anyhow!(refusal.message))?;
    let twin = folder.join(TWIN_ONNX);
    let twin = if twin.is_file() {
        Some(Twin::load(&twin, &parsed).with_context(|| twin.display().to_string())?)
    } else {
        None
    };
    let limit = options.limit.map(|limit| limit as usize);
    let samples = dataset::test_pictures(&options.data, &parsed, limit)?;
    let bar = ProgressBar::new(samples.len() as u64);
    bar.set_style(ProgressStyle::with_template("{bar:40} {pos}/{len} pictures, {eta} left")?);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut outcomes = vec![];
    let (session, plan, twin, ticks) = (&session, &plan, twin.as_ref(), &bar);
    thread::scope(|scope| -> Result<()> {
        let shares = samples.chunks(samples.len().div_ceil(threads).max(1));
        let workers: Vec<_> = shares
            .map(|share| scope.spawn(move || measure(session()?, plan, twin, share, ticks)))
            .collect();
        for worker in workers {
            outcomes.extend(worker.join().map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    let named = options.data_name.clone().or(parsed.measured.as_ref().map(|m| m.data.clone()));
    let setting = Setting {
        manifest: &parsed,
        manifest_sha256: sha256_hex(&manifest),
        data: named.unwrap_or_else(|| options.data.display().to_string()),
        date: time::OffsetDateTime::now_utc().date().to_string(),
        policy: options.policy.unwrap_or(parsed.policy),
        constants,
    };
    let report = Report::new(setting, &outcomes);
    // Beside the pair stands what it does as it is, on the whole dataset.
    let as_it_is =
        options.limit.is_none() && options.policy.is_none() && options.constant.is_empty();
    let beside = as_it_is.then(|| folder.join("report.json"));
    if let Some(path) = options.json.clone().or(beside) {
        let text = serde_json::to_string_pretty(&report)? + "\n";
        fs::write(&path, text).with_context(|| path.display().to_string())?;
        eprintln!("wrote {}", path.display());
    }
    // Who reads no further, as `head` does, loses the table but not the file.
    write!(io::stdout(), "{report}").context("printing the table")
}

fn measure(
    mut session: Session,
    plan: &Plan,
    twin: Option<&Twin>,
    samples: &[Sample],
    bar: &ProgressBar,
) -> Result<Vec<Outcome>> {
    let size = session.manifest().input.size;
    let split = session.manifest().split.clone();
    let policy = session.policy();
    let mut outcomes = vec![];
    for sample in samples {
        let rgb = sample.rgb(size)?;
        let (exits, bytes) = session.run_through(&rgb);
        let tensor = Tensor { shape: split.shape, bits: split.bits, bytes };
        let cloud = plan.logits(slice::from_ref(&tensor), None);
        let cloud = cloud.map_err(|refusal| anyhow!(refusal.message))?.scores.remove(0);
        let verdicts: Vec<Verdict> =
            exits.iter().enumerate().map(|(i, logits)| session.judge(i, logits)).collect();
        let right = |logits: &[f32]| Verdict::of(logits, 1.0, policy, 0.0).label == sample.label;
        let request = session.request(vec![tensor.bytes], [0; 16]);
        outcomes.push(Outcome {
            exits: verdicts.iter().map(|v| v.label == sample.label).collect(),
            cloud: right(&cloud),
            twin: match twin {
                Some(twin) => Some(right(&twin.logits(&rgb)?)),
                None => None,
            },
            ended: verdicts.iter().position(|v| v.sure),
            frame: request.encode()?.len(),
            jpeg: sample.jpeg_bytes(),
        });
        bar.inc(1);
    }
    Ok(outcomes)
}
