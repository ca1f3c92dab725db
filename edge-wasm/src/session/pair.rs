//! One pair of models at work: a picture in, an answer out, with everything that led to it.

use std::sync::Arc;

use fogline::frame::{Request, Tensor};
use fogline::manifest::{EDGE_FOG, Exit, Manifest, verify};
use fogline::policy::{Policy, Verdict};

use super::error::{DecisionError, LoadError};
use crate::engine::{Engine, Stop};
use crate::kernel::Backend;
use crate::model::{Model, Program};

/// A loaded pair.
pub struct Session {
    /// Shared with questions that are on their way.
    pub(super) manifest: Arc<Manifest>,
    engine: Engine,
    policy: Policy,
    thresholds: Vec<f32>,
}

/// What the edge found out about one picture.
#[derive(Debug, Clone)]
pub struct EdgePass {
    /// The exits that were met; the last is sure, unless there is a map.
    pub verdicts: Vec<Verdict>,
    /// The packed map, when no exit was sure.
    pub map: Option<Vec<u8>>,
    /// The way that an exit sent the picture, where there are several.
    pub way: Option<u8>,
}

/// The way of an extension; samples that it does not answer take way 0.
const EXTENSION: u8 = 1;

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
            ("scores an exit", manifest.exit_scores(), classes),
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
        check_ways(&manifest, &engine.model().program)?;
        let policy = manifest.policy;
        let manifest = Arc::new(manifest);
        let mut session = Self { manifest, engine, policy, thresholds: vec![] };
        session.decide_by(policy, None)?;
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

    /// Decides by this policy from now on, with these thresholds, one for each exit that decides, or with the manifest's.
    ///
    /// # Errors
    /// When the pair's exits cannot decide by the policy, or the thresholds are not one number for each.
    pub fn decide_by(
        &mut self,
        policy: Policy,
        thresholds: Option<&[f32]>,
    ) -> Result<(), DecisionError> {
        let deciding = self.manifest.deciding();
        if let Some(exit) = deciding.iter().find(|exit| policy.rule().own_score && !exit.appeals())
        {
            return Err(DecisionError::NoScore { exit: exit.name.clone(), policy });
        }
        let own = |exit: &Exit| {
            let threshold = exit.thresholds.get(&policy).copied();
            threshold.ok_or_else(|| DecisionError::NoThreshold { exit: exit.name.clone(), policy })
        };
        let thresholds = match thresholds {
            None => deciding.iter().map(own).collect::<Result<Vec<_>, _>>()?,
            Some(given) if given.len() != deciding.len() => {
                return Err(DecisionError::Count { given: given.len(), exits: deciding.len() });
            }
            Some(given) if given.iter().any(|threshold| threshold.is_nan()) => {
                return Err(DecisionError::NotANumber);
            }
            Some(given) => given.to_vec(),
        };
        (self.policy, self.thresholds) = (policy, thresholds);
        Ok(())
    }

    /// The threshold of every exit that decides.
    pub fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// Runs the edge on RGB bytes, up to the exit that answers or to the split.
    ///
    /// # Panics
    /// When `rgb` is not of the model's input size.
    pub fn run_edge(&mut self, rgb: &[u8]) -> EdgePass {
        self.engine.start(rgb);
        let (mut verdicts, mut way, mut settled) = (vec![], None, false);
        loop {
            let map = match self.engine.go_on() {
                Stop::Exit { index, logits } => {
                    let verdict = self.judge(index, &logits);
                    verdicts.push(verdict);
                    let verdict = &verdicts[index];
                    if settled && index < self.thresholds.len() {
                        continue; // on its way to the extension
                    } else if verdict.sure && (settled || !self.is_hard(verdict)) {
                        None
                    } else {
                        settled = verdict.sure;
                        way = self.turn(index, verdict).or(way);
                        continue;
                    }
                }
                Stop::Split(map) => Some(map),
            };
            return EdgePass { verdicts, map, way };
        }
    }

    /// Whether an extension answers for what a sure exit said.
    fn is_hard(&self, verdict: &Verdict) -> bool {
        let label = &self.manifest.classes[verdict.label];
        self.manifest.extension().is_some_and(|exit| exit.extends.contains(label))
    }

    /// Takes the way that a sample goes behind exit `index`, where it turns off there.
    fn turn(&mut self, index: usize, verdict: &Verdict) -> Option<u8> {
        let way = if verdict.sure {
            Some(EXTENSION)
        } else {
            self.manifest.exits[index].way(verdict.confidence)
        };
        if let Some(way) = way {
            self.engine.take(way);
        }
        way
    }

    /// What exit `index` (from 0) makes of its logits. An extension is always sure.
    pub fn judge(&self, index: usize, logits: &[f32]) -> Verdict {
        let classes = self.manifest.classes.len();
        let temperature = self.manifest.exits[index].temperature;
        match self.thresholds.get(index) {
            Some(&threshold) => Verdict::of(logits, classes, temperature, self.policy, threshold),
            None => Verdict { sure: true, ..Verdict::last(&logits[..classes]) },
        }
    }

    /// The exit that answers, by the judgements of all; none means the cloud. As [`Session::run_edge`] decides.
    pub fn ending(&self, verdicts: &[Verdict]) -> Option<usize> {
        let deciding = &verdicts[..self.thresholds.len()];
        let sure = deciding.iter().position(|verdict| verdict.sure)?;
        Some(if self.is_hard(&deciding[sure]) { deciding.len() } else { sure })
    }

    /// Runs past every exit, an extension too, to the split: all logits, the packed map, and the way that an exit sent it. For
    /// evaluation.
    ///
    /// # Panics
    /// When `rgb` is not of the model's input size.
    pub fn run_through(&mut self, rgb: &[u8]) -> (Vec<Vec<f32>>, Vec<u8>, Option<u8>) {
        self.engine.start(rgb);
        if self.manifest.extension().is_some() {
            self.engine.take(EXTENSION);
        }
        let (mut exits, mut way) = (vec![], None);
        loop {
            match self.engine.go_on() {
                Stop::Exit { index, logits } => {
                    let verdict = Verdict { sure: false, ..self.judge(index, &logits) };
                    way = self.turn(index, &verdict).or(way);
                    exits.push(logits);
                }
                Stop::Split(map) => return (exits, map, way),
            }
        }
    }

    /// How many ways a sample may go on the edge; 1 where all go the same.
    pub fn ways(&self) -> u8 {
        self.engine.model().program.ways()
    }

    /// The policy that decides.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The request that carries `maps` to the cloud.
    pub fn request(&self, maps: Vec<Vec<u8>>, request_id: [u8; 16]) -> Request {
        request(&self.manifest, maps, request_id)
    }
}

/// The request that carries a pair's `maps` to the cloud.
pub(super) fn request(manifest: &Manifest, maps: Vec<Vec<u8>>, request_id: [u8; 16]) -> Request {
    let split = &manifest.split;
    let tensor = |bytes| Tensor { shape: split.shape, bits: split.bits, bytes };
    let tensors = maps.into_iter().map(tensor).collect();
    Request { pair: manifest.pair_digest(), request_id, tensors }
}

/// Whether the ways that the manifest's exits send samples are those that the packed model has behind them.
fn check_ways(manifest: &Manifest, program: &Program) -> Result<(), LoadError> {
    let deciding = manifest.deciding().len();
    let extends = deciding < manifest.exits.len();
    for (index, (exit, &op)) in manifest.exits.iter().zip(&program.exits).enumerate() {
        // An extension, and no other exit, lies on a way.
        let lies = program.way_of(op) == (index == deciding).then_some(EXTENSION);
        let there = exit.ways.iter().all(|to| !extends && to.way < program.ways());
        // What lies on a way before the exit that chooses it has run on another, or not at all.
        let chooses = !exit.ways.is_empty() || (extends && index + 1 == deciding);
        let behind = !chooses || program.stretches.iter().all(|stretch| stretch.from > op);
        if !(lies && there && behind) {
            return Err(LoadError::Mismatch(format!(
                "the ways at {} are not those of the packed model",
                exit.name
            )));
        }
    }
    Ok(())
}
