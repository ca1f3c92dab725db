//! The results of an evaluation, as JSON in `report.json` and as the table in terminal and docs.

mod class;
mod confusion;
mod file;
mod hardest;
mod head;
mod outcome;
mod row;
mod table;
#[cfg(test)]
mod tests;

use anyhow::{Context, Result};
use fogline::energy::{self, Constants, Terms};
use fogline::manifest::{Manifest, Part};
use fogline::policy::Policy;
use serde::{Deserialize, Serialize};

use self::class::Class;
use self::confusion::{Confused, Confusion};
pub use self::file::{kept, write};
use self::hardest::Mistake;
pub use self::head::Head;
pub use self::outcome::{Answer, Outcome};
pub use self::table::percent;
use crate::curve::{Curve, Point};

/// Results of an evaluation. Accuracies and shares are fractions from 0 to 1.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    #[serde(flatten)]
    head: Head,
    accuracy: Accuracy,
    share: Share,
    bytes: Bytes,
    energy: Energy,
    /// Results with other thresholds of the calibration curve.
    #[serde(default)]
    elsewhere: Vec<Elsewhere>,
    /// The paper's figures for such a network, if it has any.
    paper: Option<Paper>,
    parts: Vec<Part>,
    /// Each class, in the manifest's order. A report of an earlier version has neither this nor the fields below.
    #[serde(default, serialize_with = "row::each")]
    classes: Vec<Class>,
    /// Numbers of pictures, by true class (row) and answer (column), both in the order of `classes`. If there are too many
    /// classes for a matrix, `confused` takes its place.
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "row::each")]
    confusion: Vec<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Vec::is_empty", serialize_with = "row::each")]
    confused: Vec<Confused>,
    #[serde(default, serialize_with = "row::each")]
    hardest: Vec<Mistake>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Accuracy {
    system: f64,
    r#final: f64,
    /// Accuracy of the full-precision twin, if the pair's folder has a `twin.onnx`.
    twin: Option<f64>,
    exits: Vec<f64>,
    /// The exits' names, if they are not exit-1, exit-2, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    names: Vec<String>,
    /// AppealNet's relative improvement (Li et al. 2021, arXiv 2105.04104): the system's share of the accuracy that the cloud
    /// gains over the last exit alone.
    #[serde(default)]
    improvement: Option<f64>,
    /// Accuracy of each exit on the pictures that it answers.
    of_those_that_end: Vec<Option<f64>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Share {
    exits: Vec<f64>,
    cloud: f64,
}

/// Bytes sent per picture, and what the alternatives would send.
#[derive(Debug, Serialize, Deserialize)]
struct Bytes {
    /// Packed map of an offloaded sample.
    map: usize,
    /// Mean frame of an offloaded sample, including the map; of all samples if none is offloaded.
    frame: f64,
    /// Mean over all pictures; those answered at the edge send nothing.
    mean: f64,
    /// Mean size of JPEGs of the network's size; reports of CIFAR's binary layout had none.
    jpeg: Option<f64>,
    raw: usize,
    fp32_map: usize,
}

/// Microjoules per picture. The terms are never added up, because they differ by orders of magnitude.
#[derive(Debug, Serialize, Deserialize)]
struct Energy {
    constants: Constants,
    computation: Compared,
    /// `None` if the manifest was packed before reads were counted.
    memory: Option<Compared>,
    radio: Radio,
}

#[derive(Debug, Serialize, Deserialize)]
struct Compared {
    system: f64,
    twin: f64,
    reduction: f64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Radio {
    system: f64,
    /// If every picture were sent as its JPEG file.
    jpeg: Option<f64>,
    raw: f64,
}

/// The system with another share of pictures at the edge.
#[derive(Debug, Serialize, Deserialize)]
struct Elsewhere {
    share: f64,
    accuracy: f64,
    /// How many times less computational energy it needs than the twin.
    reduction: f64,
}

/// Figures from the abstract of Long, Chakraborty, Roy 2020 (arXiv 2005.10851).
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq)]
struct Paper {
    network: String,
    edge_share: f64,
    reduction: f64,
}

impl Paper {
    fn of(manifest: &Manifest) -> Option<Self> {
        let paper = |network: &str, edge_share, reduction| {
            Some(Self { network: network.into(), edge_share, reduction })
        };
        // Both of the paper's data sets have pictures of 32x32.
        match (manifest.input.size, manifest.classes.len(), manifest.split.bits) {
            (32, 10, 1) => paper("CIFAR-10, 1-bit edge", 0.65, 5.5),
            (32, 100, 4) => paper("CIFAR-100, 4-bit edge", 0.52, 4.8),
            _ => None,
        }
    }
}

/// Shares at the edge for which the report interpolates the curve.
const SHARES: [f64; 3] = [0.5, 0.65, 0.8];

/// The conditions of an evaluation.
pub struct Setting<'a> {
    /// Manifest of the evaluated pair.
    pub manifest: &'a Manifest,
    /// SHA-256 of the manifest's file.
    pub manifest_sha256: String,
    /// Name of the dataset.
    pub data: String,
    /// The date, as YYYY-MM-DD.
    pub date: String,
    /// The exit policy that was used.
    pub policy: Policy,
    /// The constants of the energy model.
    pub constants: Constants,
}

impl Report {
    /// Computes the report from the outcomes of all pictures.
    pub fn new(setting: &Setting, outcomes: &[Outcome], curve: &Curve) -> Self {
        let head = Head::new(setting, outcomes.len());
        let Setting { manifest, constants, .. } = setting;
        let n = outcomes.len() as f64;
        let fraction = |test: &dyn Fn(&Outcome) -> bool| {
            outcomes.iter().filter(|o| test(o)).count() as f64 / n
        };
        let mean = |values: Option<Vec<f64>>| values.map(|v| v.iter().sum::<f64>() / n);
        let exits = 0..manifest.exits.len();
        let of_those = |exit: usize| {
            let ended: Vec<&Outcome> = outcomes.iter().filter(|o| o.ended == Some(exit)).collect();
            let right = ended.iter().filter(|o| o.right()).count();
            (!ended.is_empty()).then(|| right as f64 / ended.len() as f64)
        };
        let twin: Option<Vec<bool>> = outcomes.iter().map(|o| o.twin).collect();
        let cloud = fraction(&|o| o.ended.is_none());
        // Frames differ in length, and those of hard pictures are the ones that count.
        let sent: Vec<f64> =
            outcomes.iter().filter(|o| o.ended.is_none()).map(|o| o.frame as f64).collect();
        let all_sent = sent.iter().sum::<f64>();
        let frame = match sent.len() {
            0 => outcomes.iter().map(|o| o.frame as f64).sum::<f64>() / n,
            count => all_sent / count as f64,
        };
        let [channels, height, width] = manifest.split.shape.map(|side| side as usize);
        let bytes = Bytes {
            map: manifest.payload_bytes(),
            frame,
            mean: all_sent / n,
            jpeg: Some(outcomes.iter().map(|o| o.jpeg as f64).sum::<f64>() / n),
            raw: 3 * (manifest.input.size as usize).pow(2),
            fp32_map: 4 * channels * height * width,
        };
        let sum =
            outcomes.iter().fold(Terms::default(), |sum, o| sum + o.energy(manifest, constants));
        let (mean_terms, full) = (sum / n, energy::of_twin(manifest, constants));
        let counted = manifest.parts.iter().all(|p| p.macs.is_empty() || !p.reads.is_empty());
        let compared = |system: f64, twin: f64| Compared {
            system: system / 1e6,
            twin: twin / 1e6,
            reduction: twin / system,
        };
        let deciding = manifest.deciding().len();
        let (system, r#final) = (fraction(&|o| o.right()), fraction(&|o| o.is_true(o.cloud)));
        let last = fraction(&|o| o.is_true(o.exits[deciding - 1]));
        let names = manifest.exits.iter().map(|exit| exit.name.clone());
        let elsewhere = |share| {
            let Point { accuracy, energy, .. } = curve.at_share(share)?;
            Some(Elsewhere { share, accuracy, reduction: full.computation / 1e6 / energy })
        };
        let sending = |bytes: f64| constants.sending(bytes) / 1e6;
        let confusion = Confusion::of(&manifest.classes, outcomes);
        Self {
            head,
            accuracy: Accuracy {
                system,
                r#final,
                improvement: (r#final != last).then(|| (system - last) / (r#final - last)),
                names: if manifest.extension().is_some() { names.collect() } else { vec![] },
                twin: mean(twin.map(|t| t.into_iter().map(f64::from).collect())),
                exits: exits.clone().map(|e| fraction(&|o| o.is_true(o.exits[e]))).collect(),
                of_those_that_end: exits.clone().map(of_those).collect(),
            },
            share: Share {
                exits: exits.map(|e| fraction(&|o| o.ended == Some(e))).collect(),
                cloud,
            },
            energy: Energy {
                constants: *constants,
                computation: compared(mean_terms.computation, full.computation),
                memory: counted.then(|| compared(mean_terms.memory, full.memory)),
                radio: Radio {
                    system: sending(bytes.mean),
                    jpeg: bytes.jpeg.map(sending),
                    raw: sending(bytes.raw as f64),
                },
            },
            elsewhere: SHARES.into_iter().filter_map(elsewhere).collect(),
            bytes,
            paper: Paper::of(manifest),
            parts: manifest.parts.clone(),
            classes: class::each(&confusion, outcomes),
            confused: confusion.pairs(),
            confusion: confusion.matrix(),
            hardest: hardest::of(manifest, outcomes),
        }
    }

    /// Fails if `manifest` is not the measured one.
    pub fn check_is_of(&self, manifest: &[u8]) -> Result<()> {
        self.head.check_is_of(manifest, "").context("the report")
    }
}

/// A fraction with four decimals, where more would only be harder to read.
fn rounded(fraction: f64) -> f64 {
    (fraction * 1e4).round() / 1e4
}
