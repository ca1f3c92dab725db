//! One pair of models at work: a picture in, an answer out, with everything that led to it.

use core::fmt;

use fogline::frame::{Request, Tensor};
use fogline::manifest::{EDGE_FOG, Exit, Manifest, ManifestError, verify};
use fogline::policy::{Policy, Verdict};
use serde::Serialize;

use crate::cloud::Outcome;
use crate::engine::{Engine, Stop};
use crate::fog::{FogError, Model};
use crate::kernel::Backend;

/// A loaded pair.
pub struct Session {
    manifest: Manifest,
    engine: Engine,
    policy: Policy,
    thresholds: Vec<f32>,
}

/// The answer on one picture. Serialised with the field names that page and command line show.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The class's name.
    pub label: String,
    /// Its index.
    pub index: usize,
    /// Its probability.
    pub confidence: f32,
    /// Probabilities, one a class.
    pub scores: Vec<f32>,
    /// `exit-N` or `cloud`.
    pub origin: String,
    /// Set where the cloud should have answered and did not.
    pub degraded: Option<Degraded>,
    /// The exits that were met.
    pub exits: Vec<ExitReport>,
    /// Times.
    pub timings: Timings,
    /// Bytes of the request's body, on every try; of a frame with more samples, this one's share.
    pub bytes_sent: usize,
}

/// Why an exit answered in the cloud's place.
#[derive(Debug, Clone, Serialize)]
pub struct Degraded {
    /// A machine word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The packed map, where the cloud may well answer the same question another time.
    #[serde(skip)]
    pub map: Option<Vec<u8>>,
}

/// What one exit said.
#[derive(Debug, Clone, Serialize)]
pub struct ExitReport {
    /// `exit-N`.
    pub name: String,
    /// The class's name.
    pub label: String,
    /// The policy's threshold.
    pub threshold: f32,
    /// The judgement, with its label as `index`.
    #[serde(flatten)]
    pub verdict: Judgement,
}

/// A [`Verdict`] with names for JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Judgement {
    /// The class's index.
    pub index: usize,
    /// Its probability.
    pub confidence: f32,
    /// The policy's measure.
    pub certainty: f32,
    /// Whether the measure passed the threshold.
    pub sure: bool,
    /// Probabilities, one a class.
    pub scores: Vec<f32>,
}

/// Milliseconds in each part.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// In the edge's layers and exits.
    pub edge_ms: f64,
    /// Waiting for the cloud, tries and pauses included.
    pub cloud_ms: f64,
    /// How many of these the function itself took, by its own word; the others were spent on the wire.
    pub function_ms: Option<f64>,
    /// On the edge and on the cloud.
    pub total_ms: f64,
}

/// Why a pair cannot be loaded.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LoadError {
    /// The manifest.
    Manifest(ManifestError),
    /// The packed model.
    Fog(FogError),
    /// The packed model is not the one that the manifest names.
    Corrupt,
    /// The manifest and the packed model contradict each other.
    Mismatch(String),
}

impl LoadError {
    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Manifest(error) => error.word(),
            Self::Fog(error) => error.word(),
            Self::Corrupt => fogline::refusal::MODEL_CORRUPT,
            Self::Mismatch(_) => "model_mismatch",
        }
    }
}

impl fmt::Display for LoadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Manifest(error) => error.fmt(f),
            Self::Fog(error) => error.fmt(f),
            Self::Corrupt => write!(
                f,
                "{EDGE_FOG} does not have the size and SHA-256 that the manifest states: fetch it again"
            ),
            Self::Mismatch(why) => {
                write!(f, "manifest and {EDGE_FOG} contradict each other: {why}")
            }
        }
    }
}

impl std::error::Error for LoadError {}

/// What the edge found out about one picture.
#[derive(Debug, Clone)]
pub struct EdgePass {
    /// The exits that were met; the last is sure, unless there is a map.
    pub verdicts: Vec<Verdict>,
    /// The packed map, when no exit was sure.
    pub map: Option<Vec<u8>>,
}

impl Session {
    /// Loads a pair from its manifest and packed model, and checks the one against the other.
    ///
    /// # Errors
    /// When either is malformed, altered, or of another pair.
    pub fn load(manifest: &[u8], fog: &[u8], backend: Backend) -> Result<Self, LoadError> {
        let manifest = Manifest::parse(manifest).map_err(LoadError::Manifest)?;
        let file = manifest.files.get(EDGE_FOG).ok_or_else(|| {
            LoadError::Mismatch(format!("the manifest names no {EDGE_FOG}: pack the pair first"))
        })?;
        if !verify(fog, file) {
            return Err(LoadError::Corrupt);
        }
        let model = Model::parse(fog).map_err(LoadError::Fog)?;
        let classes = model.shapes[model.program.exits[0]].c;
        let shape = model.split();
        let engine = Engine::new(model, backend);
        let split = ([shape.c, shape.h, shape.w].map(|n| n as u32), engine.split_bits());
        let pairs = [
            ("classes", manifest.classes.len(), classes),
            ("exits", manifest.exits.len(), engine.model().program.exits.len()),
            ("pixels a side", manifest.input.size as usize, engine.model().size()),
        ];
        for (what, said, is) in pairs {
            if said != is {
                return Err(LoadError::Mismatch(format!("{said} and {is} {what}")));
            }
        }
        if (manifest.split.shape, manifest.split.bits) != split {
            let text = |[c, h, w]: [u32; 3], bits| format!("{c}x{h}x{w} of {bits} bits");
            let said = text(manifest.split.shape, manifest.split.bits);
            let is = text(split.0, split.1);
            return Err(LoadError::Mismatch(format!("the split is {said} and {is}")));
        }
        let policy = manifest.policy;
        let mut session = Self { manifest, engine, policy, thresholds: vec![] };
        session.set_policy(policy)?;
        Ok(session)
    }

    /// The pair's manifest.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The instructions that the convolutions run on, such as `relaxed-simd`.
    pub fn backend(&self) -> Backend {
        self.engine.backend()
    }

    /// Decides by this policy, with the manifest's thresholds.
    ///
    /// # Errors
    /// When an exit has no threshold for it.
    pub fn set_policy(&mut self, policy: Policy) -> Result<(), LoadError> {
        let threshold = |exit: &Exit| {
            exit.thresholds.get(&policy).copied().ok_or_else(|| {
                LoadError::Mismatch(format!("{} has no threshold for '{policy}'", exit.name))
            })
        };
        self.thresholds = self.manifest.exits.iter().map(threshold).collect::<Result<_, _>>()?;
        self.policy = policy;
        Ok(())
    }

    /// The threshold of every exit.
    pub fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// Decides by other thresholds than the manifest's, until the policy is set anew.
    ///
    /// # Errors
    /// When there is not one number for every exit.
    pub fn set_thresholds(&mut self, thresholds: &[f32]) -> Result<(), LoadError> {
        let exits = self.manifest.exits.len();
        if thresholds.len() != exits || thresholds.iter().any(|threshold| threshold.is_nan()) {
            return Err(LoadError::Mismatch(format!("{exits} exits need as many thresholds")));
        }
        self.thresholds = thresholds.to_vec();
        Ok(())
    }

    /// Runs the edge on RGB bytes, up to the first sure exit or to the split.
    ///
    /// # Panics
    /// When `rgb` is not of the model's input size.
    pub fn run_edge(&mut self, rgb: &[u8]) -> EdgePass {
        self.engine.start(rgb);
        let mut verdicts = vec![];
        loop {
            match self.engine.go_on() {
                Stop::Exit { index, logits } => {
                    let verdict = self.judge(index, &logits);
                    let sure = verdict.sure;
                    verdicts.push(verdict);
                    if sure {
                        return EdgePass { verdicts, map: None };
                    }
                }
                Stop::Split(map) => return EdgePass { verdicts, map: Some(map) },
            }
        }
    }

    /// What exit `index` (from 0) makes of its logits.
    pub fn judge(&self, index: usize, logits: &[f32]) -> Verdict {
        let temperature = self.manifest.exits[index].temperature;
        Verdict::of(logits, temperature, self.policy, self.thresholds[index])
    }

    /// Runs past every exit to the split: all logits, and the packed map. For evaluation.
    ///
    /// # Panics
    /// When `rgb` is not of the model's input size.
    pub fn run_through(&mut self, rgb: &[u8]) -> (Vec<Vec<f32>>, Vec<u8>) {
        self.engine.start(rgb);
        let mut exits = vec![];
        loop {
            match self.engine.go_on() {
                Stop::Exit { logits, .. } => exits.push(logits),
                Stop::Split(map) => return (exits, map),
            }
        }
    }

    /// The policy that decides.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The request that carries `maps` to the cloud.
    pub fn request(&self, maps: Vec<Vec<u8>>, request_id: [u8; 16]) -> Request {
        let split = &self.manifest.split;
        let tensor = |bytes| Tensor { shape: split.shape, bits: split.bits, bytes };
        Request {
            pair: self.manifest.pair_digest(),
            request_id,
            tensors: maps.into_iter().map(tensor).collect(),
        }
    }

    /// The answer to what the edge found, with the cloud's part in it.
    pub fn answer(&self, pass: &EdgePass, cloud: Option<Outcome>, edge_ms: f64) -> Answer {
        let exits: Vec<ExitReport> = pass
            .verdicts
            .iter()
            .zip(self.manifest.exits.iter().zip(&self.thresholds))
            .map(|(verdict, (exit, &threshold))| ExitReport {
                name: exit.name.clone(),
                label: self.manifest.classes[verdict.label].clone(),
                threshold,
                verdict: Judgement {
                    index: verdict.label,
                    confidence: verdict.confidence,
                    certainty: verdict.certainty,
                    sure: verdict.sure,
                    scores: verdict.scores.clone(),
                },
            })
            .collect();
        let (cloud_ms, bytes_sent) = cloud.as_ref().map_or((0.0, 0), |c| (c.ms, c.bytes_sent));
        let function_ms = cloud.as_ref().and_then(|c| c.function_ms);
        let (verdict, origin, degraded) = match cloud.map(|c| c.result) {
            Some(Ok(logits)) => {
                (Verdict::of(&logits, 1.0, self.policy, 0.0), "cloud".to_owned(), None)
            }
            other => {
                let best = best_exit(&pass.verdicts);
                let degraded = match other {
                    Some(Err(error)) => Some(Degraded {
                        reason: error.word().to_owned(),
                        message: error.to_string(),
                        map: pass.map.clone().filter(|_| error.may_pass()),
                    }),
                    _ => None,
                };
                (pass.verdicts[best].clone(), self.manifest.exits[best].name.clone(), degraded)
            }
        };
        Answer {
            label: self.manifest.classes[verdict.label].clone(),
            index: verdict.label,
            confidence: verdict.confidence,
            scores: verdict.scores,
            origin,
            degraded,
            exits,
            timings: Timings { edge_ms, cloud_ms, function_ms, total_ms: edge_ms + cloud_ms },
            bytes_sent,
        }
    }
}

/// The sure exit if there is one, else the most confident.
fn best_exit(verdicts: &[Verdict]) -> usize {
    let sure = verdicts.iter().position(|verdict| verdict.sure);
    sure.unwrap_or_else(|| {
        (1..verdicts.len()).fold(0, |best, i| {
            if verdicts[i].confidence > verdicts[best].confidence { i } else { best }
        })
    })
}
