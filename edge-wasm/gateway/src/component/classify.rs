//! `fogline classify`: one answer per picture.

use std::path::{Path, PathBuf};

use fogline_edge::device::audits::{Audits, Summary};
use fogline_edge::device::spool::Name;
use fogline_edge::session::Answer;

use crate::component::classifier::Setup;
use crate::component::fault::{Fault, complain, json, say, shown};
use crate::component::hard::Keeping;
use crate::component::line::Line;
use crate::component::pair;
use crate::component::progress::Progress;
use crate::component::spool::{Form, Spooling};

/// Classify JPEG, PNG and WebP files.
///
/// If an exit is sure of a picture, the picture is answered here. Otherwise its packed feature map (about 1 KiB; never the
/// picture itself) is sent to the cloud. If there is no cloud or it does not answer, the best exit answers, and the answer is
/// marked as degraded. The exit status is 0 if every picture was answered, else 1.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  wasmtime run -S http --dir . fogline.wasm classify cat.jpg \\\n      \
        --model onnx-models/cifar10-w1/3.2.0 --cloud http://127.0.0.1:9000/lambda-url/fogline-cloud\n  \
        camera | wasmtime run -S http --dir . fogline.wasm classify - --json --model DIR"
)]
pub struct Options {
    /// Pictures: files, folders with everything below them, or - for one picture on standard input.
    #[arg(required = true)]
    pictures: Vec<PathBuf>,
    #[command(flatten)]
    setup: Setup,
    #[command(flatten)]
    spooling: Spooling,
    #[command(flatten)]
    keeping: Keeping,
    /// Exit with status 1 also if an answer is degraded, unless the cloud answered it by the end of the run (--spool).
    #[arg(long)]
    strict: bool,
    /// Print one JSON object per line instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// Classifies and prints. Returns whether every picture was answered and, with `--strict`, by an exit that was sure or by
/// the cloud.
pub async fn run(options: &Options) -> Result<bool, Fault> {
    let mut classifier = options.setup.load(options.setup.cloud.batch())?;
    let mut kept = options.spooling.open()?;
    let (mut hard, mut audits) =
        (options.keeping.open(classifier.cloud.is_some(), &[])?, Audits::default());
    if kept.is_some() && classifier.cloud.is_none() {
        let why = "--spool has no effect without --cloud";
        complain(&Fault::new("spool_without_cloud", why));
    }
    let pictures = match pair::pictures(&options.pictures) {
        // Without pictures there may still be frames that an earlier run spooled.
        Err(fault) if fault.error == pair::EMPTY && kept.is_some() => vec![],
        pictures => pictures?,
    };
    let most = options.setup.cloud.most(&classifier.session);
    let mut progress = Progress::beside_lines(pictures.len());
    let mut all = true;
    // As wide as the longest name, up to a limit.
    let width = pictures.iter().map(|path| shown(path).chars().count()).max().unwrap_or(0);
    let width = width.clamp(7, 60);
    let form = if options.json { Form::Json } else { Form::Row(width) };
    if !options.json {
        say(&format!(
            "{:<width$} {:<12} {:>10}  {:<8} {:>7} {:>8} {:>9}",
            "picture", "answer", "confidence", "origin", "sent", "edge ms", "cloud ms"
        ))?;
    }
    let decoder = classifier.decoder;
    let mut opened = pictures.iter().map(|path| {
        progress.step();
        (path, decoder.open(path).0)
    });
    while let Some(answers) = classifier.next(&mut opened).await {
        let mut heard = false;
        for (path, outcome) in answers {
            let answer = outcome.as_ref().ok();
            heard |= answer.is_some_and(|answer| answer.origin == "cloud");
            let name = kept.as_mut().zip(answer).and_then(|(kept, answer)| kept.keep(path, answer));
            if let Some(answer) = answer {
                audits.count(answer);
                if let Some(hard) = &mut hard {
                    hard.keep_file(path, answer);
                }
            }
            // A spooled question may still be answered.
            let stands = |a: &Answer| a.degraded.is_none() || name.is_some();
            all &= answer.is_some_and(|answer| !options.strict || stands(answer));
            print(path, &outcome, name, form)?;
        }
        // Send one request of spooled samples after each answer of the cloud, so that new pictures come first.
        if let (true, Some(kept), Some(cloud)) = (heard, &mut kept, &classifier.cloud) {
            kept.settle(&classifier.session, cloud, most, form).await?;
        }
    }
    if let Some(kept) = &mut kept {
        if let Some(cloud) = &classifier.cloud {
            // The circuit may be open, but this is the last chance to ask.
            cloud.forgive();
            while kept.settle(&classifier.session, cloud, most, form).await? {}
        }
        kept.sum(form)?;
        all &= !options.strict || kept.is_settled();
    }
    if let Some(summary) = audits.summary() {
        say(&match form {
            Form::Json => json(&serde_json::json!({ "audits": summary })),
            Form::Row(_) => format!("\n{}", audited(&summary)),
        })?;
    }
    Ok(all)
}

/// What audits found, as a sentence.
pub fn audited(summary: &Summary) -> String {
    let Summary { outcomes, disagreement, .. } = summary;
    let percent = |share: f64| format!("{:.1}%", share * 100.0);
    format!(
        "audits: the cloud disagrees with {} of {} sure answers, {} ({} to {} with 95% confidence); {} unanswered",
        outcomes.disagreed,
        outcomes.agreed + outcomes.disagreed,
        percent(disagreement.share),
        percent(disagreement.low),
        percent(disagreement.high),
        outcomes.unanswered
    )
}

/// Prints an answer as JSON or as a row, and an error also on standard error.
fn print(
    path: &Path,
    outcome: &Result<Answer, Fault>,
    spooled: Option<Name>,
    form: Form,
) -> Result<(), Fault> {
    match (outcome, form) {
        (_, Form::Json) => {
            let line = Line::of(path.display().to_string(), outcome).spooled(spooled);
            say(&json(&line))?;
        }
        (Ok(answer), Form::Row(width)) => say(&row(&shown(path), width, answer, spooled))?,
        (Err(_), Form::Row(_)) => {}
    }
    if let Err(fault) = outcome {
        complain(&fault.of(path));
    }
    Ok(())
}

fn row(picture: &str, width: usize, answer: &Answer, spooled: Option<Name>) -> String {
    let spooled = spooled.map(|name| format!(", spooled: {name}")).unwrap_or_default();
    format!(
        "{picture:<width$} {:<12} {:>9.1}%  {:<8} {:>7} {:>8.2} {:>9.1}{}{spooled}",
        answer.label,
        answer.confidence * 100.0,
        answer.origin,
        answer.bytes_sent,
        answer.timings.edge_ms,
        answer.timings.cloud_ms,
        answer.degraded.as_ref().map(|d| format!("  degraded: {}", d.message)).unwrap_or_default(),
    )
}
