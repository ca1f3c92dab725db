//! `cargo xtask eval`: measures a pair on a dataset, with the same code that runs in the field.
//!
//! Every picture runs through the native edge engine up to the split point and through the cloud part in tract, so that
//! exits, final head and system are measured in one run. If the pair's folder has a `twin.onnx`, the full-precision twin
//! runs on the same pictures.

use std::io::Write as _;
use std::path::PathBuf;
use std::{fs, io};

use anyhow::{Context, Result, anyhow};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use fogline::energy::Constants;
use fogline::policy::Policy;
use fogline_stack::models::Models;

use crate::curve::Curve;
use crate::dataset;
use crate::drift;
use crate::figures;
use crate::rate::{self, Rate};
use crate::report::{self, Outcome, Report, Setting};
use crate::subject::Subject;

/// Options of `cargo xtask eval`.
#[derive(clap::Args)]
pub struct Options {
    /// The pair: NAME or NAME/VERSION in the models folder.
    #[arg(long)]
    model: String,
    /// Folder of pairs.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// The dataset: DIR/test/CLASS/*.jpg or .png, or the folder of CIFAR-10's or CIFAR-100's binary version.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Use only this many pictures, spread evenly over the dataset.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// The exit policy [default: the manifest's].
    #[arg(long, value_parser = PossibleValuesParser::new(Policy::ALL.iter().map(|policy| policy.name())).try_map(|name| name.parse::<Policy>()))]
    policy: Option<Policy>,
    /// Name of the dataset in the report [default: the manifest's name for it].
    #[arg(long, value_name = "NAME")]
    data_name: Option<String>,
    /// Set a constant of the energy model, in pJ; may be repeated. The constants and their defaults: multiply (3.1, for 32
    /// bits), add (0.1), full_mac (3.2; 4.6 for floating point), access (2.5 per bit read), radio (296456 per bit sent:
    /// Wi-Fi at 10 Mbit/s).
    #[arg(long, value_name = "NAME=PJ")]
    constant: Vec<String>,
    /// Write the figures as JSON to this file instead of the pair's report.json.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Also measure accuracy against bytes per picture: of the system at shares at the edge from 0% to 100%, and of the twin on
    /// pictures that are sent as JPEG or WebP of qualities from 5 to 95, either all of them or only those that no exit is sure
    /// of. Prints both and where the system sends less or more for the same accuracy. Writes rate.json and its plot rate.svg
    /// to the pair's folder, or beside --json FILE.json as FILE.rate.json and FILE.rate.svg. Runs the twin more than twenty
    /// times per picture.
    #[arg(long)]
    rate_curve: bool,
    /// Also measure how soon the watch for drift raises its alarm after test pictures get worse in each of five ways, at a
    /// severity from 1 to 5, and how often it does without that. Prints the table and writes drift.json to the pair's folder, or
    /// beside --json FILE.json as FILE.drift.json.
    #[arg(long, value_name = "SEVERITY", num_args = 0..=1, default_missing_value = "3", value_parser = clap::value_parser!(u8).range(1..=i64::from(drift::WORST)))]
    drift: Option<u8>,
    /// The recipe's Python, which plots.
    #[arg(long, value_name = "FILE", hide = true)]
    python: Option<PathBuf>,
}

/// Measures the pair, prints the table and writes the report.
pub fn run(options: &Options) -> Result<()> {
    if let Some(path) = &options.json {
        let file = fs::OpenOptions::new().create(true).append(true).open(path);
        file.with_context(|| format!("cannot write {}", path.display()))?;
    }
    let mut constants = Constants::default();
    for assignment in &options.constant {
        constants.set(assignment).map_err(|why| anyhow!(why))?;
    }
    let models = Models::find(&options.models)?;
    let folder = &models.choose(Some(&options.model))?.folder;
    let subject = Subject::load(folder)?;
    let manifest = &subject.manifest;
    let mut session = subject.session()?;
    if let Some(policy) = options.policy {
        session.decide_by(policy, None)?;
    }
    let limit = options.limit.map(|limit| limit as usize);
    let samples = dataset::test_pictures(&options.data, manifest, limit)?;
    let seen = subject.see(&samples)?;
    let outcomes: Vec<Outcome> = seen.iter().map(|seen| seen.outcome(&session)).collect();
    let policy = session.policy();
    let curve = Curve::measured(&mut session, policy, &seen, &constants, &[])?;
    let named = options.data_name.clone().or(manifest.measured.as_ref().map(|m| m.data.clone()));
    let setting = Setting {
        manifest,
        manifest_sha256: subject.manifest_sha256(),
        data: named.unwrap_or_else(|| options.data.display().to_string()),
        date: time::OffsetDateTime::now_utc().date().to_string(),
        policy,
        constants,
    };
    let rate = || Rate::measure(&subject, &samples, &setting, &outcomes, &curve);
    let rate = options.rate_curve.then(rate).transpose()?;
    let drift = |severity| drift::Report::measure(&subject, &samples, &setting, severity);
    let drift = options.drift.map(drift).transpose()?;
    let report = Report::new(&setting, &outcomes, &curve);
    // report.json is only for the unmodified pair on the whole dataset.
    let as_it_is =
        options.limit.is_none() && options.policy.is_none() && options.constant.is_empty();
    let beside = as_it_is.then(|| folder.join("report.json"));
    if let Some(path) = options.json.clone().or(beside) {
        report::write(&path, &report)?;
        if options.json.is_none() {
            figures::update_card(folder, &report)?;
        }
        if let Some(rate) = &rate {
            let [json, svg] = match &options.json {
                Some(report) => rate::beside(report),
                None => [rate::JSON, rate::SVG].map(|name| folder.join(name)),
            };
            rate.write(&json, &svg, options.python.as_deref())?;
        }
        if let Some(drift) = &drift {
            let json = options.json.as_deref().map(drift::beside);
            report::write(&json.unwrap_or_else(|| folder.join(drift::JSON)), drift)?;
        }
    }
    // Print last: a closed pipe, as with `| head`, must not lose the files.
    write!(io::stdout(), "{report}{}", report.by_class()).context("printing the tables")?;
    if let Some(rate) = rate {
        write!(io::stdout(), "\n{rate}").context("printing accuracy and bytes")?;
    }
    if let Some(drift) = drift {
        write!(io::stdout(), "\n{drift}").context("printing what the watch noticed")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use serde_json::Value;

    use super::*;

    const CLASSES: usize = 5;

    /// The report that `eval` writes for the tiny pair on the dataset in `data`.
    fn report(data: &Path) -> Value {
        let folder = tempfile::tempdir().unwrap();
        let pair = folder.path().join("tiny-w1/1.0.0");
        fs::create_dir_all(&pair).unwrap();
        let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../edge-wasm/tests/tiny");
        for file in ["manifest.json", "edge.fog", "cloud.onnx"] {
            fs::copy(tiny.join(file), pair.join(file)).unwrap();
        }
        let options = Options {
            model: "tiny-w1".into(),
            models: folder.path().into(),
            data: data.into(),
            limit: None,
            policy: None,
            data_name: Some("stripes".into()),
            constant: vec![],
            json: None,
            rate_curve: true,
            drift: None,
            python: None,
        };
        let card = "<!-- cargo xtask figures: begin -->\n<!-- cargo xtask figures: end -->\n";
        fs::write(pair.join("MODEL.md"), card).unwrap();
        run(&options).unwrap();
        let card = fs::read_to_string(pair.join("MODEL.md")).unwrap();
        assert!(card.contains("tiny-w1 1.0.0 on stripes"), "{card}");
        let read = |name| -> Value {
            serde_json::from_slice(&fs::read(pair.join(name)).unwrap()).unwrap()
        };
        let (report, rate) = (read("report.json"), read("rate.json"));
        agree(&report, &rate);
        report
    }

    /// The curve's point at the pair's own thresholds has the report's figures.
    fn agree(report: &Value, rate: &Value) {
        let shares: Vec<f64> = serde_json::from_value(report["share"]["exits"].clone()).unwrap();
        let theirs = [
            ("share", shares.iter().sum()),
            ("accuracy", report["accuracy"]["system"].as_f64().unwrap()),
            ("bytes", report["bytes"]["mean"].as_f64().unwrap()),
        ];
        for (field, there) in theirs {
            let here = rate["own"][field].as_f64().unwrap();
            assert!((here - there).abs() < 1e-9, "{field}: {here}, {there} in the report");
        }
        assert_eq!(rate["rivals"], serde_json::json!([]), "the tiny pair has no twin");
    }

    /// Twenty striped pictures as 32x32 planes, with classes in turn.
    fn pictures() -> impl Iterator<Item = (usize, Vec<u8>)> {
        let pixel = |picture: usize, i: usize| (i * (picture % 7 + 1) * 9 % 256) as u8;
        (0..20).map(move |picture| {
            (picture % CLASSES, (0..3 * 1024).map(|i| pixel(picture, i)).collect())
        })
    }

    fn names(report: &Value) -> Vec<&str> {
        let hardest = report["hardest"].as_array().unwrap();
        hardest.iter().map(|mistake| mistake["picture"].as_str().unwrap()).collect()
    }

    #[test]
    fn mistakes_are_named_in_folders_and_in_cifars_files() {
        let data = tempfile::tempdir().unwrap();
        let (folders, binary) = (data.path().join("folders"), data.path().join("binary"));
        fs::create_dir_all(&binary).unwrap();
        let mut batch = vec![];
        for (index, (class, planes)) in pictures().enumerate() {
            let folder = folders.join(format!("test/class-{class}"));
            fs::create_dir_all(&folder).unwrap();
            let pixel = |x, y| {
                let at = (32 * y + x) as usize;
                image::Rgb([planes[at], planes[1024 + at], planes[2048 + at]])
            };
            let picture = image::RgbImage::from_fn(32, 32, pixel);
            picture.save(folder.join(format!("{index}.png"))).unwrap();
            batch.push(class as u8);
            batch.extend(planes);
        }
        fs::write(binary.join("test_batch.bin"), batch).unwrap();
        let classes: Vec<String> = (0..CLASSES).map(|class| format!("class-{class}")).collect();
        fs::write(binary.join("batches.meta.txt"), classes.join("\n")).unwrap();

        let (of_folders, of_binary) = (report(&folders), report(&binary));
        assert_eq!(
            report(&folders)["hardest"],
            of_folders["hardest"],
            "the order is always the same"
        );
        for field in ["classes", "confusion", "accuracy"] {
            assert_eq!(of_folders[field], of_binary[field]);
        }
        let counts: Vec<Vec<usize>> =
            serde_json::from_value(of_folders["confusion"].clone()).unwrap();
        assert_eq!(counts.iter().flatten().sum::<usize>(), 20);
        let right: usize = (0..CLASSES).map(|class| counts[class][class]).sum();
        assert_eq!(of_folders["accuracy"]["system"], right as f64 / 20.0);
        assert!(right < 20, "the tiny pair does not know these classes");
        assert_eq!(names(&of_folders).len(), 20 - right);
        for name in names(&of_folders) {
            assert!(folders.join(name).is_file(), "{name}");
        }
        for (mistake, name) in
            of_binary["hardest"].as_array().unwrap().iter().zip(names(&of_binary))
        {
            let index =
                name.strip_prefix("test_batch.bin[").and_then(|rest| rest.strip_suffix(']'));
            let index: usize = index.unwrap().parse().unwrap();
            assert_eq!(mistake["class"], format!("class-{}", index % CLASSES));
        }
    }
}
