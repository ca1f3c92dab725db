//! The results of an evaluation, as JSON in `report.json` and as the table in terminal and docs.

mod table;

use anyhow::{Result, ensure};
use fogline::energy::{self, Constants, Ending, Terms};
use fogline::manifest::{Manifest, Part, sha256_hex};
use fogline::policy::Policy;
use serde::{Deserialize, Serialize};

use crate::curve::{Curve, Point};

/// The results of all parts for one picture.
pub struct Outcome {
    /// Whether each exit was right.
    pub exits: Vec<bool>,
    /// Whether the final head was right.
    pub cloud: bool,
    /// Whether the full-precision twin was right, if there is one.
    pub twin: Option<bool>,
    /// Index of the exit that answered; `None` for the cloud.
    pub ended: Option<usize>,
    /// The way it took on the edge.
    pub way: u8,
    /// Size in bytes of the frame that it sends if no exit answers.
    pub frame: usize,
    /// Size of its file in bytes, if it is a JPEG.
    pub jpeg: Option<u64>,
}

impl Outcome {
    /// Whether the system's answer was right.
    pub fn right(&self) -> bool {
        self.ended.map_or(self.cloud, |exit| self.exits[exit])
    }

    /// Energy of the picture, by term.
    pub fn energy(&self, manifest: &Manifest, constants: &Constants) -> Terms {
        let ending = self.ended.map_or(Ending::Cloud, Ending::Exit);
        energy::of_sample(manifest, ending, self.way, constants)
    }
}

/// Results of an evaluation. Accuracies and shares are fractions from 0 to 1.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    model: String,
    version: String,
    /// SHA-256 of the measured manifest, which covers the files and the thresholds.
    manifest_sha256: String,
    data: String,
    date: String,
    policy: Policy,
    samples: usize,
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
    /// Frame of an offloaded sample, including the map.
    frame: f64,
    /// Mean over all pictures; those answered at the edge send nothing.
    mean: f64,
    /// Mean size of the dataset's JPEG files.
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
        match (manifest.classes.len(), manifest.split.bits) {
            (10, 1) => paper("CIFAR-10, 1-bit edge", 0.65, 5.5),
            (100, 4) => paper("CIFAR-100, 4-bit edge", 0.52, 4.8),
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
    pub fn new(setting: Setting, outcomes: &[Outcome], curve: &Curve) -> Self {
        let Setting { manifest, manifest_sha256, data, date, policy, constants } = setting;
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
        let frame = outcomes.iter().map(|o| o.frame as f64).sum::<f64>() / n;
        let [channels, height, width] = manifest.split.shape.map(|side| side as usize);
        let bytes = Bytes {
            map: manifest.payload_bytes(),
            frame,
            mean: cloud * frame,
            jpeg: mean(outcomes.iter().map(|o| o.jpeg.map(|bytes| bytes as f64)).collect()),
            raw: 3 * (manifest.input.size as usize).pow(2),
            fp32_map: 4 * channels * height * width,
        };
        let sum =
            outcomes.iter().fold(Terms::default(), |sum, o| sum + o.energy(manifest, &constants));
        let (mean_terms, full) = (sum / n, energy::of_twin(manifest, &constants));
        let counted = manifest.parts.iter().all(|p| p.macs.is_empty() || !p.reads.is_empty());
        let compared = |system: f64, twin: f64| Compared {
            system: system / 1e6,
            twin: twin / 1e6,
            reduction: twin / system,
        };
        let deciding = manifest.deciding().len();
        let (system, r#final) = (fraction(&Outcome::right), fraction(&|o| o.cloud));
        let last = fraction(&|o| o.exits[deciding - 1]);
        let names = manifest.exits.iter().map(|exit| exit.name.clone());
        let elsewhere = |share| {
            let Point { accuracy, energy, .. } = curve.at_share(share)?;
            Some(Elsewhere { share, accuracy, reduction: full.computation / 1e6 / energy })
        };
        let sending = |bytes: f64| constants.sending(bytes) / 1e6;
        Self {
            model: manifest.name.clone(),
            version: manifest.version.clone(),
            manifest_sha256,
            data,
            date,
            policy,
            samples: outcomes.len(),
            accuracy: Accuracy {
                system,
                r#final,
                improvement: (r#final != last).then(|| (system - last) / (r#final - last)),
                names: if manifest.extension().is_some() { names.collect() } else { vec![] },
                twin: mean(twin.map(|t| t.into_iter().map(f64::from).collect())),
                exits: exits.clone().map(|e| fraction(&|o| o.exits[e])).collect(),
                of_those_that_end: exits.clone().map(of_those).collect(),
            },
            share: Share {
                exits: exits.map(|e| fraction(&|o| o.ended == Some(e))).collect(),
                cloud,
            },
            energy: Energy {
                constants,
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
        }
    }

    /// Fails if `manifest` is not the measured one.
    pub fn check_is_of(&self, manifest: &[u8]) -> Result<()> {
        let Self { model, version, .. } = self;
        ensure!(
            self.manifest_sha256 == sha256_hex(manifest),
            "the report is older than the manifest; run cargo xtask eval --model {model}/{version}"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(twin: Option<bool>) -> Report {
        let manifest = serde_json::json!({
            "format": 1, "name": "tiny", "version": "1", "classes": ["a", "b"],
            "input": {"size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
            "exits": [{"name": "exit-1", "after_block": 1, "thresholds": {"entropy": 0.5}}],
            "policy": "entropy", "split": {"shape": [8, 4, 4], "bits": 1},
            "parts": [
                {"name": "trunk-1", "role": "trunk", "macs": {"32": 1_000_000}, "reads": {"32": 10_000}},
                {"name": "exit-1", "role": "head", "macs": {}},
                {"name": "cloud", "role": "cloud", "macs": {"32": 3_000_000}, "reads": {"32": 10_000}}
            ],
            "files": {}
        });
        let manifest = Manifest::parse(manifest.to_string().as_bytes()).unwrap();
        let outcome = |exit, cloud, ended| Outcome {
            exits: vec![exit],
            cloud,
            twin,
            ended,
            way: 0,
            frame: 100,
            jpeg: Some(400),
        };
        let outcomes = [
            outcome(true, false, Some(0)),
            outcome(false, true, Some(0)),
            outcome(false, true, None),
            outcome(true, true, None),
        ];
        let setting = Setting {
            manifest: &manifest,
            manifest_sha256: sha256_hex(b"the manifest"),
            data: "four pictures".into(),
            date: "2026-11-23".into(),
            policy: Policy::Entropy,
            constants: Constants::default(),
        };
        let point = |share, accuracy, energy| Point { share, accuracy, energy, ..Point::default() };
        let curve = Curve::new(vec![point(0.4, 0.8, 10.0), point(0.7, 0.5, 4.0)]);
        Report::new(setting, &outcomes, &curve)
    }

    #[test]
    fn shares_and_accuracies_count_each_picture_once() {
        let report = report(Some(true));
        assert_eq!(report.accuracy.system, 0.75);
        assert_eq!(report.accuracy.r#final, 0.75);
        assert_eq!(report.accuracy.exits, [0.5]);
        assert_eq!(report.accuracy.twin, Some(1.0));
        assert_eq!(report.share.exits, [0.5]);
    }

    #[test]
    fn the_terms_of_energy_stay_apart() {
        let report = report(None);
        // Half of the pictures stop after 3.2 µJ, half need 12.8; the twin always needs 12.8.
        let Energy { computation, memory, radio, .. } = &report.energy;
        assert!((computation.system - 8.0).abs() < 1e-9);
        assert!((computation.reduction - 1.6).abs() < 1e-9);
        let memory = memory.as_ref().unwrap();
        assert!((memory.system - 1.2).abs() < 1e-9);
        assert!((memory.twin - 1.6).abs() < 1e-9);
        // Half of them send a frame of 100 bytes, instead of 400 as JPEG or 192 raw.
        assert_eq!(report.bytes.mean, 50.0);
        assert!((radio.jpeg.unwrap() / radio.system - 8.0).abs() < 1e-9);
        assert!((radio.raw / radio.system - 3.84).abs() < 1e-9);
    }

    #[test]
    fn other_shares_are_read_off_the_curve_as_far_as_it_goes() {
        let [half, more] = &report(None).elsewhere[..] else { panic!("80% is not on it") };
        assert!((half.accuracy - 0.7).abs() < 1e-9 && (half.reduction - 12.8 / 8.0).abs() < 1e-9);
        assert!((more.accuracy - 0.55).abs() < 1e-9 && (more.reduction - 12.8 / 5.0).abs() < 1e-9);
    }

    #[test]
    fn figures_of_another_manifest_are_refused() {
        let report = report(None);
        report.check_is_of(b"the manifest").unwrap();
        let why = report.check_is_of(b"another").unwrap_err().to_string();
        assert!(why.contains("cargo xtask eval --model tiny/1"), "{why}");
    }

    #[test]
    fn the_table_is_the_same_from_the_file() {
        let report = report(Some(false));
        let text = report.to_string();
        let again: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
        assert_eq!(again.to_string(), text);
        assert!(text.contains("+75.00 pts"), "{text}");
    }
}
