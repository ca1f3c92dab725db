//! The figures of an evaluation, as table and as JSON.

use fogline::energy::FullPrecision;
use fogline::manifest::{Ending, Manifest, Role};
use fogline::policy::Policy;
use serde::Serialize;

/// What one picture came to.
pub struct Outcome {
    /// Whether each exit was right.
    pub exits: Vec<bool>,
    /// Whether the final head was right.
    pub cloud: bool,
    /// The exit that it ended at; none means the cloud.
    pub ended: Option<usize>,
    /// Bytes of the frame that it sends if it does not end at an exit.
    pub payload: usize,
}

impl Outcome {
    fn right(&self) -> bool {
        self.ended.map_or(self.cloud, |exit| self.exits[exit])
    }
}

/// An evaluation's figures; accuracies and shares are fractions.
#[derive(Debug, Serialize)]
pub struct Report {
    model: String,
    version: String,
    policy: Policy,
    samples: usize,
    accuracy: Accuracy,
    share: Share,
    /// Bytes on the wire a picture, those that end at the edge counting 0.
    payload_bytes_mean: f64,
    /// Bytes of one frame.
    frame_bytes: f64,
    energy: Energy,
    #[serde(skip)]
    macs: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Accuracy {
    system: f64,
    r#final: f64,
    exits: Vec<f64>,
    /// Of the pictures that end at each exit, the fraction that it gets right.
    of_those_that_end: Vec<Option<f64>>,
}

#[derive(Debug, Serialize)]
struct Share {
    exits: Vec<f64>,
    cloud: f64,
}

/// Computation alone, no memory access and no radio, in the paper's form.
#[derive(Debug, Serialize)]
struct Energy {
    full_precision_mac: FullPrecision,
    system_uj: f64,
    twin_uj: f64,
    reduction: f64,
}

impl Report {
    /// Sums up.
    pub fn new(
        manifest: &Manifest,
        policy: Policy,
        full: FullPrecision,
        outcomes: &[Outcome],
    ) -> Self {
        let n = outcomes.len() as f64;
        let fraction = |test: &dyn Fn(&Outcome) -> bool| {
            outcomes.iter().filter(|o| test(o)).count() as f64 / n
        };
        let exits = 0..manifest.exits.len();
        let picojoules: f64 = outcomes
            .iter()
            .map(|o| manifest.sample_picojoules(o.ended.map_or(Ending::Cloud, Ending::Exit), full))
            .sum();
        let (system_uj, twin_uj) = (picojoules / n / 1e6, manifest.twin_picojoules(full) / 1e6);
        let cloud = fraction(&|o| o.ended.is_none());
        let frame_bytes = outcomes.iter().map(|o| o.payload as f64).sum::<f64>() / n;
        let of_those = |exit: usize| {
            let ended: Vec<&Outcome> = outcomes.iter().filter(|o| o.ended == Some(exit)).collect();
            let right = ended.iter().filter(|o| o.right()).count();
            (!ended.is_empty()).then(|| right as f64 / ended.len() as f64)
        };
        Self {
            model: manifest.name.clone(),
            version: manifest.version.clone(),
            policy,
            samples: outcomes.len(),
            accuracy: Accuracy {
                system: fraction(&Outcome::right),
                r#final: fraction(&|o| o.cloud),
                exits: exits.clone().map(|e| fraction(&|o| o.exits[e])).collect(),
                of_those_that_end: exits.clone().map(of_those).collect(),
            },
            share: Share {
                exits: exits.map(|e| fraction(&|o| o.ended == Some(e))).collect(),
                cloud,
            },
            payload_bytes_mean: cloud * frame_bytes,
            frame_bytes,
            energy: Energy {
                full_precision_mac: full,
                system_uj,
                twin_uj,
                reduction: twin_uj / system_uj,
            },
            macs: mac_lines(manifest),
        }
    }

    /// Prints the table.
    pub fn print(&self) {
        let percent = |fraction: f64| format!("{:.2}%", fraction * 100.0);
        println!(
            "{} {}, {} pictures, exits decide by {}\n",
            self.model, self.version, self.samples, self.policy
        );
        println!("{:<8} {:>14} {:>14} {:>22}", "", "accuracy", "ends here", "right of those");
        for (index, accuracy) in self.accuracy.exits.iter().enumerate() {
            let right = self.accuracy.of_those_that_end[index].map_or("-".into(), percent);
            let share = percent(self.share.exits[index]);
            println!(
                "exit-{:<3} {:>14} {:>14} {:>22}",
                index + 1,
                percent(*accuracy),
                share,
                right
            );
        }
        println!(
            "{:<8} {:>14} {:>14}",
            "cloud",
            percent(self.accuracy.r#final),
            percent(self.share.cloud)
        );
        println!("{:<8} {:>14}", "system", percent(self.accuracy.system));
        println!("{:<8} {:>14}\n", "twin", "");
        println!(
            "payload   {:.0} bytes a frame, {:.0} bytes a picture on the mean (offload rate {})",
            self.frame_bytes,
            self.payload_bytes_mean,
            percent(self.share.cloud)
        );
        println!(
            "energy    {:.2} µJ a picture, full-precision twin {:.2} µJ: {:.2} times less (computation alone)",
            self.energy.system_uj, self.energy.twin_uj, self.energy.reduction
        );
        for line in &self.macs {
            println!("{line}");
        }
    }
}

fn mac_lines(manifest: &Manifest) -> Vec<String> {
    let parts = manifest.parts.iter().map(|part| {
        let macs: Vec<String> = part
            .macs
            .iter()
            .map(|(bits, n)| format!("{:.2} M at {bits} bits", *n as f64 / 1e6))
            .collect();
        let role = match part.role {
            Role::Trunk => "edge",
            Role::Head => "exit",
            Role::Cloud => "cloud",
        };
        format!("MACs      {:<8} {role:<6} {}", part.name, macs.join(", "))
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_accuracies_count_each_picture_once() {
        let manifest = serde_json::json!({
            "format": 1, "name": "tiny", "version": "1", "classes": ["a", "b"],
            "input": {"size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
            "exits": [{"name": "exit-1", "after_block": 1, "thresholds": {"entropy": 0.5}}],
            "policy": "entropy", "split": {"shape": [8, 4, 4], "bits": 1},
            "parts": [
                {"name": "trunk-1", "role": "trunk", "macs": {"32": 1_000_000}},
                {"name": "exit-1", "role": "head", "macs": {}},
                {"name": "cloud", "role": "cloud", "macs": {"32": 3_000_000}}
            ],
            "files": {}
        });
        let manifest = Manifest::parse(manifest.to_string().as_bytes()).unwrap();
        let outcome =
            |exit, cloud, ended| Outcome { exits: vec![exit], cloud, ended, payload: 100 };
        let outcomes = [
            outcome(true, false, Some(0)),
            outcome(false, true, Some(0)),
            outcome(false, true, None),
            outcome(true, true, None),
        ];
        let report = Report::new(&manifest, Policy::Entropy, FullPrecision::Integer32, &outcomes);
        assert_eq!(report.accuracy.system, 0.75);
        assert_eq!(report.accuracy.r#final, 0.75);
        assert_eq!(report.accuracy.exits, [0.5]);
        assert_eq!(report.share.exits, [0.5]);
        assert_eq!(report.payload_bytes_mean, 50.0);
        // Half stop after 3.2 µJ, half pay 12.8; the twin always pays 12.8.
        assert!((report.energy.system_uj - 8.0).abs() < 1e-9);
        assert!((report.energy.reduction - 1.6).abs() < 1e-9);
    }
}
