//! `fogline eval`: accuracy on a folder of labelled pictures.

use std::path::PathBuf;
use std::time::Instant;

use fogline::energy::{self, Constants, Terms};
use fogline_edge::device::audits::{Audits, Summary};
use fogline_edge::device::source;
use fogline_edge::session::Session;
use fogline_edge::session::score::{Score, Tally};
use serde::Serialize;

use crate::component::classifier::Setup;
use crate::component::classify::audited;
use crate::component::fault::{Fault, complain, json, say};
use crate::component::pair;
use crate::component::progress::Progress;

/// Measure accuracy, exits, bytes and energy on pictures of known classes.
///
/// The folder contains one folder per class, with the class's name. Energy is an estimate by the paper's model and its
/// constants. It is left out if answers are degraded, because energy that the cloud did not spend would look like savings.
/// The exit status is 0 if every picture was answered, else 1.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  wasmtime run -S http --dir . fogline.wasm eval test --model onnx-models/cifar10-w1/3.2.0 \\\n      \
        --cloud URL --batch 64"
)]
pub struct Options {
    /// Folder with DIR/CLASS/**/*.jpg, *.png or *.webp.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    #[command(flatten)]
    setup: Setup,
    /// Print one JSON object instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// What an evaluation found, as `--json` prints it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    name: &'a str,
    version: &'a str,
    policy: &'static str,
    thresholds: &'a [f32],
    unanswered: u64,
    accuracy: f64,
    #[serde(flatten)]
    score: &'a Score,
    #[serde(skip_serializing_if = "Option::is_none")]
    audits: Option<Summary<'a>>,
    /// Mean energy per picture in picojoules.
    system: Option<Terms>,
    radio: f64,
    twin: Terms,
    seconds: f64,
    pictures_per_second: f64,
}

/// Measures and prints. Returns whether every picture was answered.
pub async fn run(options: &Options) -> Result<bool, Fault> {
    let mut classifier = options.setup.load(options.setup.cloud.batch())?;
    // Pictures come class by class, which the calibration's did not.
    classifier.monitor = None;
    let pictures = pair::pictures(std::slice::from_ref(&options.folder))?;
    let classes = &classifier.session.manifest().classes;
    let class = |path: &PathBuf| {
        source::class_of(classes, &options.folder, path).ok_or_else(|| {
            let message = format!("its folder is not named after a class ({})", classes.join(", "));
            Fault::new("class_unknown", message).of(path)
        })
    };
    let classes = pictures.iter().map(class).collect::<Result<Vec<_>, _>>()?;
    let mut progress = Progress::new(pictures.len());
    let (mut score, mut unanswered, began) = (Score::default(), 0, Instant::now());
    let mut audits = Audits::default();
    let decoder = classifier.decoder;
    let mut opened = pictures.iter().zip(classes).map(|(path, class)| {
        progress.step();
        let (rgb, bytes) = decoder.open(path);
        ((path, class, bytes), rgb)
    });
    while let Some(answers) = classifier.next(&mut opened).await {
        for ((path, class, bytes), outcome) in answers {
            match outcome {
                Ok(answer) => {
                    audits.count(&answer);
                    score.add(classifier.session.manifest(), &answer, class, bytes);
                }
                Err(fault) => {
                    unanswered += 1;
                    complain(&fault.of(path));
                }
            }
        }
    }
    drop(opened);
    drop(progress);
    let session = &classifier.session;
    print(session, &score, &audits, unanswered, began.elapsed().as_secs_f64(), options.json)?;
    Ok(unanswered == 0)
}

fn print(
    session: &Session,
    score: &Score,
    audits: &Audits,
    unanswered: u64,
    seconds: f64,
    in_json: bool,
) -> Result<(), Fault> {
    let (manifest, constants) = (session.manifest(), Constants::default());
    let pictures = score.all.pictures.max(1) as f64;
    let report = Report {
        name: &manifest.name,
        version: &manifest.version,
        policy: session.policy().name(),
        thresholds: session.thresholds(),
        unanswered,
        accuracy: score.all.accuracy(),
        score,
        audits: audits.summary(),
        system: score.mean_energy(),
        radio: constants.sending(score.bytes_sent as f64 / pictures),
        twin: energy::of_twin(manifest, &constants),
        seconds,
        pictures_per_second: score.all.pictures as f64 / seconds.max(1e-9),
    };
    if in_json { say(&json(&report)) } else { table(&report) }
}

fn table(report: &Report) -> Result<(), Fault> {
    let score = report.score;
    let all = score.all.pictures;
    say(&format!(
        "{} {}, {all} pictures, policy {} with thresholds {:?}\n",
        report.name, report.version, report.policy, report.thresholds
    ))?;
    let row = |name: &str, tally: &Tally| {
        say(&format!(
            "{name:<24} {:>8} {:>8.2}% {:>14.2}%",
            tally.pictures,
            tally.pictures as f64 * 100.0 / all.max(1) as f64,
            tally.accuracy() * 100.0
        ))
    };
    say(&format!("{:<24} {:>8} {:>9} {:>15}", "answered by", "pictures", "share", "accuracy"))?;
    for (origin, tally) in &score.origins {
        row(origin, tally)?;
    }
    for (reason, tally) in &score.degraded {
        row(&format!("degraded, {reason}"), tally)?;
    }
    row("all", &score.all)?;
    if report.unanswered > 0 {
        say(&format!("unanswered {:>22}", report.unanswered))?;
    }
    if let Some(summary) = &report.audits {
        say(&format!("\n{}", audited(summary)))?;
    }
    let mean = |bytes: u64| bytes as f64 / all.max(1) as f64;
    let energy = |name: &str, system: f64, twin: f64| {
        let (us, them) = (system / 1e6, twin / 1e6);
        say(&format!("{name:<24} {us:>8.2} {them:>9.2} {:>15.2}", them / us))
    };
    if let Some(system) = report.system {
        let twin = report.twin;
        say(&format!(
            "\n{:<24} {:>8} {:>9} {:>15}",
            "µJ per picture", "system", "twin", "times less"
        ))?;
        energy("computation", system.computation, twin.computation)?;
        energy("memory", system.memory, twin.memory)?;
        say(&format!("{:<24} {:>8.0}", "radio", report.radio / 1e6))?;
    } else {
        say("\nenergy is not stated: degraded answers would make it look too low")?;
    }
    say(&format!(
        "\n{:.0} bytes sent per picture, whose file has {:.0}; {:.1} pictures per second",
        mean(score.bytes_sent),
        mean(score.file_bytes),
        report.pictures_per_second
    ))
}
