//! A loaded pair of models.

use std::sync::Arc;

use fogline::coding::Coder;
use fogline::frame::{Request, Tensor};
use fogline::manifest::{EDGE_FOG, Exit, Manifest, verify};
use fogline::policy::{Policy, Verdict};

use super::error::{DecisionError, LoadError};
use crate::engine::{Engine, Stop};
use crate::kernel::Backend;
use crate::model::{Model, Program};

/// A loaded pair of models, ready to classify pictures.
pub struct Session {
    /// Shared with requests that are in progress.
    pub(super) manifest: Arc<Manifest>,
    engine: Engine,
    policy: Policy,
    thresholds: Vec<f32>,
}

/// The edge's result for one picture.
#[derive(Debug, Clone)]
pub struct EdgePass {
    /// The verdicts of the exits that the picture reached. The last is sure, unless there is a map.
    pub verdicts: Vec<Verdict>,
    /// The packed map, if no exit was sure.
    pub map: Option<Vec<u8>>,
    /// The way that the picture took, if there are several.
    pub way: Option<u8>,
}

/// The way of an extension. Samples that it does not answer take way 0.
const EXTENSION: u8 = 1;

impl Session {
    /// Loads a pair from its manifest and packed model, and checks that they match.
    ///
    /// # Errors
    /// If either is invalid or was altered, or if they are not of the same pair.
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
        let shape = [shape.c, shape.h, shape.w].map(|n| n as u32);
        let split = (shape, engine.split_bits(), engine.split_is_signed());
        let pairs = [
            ("scores per exit", manifest.exit_scores(), classes),
            ("exits", manifest.exits.len(), engine.model().program.exits.len()),
            ("pixels per side", manifest.input.size as usize, engine.model().size()),
        ];
        for (what, said, is) in pairs {
            if said != is {
                return Err(LoadError::Mismatch(format!("{said} and {is} {what}")));
            }
        }
        let said = (manifest.split.shape, manifest.split.bits, manifest.split.signed);
        if said != split {
            let text = |([c, h, w], bits, signed): ([u32; 3], u8, bool)| {
                let sign = if signed { "" } else { "unsigned " };
                format!("{c}x{h}x{w} of {bits} {sign}bits")
            };
            let (said, is) = (text(said), text(split));
            return Err(LoadError::Mismatch(format!("the split is {said} and {is}")));
        }
        if engine.model().coder().is_some_and(|coder| coder.signed() != manifest.split.signed) {
            return Err(LoadError::Mismatch("the coder's levels have another sign".into()));
        }
        check_ways(&manifest, &engine.model().program)?;
        let policy = manifest.policy;
        let manifest = Arc::new(manifest);
        let mut session = Self { manifest, engine, policy, thresholds: vec![] };
        session.decide_by(policy, None)?;
        Ok(session)
    }

    /// The manifest that the pair was loaded from.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// The coder of the maps that are sent, if the pair has one.
    pub fn coder(&self) -> Option<&Arc<Coder>> {
        self.engine.model().coder()
    }

    /// The backend of the convolutions.
    pub fn backend(&self) -> Backend {
        self.engine.backend()
    }

    /// Decides by `policy` from now on, with the given thresholds, one for each exit that decides, or the manifest's.
    ///
    /// # Errors
    /// If the pair's exits cannot decide by the policy, or there is not one number for each exit that decides.
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

    /// The threshold of each exit that decides.
    pub fn thresholds(&self) -> &[f32] {
        &self.thresholds
    }

    /// Runs the edge on RGB bytes, up to the exit that answers or to the split point.
    ///
    /// # Panics
    /// If `rgb` does not have the model's input size.
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

    /// Goes on past the exit at which [`Self::run_edge`] stopped, as if no exit were sure, and returns the packed map.
    pub(super) fn go_on_to_split(&mut self) -> Vec<u8> {
        loop {
            match self.engine.go_on() {
                Stop::Exit { index, logits } => {
                    let verdict = Verdict { sure: false, ..self.judge(index, &logits) };
                    self.turn(index, &verdict);
                }
                Stop::Split(map) => return map,
            }
        }
    }

    /// Whether an extension answers in place of an exit that is sure of this class.
    fn is_hard(&self, verdict: &Verdict) -> bool {
        let label = &self.manifest.classes[verdict.label];
        self.manifest.extension().is_some_and(|exit| exit.extends.contains(label))
    }

    /// Chooses the sample's way after exit `index`, if it depends on that exit.
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

    /// The verdict of exit `index` (from 0) on its logits. An extension is always sure.
    pub fn judge(&self, index: usize, logits: &[f32]) -> Verdict {
        let classes = self.manifest.classes.len();
        let temperature = self.manifest.exits[index].temperature;
        match self.thresholds.get(index) {
            Some(&threshold) => Verdict::of(logits, classes, temperature, self.policy, threshold),
            None => Verdict { sure: true, ..Verdict::last(&logits[..classes]) },
        }
    }

    /// The exit that answers, given the verdicts of all exits, or `None` for the cloud. It agrees with [`Session::run_edge`].
    pub fn ending(&self, verdicts: &[Verdict]) -> Option<usize> {
        let deciding = &verdicts[..self.thresholds.len()];
        let sure = deciding.iter().position(|verdict| verdict.sure)?;
        Some(if self.is_hard(&deciding[sure]) { deciding.len() } else { sure })
    }

    /// Runs past every exit, including an extension, to the split point. Returns all logits, the packed map, and the way that
    /// an exit chose. For evaluation.
    ///
    /// # Panics
    /// If `rgb` does not have the model's input size.
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

    /// The number of ways on the edge; 1 if all samples take the same.
    pub fn ways(&self) -> u8 {
        self.engine.model().program.ways()
    }

    /// The policy by which exits decide at present.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// The request that sends `maps` to the cloud.
    pub fn request(&self, maps: Vec<Vec<u8>>, request_id: [u8; 16]) -> Request {
        request(&self.manifest, maps, request_id)
    }
}

/// The request that sends a pair's `maps` to the cloud.
pub(super) fn request(manifest: &Manifest, maps: Vec<Vec<u8>>, request_id: [u8; 16]) -> Request {
    let split = &manifest.split;
    let tensor = |bytes| Tensor { shape: split.shape, bits: split.bits, bytes };
    let tensors = maps.into_iter().map(tensor).collect();
    Request { pair: manifest.pair_digest(), request_id, tensors }
}

/// Checks that the ways that the manifest's exits choose are those that the packed model has after them.
fn check_ways(manifest: &Manifest, program: &Program) -> Result<(), LoadError> {
    let deciding = manifest.deciding().len();
    let extends = deciding < manifest.exits.len();
    for (index, (exit, &op)) in manifest.exits.iter().zip(&program.exits).enumerate() {
        // Only an extension is on a way itself.
        let lies = program.way_of(op) == (index == deciding).then_some(EXTENSION);
        let there = exit.ways.iter().all(|to| !extends && to.way < program.ways());
        // Operations on a way must come after the exit that chooses it, or they have already run on another way or not at all.
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
