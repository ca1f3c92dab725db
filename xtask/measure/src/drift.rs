//! `cargo xtask eval --drift`: how soon the watch for drift notices corrupted pictures, and how often it is wrong.
//!
//! The edge answers every test picture as it is and after each corruption. Streams are then drawn from these answers at random,
//! with replacement, and shown to the device's own watch.

mod corruption;
mod table;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use fogline_edge::device::drift::{Drift, Normal};
use fogline_edge::session::ExitReport;
use serde::{Deserialize, Serialize};

use self::corruption::Corruption;
pub use self::corruption::WORST;
use crate::dataset::Sample;
use crate::report::{self, Head, Setting};
use crate::subject::{Subject, on_all_cores};

/// File name of the figures in the pair's folder.
pub const JSON: &str = "drift.json";
/// Streams for each corruption.
const STREAMS: usize = 200;
/// Pictures of a stream before the corruption; these fill the windows of all exits.
const BEFORE: usize = 2_000;
/// Corrupted pictures after which a stream counts as unnoticed.
const AFTER: usize = 5_000;
/// Pictures of the stream that nothing happens to.
const CLEAN: usize = 1_000_000;

/// Pictures until the alarm after each corruption, and alarms without one.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    #[serde(flatten)]
    head: Head,
    severity: u8,
    window: usize,
    /// Held-out pictures that the limits are from.
    held_out: u64,
    /// The alarms per picture that the manifest expects.
    expected: f64,
    /// With the histogram of classes, and with those of confidences alone.
    watches: Vec<Watch>,
}

/// What one kind of watch noticed.
#[derive(Debug, Serialize, Deserialize)]
struct Watch {
    classes: bool,
    corruptions: Vec<Noticed>,
    /// Pictures of the clean stream.
    clean: usize,
    /// How many times the alarm was raised on them.
    false_alarms: usize,
    /// For how many of them the alarm stayed.
    under_alarm: usize,
}

/// How soon a corruption was noticed.
#[derive(Debug, Serialize, Deserialize)]
struct Noticed {
    corruption: Corruption,
    /// Streams in which no alarm was raised when the corruption began.
    streams: usize,
    /// Those of them without an alarm.
    missed: usize,
    /// Pictures from the first corrupted one to the alarm; a missed stream counts as all of its pictures. `None` without streams.
    median: Option<usize>,
    worst: Option<usize>,
}

/// The exits that each picture reached.
type Answers = Vec<Vec<ExitReport>>;

impl Report {
    /// Corrupts and answers every picture, and watches the streams.
    pub fn measure(
        subject: &Subject,
        samples: &[Sample],
        setting: &Setting,
        severity: u8,
    ) -> Result<Self> {
        let normal = Normal::of(subject.manifest_text(), setting.manifest)?.context(
            "the manifest does not say what is normal; python -m fogline_recipe normal adds it",
        )?;
        ensure!(
            setting.policy == setting.manifest.policy,
            "--drift: what is normal holds for the manifest's policy, {}",
            setting.manifest.policy
        );
        let clean = answers(subject, samples, None)?;
        let corrupted: Vec<(Corruption, Answers)> = Corruption::ALL
            .into_iter()
            .map(|how| Ok((how, answers(subject, samples, Some((how, severity)))?)))
            .collect::<Result<_>>()?;
        let watch = |classes| {
            let new = || {
                let drift = Drift::new(&normal, setting.manifest);
                if classes { drift } else { drift.without_classes() }
            };
            Watch::of(&new, &clean, &corrupted, classes)
        };
        Ok(Self {
            head: Head::new(setting, samples.len()),
            severity,
            window: normal.window,
            held_out: normal.pictures,
            expected: normal.false_alarms,
            watches: [true, false].map(watch).into(),
        })
    }

    /// Reads the figures in a pair's folder, if there are any.
    ///
    /// # Errors
    /// If they are not those of the pair's `manifest`.
    pub fn kept(folder: &Path, manifest: &[u8]) -> Result<Option<Self>> {
        report::kept(&folder.join(JSON), manifest, " --drift", |drift: &Self| &drift.head)
    }
}

/// The figures' place beside a report that `--json` names.
pub fn beside(report: &Path) -> PathBuf {
    report.with_extension(JSON)
}

/// The exits that each picture reaches, as it is or corrupted.
fn answers(
    subject: &Subject,
    samples: &[Sample],
    corruption: Option<(Corruption, u8)>,
) -> Result<Answers> {
    let size = subject.manifest.input.size;
    on_all_cores(samples, "pictures for the watch", |share, bar| {
        let mut session = subject.session()?;
        let mut all = vec![];
        for sample in share {
            let mut rgb = sample.rgb(size)?;
            if let Some((how, severity)) = corruption {
                // A picture is corrupted alike on any number of cores.
                let mut random = Rng::with_seed(seed(&sample.name));
                rgb = how.of(&rgb, size, severity, &mut random);
            }
            let mut exits = session.classify_alone(&rgb).exits;
            // The watch does not need them, and of many classes they take much memory.
            for exit in &mut exits {
                exit.verdict.scores = vec![];
            }
            all.push(exits);
            bar.inc(1);
        }
        Ok(all)
    })
}

/// A number from a picture's name (FNV-1a).
fn seed(name: &str) -> u64 {
    let mix = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    name.bytes().fold(0xcbf2_9ce4_8422_2325, mix)
}

impl Watch {
    fn of(
        new: &dyn Fn() -> Drift,
        clean: &Answers,
        corrupted: &[(Corruption, Answers)],
        classes: bool,
    ) -> Self {
        let noticed = corrupted.iter().map(|(corruption, answers)| {
            let mut random = Rng::with_seed(1);
            let stream = |_| {
                let drift = quiet(new(), clean, &mut random)?;
                Some(until_alarm(drift, answers, &mut random))
            };
            let mut found: Vec<Option<usize>> = (0..STREAMS).filter_map(stream).collect();
            found.sort_by_key(|pictures| pictures.unwrap_or(AFTER));
            let pictures = |at: &Option<usize>| at.unwrap_or(AFTER);
            Noticed {
                corruption: *corruption,
                streams: found.len(),
                missed: found.iter().filter(|pictures| pictures.is_none()).count(),
                median: found.get(found.len() / 2).map(pictures),
                worst: found.last().map(pictures),
            }
        });
        let corruptions = noticed.collect();
        let (mut drift, mut random) = (new(), Rng::with_seed(2));
        let (mut false_alarms, mut under_alarm) = (0, 0);
        for _ in 0..CLEAN {
            let changed = drift.observe(drawn(clean, &mut random));
            false_alarms += usize::from(changed && drift.is_drifting());
            under_alarm += usize::from(drift.is_drifting());
        }
        Self { classes, corruptions, clean: CLEAN, false_alarms, under_alarm }
    }
}

/// The watch after clean pictures, or `None` if they left it under alarm.
fn quiet(mut drift: Drift, clean: &Answers, random: &mut Rng) -> Option<Drift> {
    for _ in 0..BEFORE {
        drift.observe(drawn(clean, random));
    }
    (!drift.is_drifting()).then_some(drift)
}

/// The corrupted pictures that it takes until the alarm, if it is ever raised.
fn until_alarm(mut drift: Drift, corrupted: &Answers, random: &mut Rng) -> Option<usize> {
    (1..=AFTER).find(|_| drift.observe(drawn(corrupted, random)))
}

/// Any of the answers.
fn drawn<'a>(answers: &'a Answers, random: &mut Rng) -> &'a [ExitReport] {
    &answers[random.usize(..answers.len())]
}
