//! A pair under measurement: the logits of every exit, the cloud and the twin for each picture.
//!
//! Every picture runs through the native edge engine up to the split point and through the cloud part in tract. Where it
//! would have been answered follows from the logits, so that one run serves all policies and thresholds.

use std::path::Path;
use std::{fs, slice, thread};

use anyhow::{Context, Result, anyhow, ensure};
use fogline::frame::Tensor;
use fogline::manifest::{CLOUD_ONNX, EDGE_FOG, Manifest, Part, Role, sha256_hex};
use fogline::policy::Verdict;
use fogline_cloud::plan::Plan;
use fogline_edge::kernel::Backend;
use fogline_edge::session::Session;
use indicatif::{ProgressBar, ProgressStyle};

use crate::dataset::Sample;
use crate::report::{Answer, Outcome};
use crate::twin::Twin;

/// File of the full-precision twin, from picture to scores. Not part of the pair.
pub const TWIN_ONNX: &str = "twin.onnx";

/// A loaded pair with its cloud plan and, if there is one, its twin.
pub struct Subject {
    pub manifest: Manifest,
    /// Bytes of manifest and packed edge, from which every thread makes its own engine.
    edge: [Vec<u8>; 2],
    plan: Plan,
    twin: Option<Twin>,
}

/// The results of all parts for one picture.
pub struct Seen {
    /// Index of its true class.
    pub label: usize,
    name: String,
    exits: Vec<Vec<f32>>,
    way: Option<u8>,
    cloud: Answer,
    twin: Option<bool>,
    frame: usize,
    jpeg: usize,
}

impl Subject {
    /// Loads the pair in `folder`, including its `twin.onnx` if there is one.
    pub fn load(folder: &Path) -> Result<Self> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).with_context(|| path.display().to_string())
        };
        let (text, fog, onnx) = (read("manifest.json")?, read(EDGE_FOG)?, read(CLOUD_ONNX)?);
        let manifest = Manifest::parse(&text)?;
        let counted = |part: &Part| part.role == Role::Cloud && part.macs.values().any(|&n| n > 0);
        ensure!(
            manifest.parts.iter().any(counted),
            "{}: 'parts' has no MACs for the cloud, so its energy would be zero; export and pack the pair again",
            folder.join("manifest.json").display()
        );
        let refused = |refusal: fogline::refusal::Refusal| anyhow!(refusal.message);
        let plan = Plan::new(manifest.clone(), &onnx).map_err(refused)?;
        let path = folder.join(TWIN_ONNX);
        let twin = path.is_file().then(|| Twin::load(&path, &manifest));
        let twin = twin.transpose().with_context(|| path.display().to_string())?;
        Ok(Self { manifest, edge: [text, fog], plan, twin })
    }

    /// A new session of the edge, as it runs in the field.
    pub fn session(&self) -> Result<Session> {
        Ok(Session::load(&self.edge[0], &self.edge[1], Backend::fastest())?)
    }

    /// The manifest's file.
    pub fn manifest_text(&self) -> &[u8] {
        &self.edge[0]
    }

    /// SHA-256 of the manifest's file.
    pub fn manifest_sha256(&self) -> String {
        sha256_hex(&self.edge[0])
    }

    /// Bytes of the packed edge model.
    pub fn fog(&self) -> &[u8] {
        &self.edge[1]
    }

    /// Runs all parts on every picture and shows a progress bar.
    pub fn see(&self, samples: &[Sample]) -> Result<Vec<Seen>> {
        on_all_cores(samples, "pictures", |share, bar| self.see_some(share, bar))
    }

    /// The full-precision twin, if the pair's folder has one.
    pub fn twin(&self) -> Option<&Twin> {
        self.twin.as_ref()
    }

    /// Runs the cloud part on one packed map and returns its scores.
    pub fn cloud(&self, bytes: Vec<u8>) -> Result<Vec<f32>> {
        scores(&self.plan, bytes)
    }

    fn see_some(&self, samples: &[Sample], bar: &ProgressBar) -> Result<Vec<Seen>> {
        let mut session = self.session()?;
        let mut seen = vec![];
        for sample in samples {
            let rgb = sample.rgb(self.manifest.input.size)?;
            let (exits, bytes, way) = session.run_through(&rgb);
            let request = session.request(vec![bytes.clone()], [0; 16]);
            let frame = request.encode_with(session.coder().map(AsRef::as_ref))?.len();
            let cloud = Verdict::last(&self.cloud(bytes)?);
            let twin = self.twin.as_ref().map(|twin| twin.logits(&rgb)).transpose()?;
            seen.push(Seen {
                label: sample.label,
                name: sample.name.clone(),
                exits,
                way,
                cloud: Answer::of(&cloud),
                twin: twin.map(|logits| Verdict::last(&logits).label == sample.label),
                frame,
                jpeg: sample.jpeg_bytes(&rgb, self.manifest.input.size)?,
            });
            bar.inc(1);
        }
        Ok(seen)
    }
}

/// Runs a plan on one packed map and returns its scores.
pub fn scores(plan: &Plan, bytes: Vec<u8>) -> Result<Vec<f32>> {
    let split = &plan.manifest().split;
    let tensor = Tensor { shape: split.shape, bits: split.bits, bytes };
    let scores = plan.logits(slice::from_ref(&tensor), None);
    Ok(scores.map_err(|refusal| anyhow!(refusal.message))?.scores.remove(0))
}

/// Gives each core a share of the pictures, in order, and shows a progress bar that `work` moves.
pub fn on_all_cores<T: Send>(
    samples: &[Sample],
    what: &str,
    work: impl Fn(&[Sample], &ProgressBar) -> Result<Vec<T>> + Sync,
) -> Result<Vec<T>> {
    let bar = ProgressBar::new(samples.len() as u64);
    let template = format!("{{bar:40}} {{pos}}/{{len}} {what}, {{eta}} left");
    bar.set_style(ProgressStyle::with_template(&template)?);
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut done = vec![];
    thread::scope(|scope| -> Result<()> {
        let shares = samples.chunks(samples.len().div_ceil(threads).max(1));
        let workers: Vec<_> = shares.map(|share| scope.spawn(|| work(share, &bar))).collect();
        for worker in workers {
            done.extend(worker.join().map_err(|_| anyhow!("a worker panicked"))??);
        }
        Ok(())
    })?;
    bar.finish_and_clear();
    Ok(done)
}

impl Seen {
    /// The picture's outcome under the policy and thresholds of `session`.
    pub fn outcome(&self, session: &Session) -> Outcome<'_> {
        let exits = self.exits.iter().enumerate();
        let verdicts: Vec<Verdict> = exits.map(|(i, logits)| session.judge(i, logits)).collect();
        Outcome {
            picture: &self.name,
            label: self.label,
            exits: verdicts.iter().map(Answer::of).collect(),
            cloud: self.cloud,
            twin: self.twin,
            ended: session.ending(&verdicts),
            way: self.way.unwrap_or(0),
            frame: self.frame,
            jpeg: self.jpeg,
        }
    }
}
