//! `cargo xtask eval --rate-curve`: accuracy against bytes, of the system and of pictures that are sent as files.
//!
//! The system sends a feature map of the pictures that no exit is sure of. Its rivals send the picture itself, as JPEG or
//! WebP of some quality, to the full-precision twin: either every picture, or only those same hard ones.

mod codec;
mod table;
#[cfg(test)]
mod tests;

use std::iter;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use fogline::policy::Verdict;
use fogline_edge::device::picture::{MOST_PIXELS, decode};
use serde::{Deserialize, Serialize};

use self::codec::Format;
use crate::curve::Curve;
use crate::dataset::Sample;
use crate::report::{self, Head, Outcome, Setting};
use crate::subject::{Subject, on_all_cores};
use crate::twin::Twin;

/// File names of figures and plot in the pair's folder.
pub const JSON: &str = "rate.json";
pub const SVG: &str = "rate.svg";
/// Qualities of the encoded pictures.
const QUALITIES: [u8; 11] = [5, 10, 20, 30, 40, 50, 60, 70, 80, 90, 95];

/// Accuracy and mean bytes per picture of the system and its rivals, on the same pictures.
#[derive(Debug, Serialize, Deserialize)]
pub struct Rate {
    #[serde(flatten)]
    head: Head,
    /// The system with its own thresholds.
    own: System,
    /// The system along its calibration curve, in ascending order of the share at the edge.
    curve: Vec<System>,
    /// Accuracy of the twin on the pixels that the edge gets; `None` without a `twin.onnx`, and then there are no rivals.
    twin: Option<f64>,
    rivals: Vec<Rival>,
}

/// The system with one set of thresholds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct System {
    /// Share of pictures answered at the edge.
    share: f64,
    accuracy: f64,
    /// Mean over all pictures; those answered at the edge send nothing.
    bytes: f64,
}

/// Another way to send pictures, at several qualities.
#[derive(Debug, Serialize, Deserialize)]
struct Rival {
    format: Format,
    /// Whether exits answer first, and only the pictures that they are not sure of are sent.
    after_exits: bool,
    points: Vec<Point>,
}

/// A rival at one quality.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Point {
    /// `None` for files that are sent as they are.
    quality: Option<u8>,
    accuracy: f64,
    bytes: f64,
}

/// One picture as a file.
#[derive(Clone, Copy)]
struct Sent {
    bytes: usize,
    /// Whether the twin's answer is the true class.
    right: bool,
}

/// One picture in all formats.
struct Files {
    /// By codec, then by quality.
    encoded: Vec<Vec<Sent>>,
    /// The dataset's own file, if it is a JPEG of the network's size.
    own: Option<Sent>,
}

impl Rate {
    /// Encodes and classifies every picture, and puts the results beside those of the system.
    pub fn measure(
        subject: &Subject,
        samples: &[Sample],
        setting: &Setting,
        outcomes: &[Outcome],
        curve: &Curve,
    ) -> Result<Self> {
        let size = setting.manifest.input.size;
        let rivals = match subject.twin() {
            Some(twin) => rivals(&files(twin, samples, size)?, outcomes),
            None => vec![],
        };
        Ok(Self::new(setting, outcomes, curve, rivals))
    }

    fn new(setting: &Setting, outcomes: &[Outcome], curve: &Curve, rivals: Vec<Rival>) -> Self {
        let mean = |of: &dyn Fn(&Outcome) -> f64| {
            outcomes.iter().map(of).sum::<f64>() / outcomes.len() as f64
        };
        let along = curve.points().iter();
        let twin: Option<Vec<bool>> = outcomes.iter().map(|outcome| outcome.twin).collect();
        Self {
            head: Head::new(setting, outcomes.len()),
            own: System {
                share: mean(&|outcome| f64::from(outcome.ended.is_some())),
                accuracy: mean(&|outcome| f64::from(outcome.right())),
                bytes: mean(&|outcome| outcome.ended.map_or(outcome.frame as f64, |_| 0.0)),
            },
            curve: along
                .map(|p| System { share: p.share, accuracy: p.accuracy, bytes: p.bytes })
                .collect(),
            twin: twin.map(|right| {
                right.iter().filter(|&&right| right).count() as f64 / right.len() as f64
            }),
            rivals,
        }
    }

    /// Writes the figures to `json` and, if the recipe's Python is given, the plot to `svg`.
    pub fn write(&self, json: &Path, svg: &Path, python: Option<&Path>) -> Result<()> {
        report::write(json, self)?;
        let Some(python) = python else { return Ok(()) };
        // The recipe runs in its own folder.
        let whole = |path: &Path| std::path::absolute(path);
        let mut plot = Command::new(python);
        plot.args(["-m", "fogline_recipe", "plot-rate"]).current_dir("onnx-models/recipe");
        plot.arg("--json").arg(whole(json)?).arg("--out").arg(whole(svg)?);
        let output = plot.output().with_context(|| python.display().to_string())?;
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        eprintln!("wrote {}", svg.display());
        Ok(())
    }

    /// Reads the figures in a pair's folder, if there are any.
    ///
    /// # Errors
    /// If they are not those of the pair's `manifest`.
    pub fn kept(folder: &Path, manifest: &[u8]) -> Result<Option<Self>> {
        report::kept(&folder.join(JSON), manifest, " --rate-curve", |rate: &Self| &rate.head)
    }

    /// The fewest bytes with which the system is at least this accurate.
    fn fewest(&self, accuracy: f64) -> Option<f64> {
        let all = self.curve.iter().chain(iter::once(&self.own));
        let enough = all.filter(|point| point.accuracy >= accuracy).map(|point| point.bytes);
        enough.min_by(f64::total_cmp)
    }
}

impl Rival {
    /// The point with the fewest bytes that is at least this accurate.
    fn reaching(&self, accuracy: f64) -> Option<&Point> {
        let enough = self.points.iter().filter(|point| point.accuracy >= accuracy);
        enough.min_by(|a, b| a.bytes.total_cmp(&b.bytes))
    }
}

/// The names of figures and plot beside a report that `--json` names.
pub fn beside(report: &Path) -> [PathBuf; 2] {
    [JSON, SVG].map(|name| report.with_extension(name))
}

/// Encodes every picture in all ways, decodes it as the gateway does, and has the twin classify the pixels.
fn files(twin: &Twin, samples: &[Sample], size: u32) -> Result<Vec<Files>> {
    on_all_cores(samples, "pictures as JPEG and WebP", |share, bar| {
        let mut all = vec![];
        for sample in share {
            let rgb = sample.rgb(size)?;
            let right = |rgb: &[u8]| -> Result<bool> {
                Ok(Verdict::last(&twin.logits(rgb)?).label == sample.label)
            };
            let mut encoded = vec![];
            for format in Format::CODECS {
                let mut by_quality = vec![];
                for quality in QUALITIES {
                    let file = format.encode(&rgb, size, quality)?;
                    let decoded = decode(&file, size, MOST_PIXELS)?;
                    by_quality.push(Sent { bytes: file.len(), right: right(&decoded)? });
                }
                encoded.push(by_quality);
            }
            let own = match sample.jpeg_of_size(size)? {
                Some(file) => Some(Sent { bytes: file.len(), right: right(&rgb)? }),
                None => None,
            };
            all.push(Files { encoded, own });
            bar.inc(1);
        }
        Ok(all)
    })
}

/// Every format, for all pictures and for those that no exit is sure of.
fn rivals(files: &[Files], outcomes: &[Outcome]) -> Vec<Rival> {
    let mut found = vec![];
    for after_exits in [false, true] {
        let point = |quality, sent: &dyn Fn(&Files) -> Option<Sent>| {
            let (mut bytes, mut right) = (0, 0);
            for (file, outcome) in files.iter().zip(outcomes) {
                if after_exits && outcome.ended.is_some() {
                    right += usize::from(outcome.right());
                } else {
                    let sent = sent(file)?;
                    bytes += sent.bytes;
                    right += usize::from(sent.right);
                }
            }
            let mean = |sum: usize| sum as f64 / files.len() as f64;
            Some(Point { quality, accuracy: mean(right), bytes: mean(bytes) })
        };
        for (codec, format) in Format::CODECS.into_iter().enumerate() {
            let at = |(i, quality)| point(Some(quality), &|file| Some(file.encoded[codec][i]));
            let points = QUALITIES.into_iter().enumerate().filter_map(at).collect();
            found.push(Rival { format, after_exits, points });
        }
        // Only where every picture has such a file.
        let own = point(None, &|file| file.own);
        found.extend(own.map(|point| Rival {
            format: Format::Own,
            after_exits,
            points: vec![point],
        }));
    }
    found
}
