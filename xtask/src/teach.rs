//! `cargo xtask teach`: from a folder of one's own pictures to a pair that runs.
//!
//! The recipe looks the folder over, trains and exports; then the pair is packed and evaluated beside its checkpoints, and only a
//! finished one is moved to the folder of pairs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::{Passed, demo, measure, pack, root, step, target, tools};

/// Options of `cargo xtask teach`.
#[derive(clap::Args)]
#[command(
    after_help = "Stop it whenever you like: the same command goes on where it stopped. docs/train-your-own.md tells what it does, and \
        what the figures mean."
)]
pub struct Options {
    /// Your pictures: DIR/CLASS/*.jpg, which are split into training and test pictures, or DIR/train/CLASS/*.jpg and
    /// DIR/test/CLASS/*.jpg.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// The pair's name.
    #[arg(long)]
    name: String,
    /// The pair's version.
    #[arg(long, default_value = "1.0.0")]
    version: String,
    /// Pictures are SIZE x SIZE for the network: 32 to 224. Finer detail than that is lost; more takes longer.
    #[arg(long, default_value_t = 128)]
    size: u32,
    /// Bits of the edge's weights and activations: 1 is fastest and smallest, 4 is more accurate.
    #[arg(long, default_value_t = 1)]
    bits: u8,
    /// Time for training. Small folders take less, and on a GPU this is more than enough.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Answer this share of the pictures at the edge.
    #[arg(long, default_value_t = 0.65)]
    edge_share: f64,
    /// Fine-tune this EfficientNet-Lite0, a state dict trained on ImageNet, as a teacher first: more accurate, but slower.
    #[arg(long, value_name = "FILE")]
    weights: Option<PathBuf>,
    /// The pair whose trunk comes first, NAME/VERSION's folder [default: the latest tin100-w4].
    #[arg(long, value_name = "PAIR")]
    start: Option<PathBuf>,
    /// Folder of pairs, where the finished one is put.
    #[arg(long, value_name = "DIR", default_value = "onnx-models")]
    models: PathBuf,
    /// Only look the folder over, and print what was found.
    #[arg(long)]
    look: bool,
}

/// Looks over, trains, exports, packs, evaluates, and moves the pair to the folder of pairs.
pub fn run(options: &Options) -> Result<()> {
    let folder = std::path::absolute(&options.folder)?;
    let python = tools::recipe()?;
    let recipe = |words: &[&str]| {
        let mut command = step::command(&python, &["-m", "fogline_recipe"]);
        command.args(words).current_dir(root().join("onnx-models/recipe"));
        command
    };
    if options.look {
        let mut look = recipe(&["look", "--data", &folder.display().to_string()]);
        return shown(look.args(["--size", &options.size.to_string()]));
    }
    let place = root().join(&options.models).join(&options.name).join(&options.version);
    ensure!(
        !place.exists(),
        "{} exists already: give another --version or --name, or remove the folder first",
        place.display()
    );
    let out = target().join("teach").join(&options.name).join(&options.version);
    let mut teach = recipe(&["teach", &folder.display().to_string(), "--name", &options.name]);
    teach.args(["--version", &options.version, "--out"]).arg(&out);
    let numbers = [
        ("--size", options.size.to_string()),
        ("--bits", options.bits.to_string()),
        ("--minutes", options.minutes.to_string()),
        ("--edge-share", options.edge_share.to_string()),
    ];
    for (name, value) in numbers {
        teach.args([name, &value]);
    }
    for (name, path) in [("--weights", &options.weights), ("--start", &options.start)] {
        if let Some(path) = path {
            teach.arg(name).arg(std::path::absolute(path)?);
        }
    }
    shown(&mut teach)?;
    let models = out.join("pair");
    let pair = models.join(&options.name).join(&options.version);
    pack::run(&pack::Options::new(&pair))?;
    evaluate(&options.name, &models, &out.join("data"))?;
    settle(&pair, &place)?;
    println!("{}", next(&options.name, &place, &out.join("data")));
    Ok(())
}

/// Runs a command whose output, such as progress bars, is for the user.
fn shown(command: &mut std::process::Command) -> Result<()> {
    let status = command.status().context("starting the recipe")?;
    ensure!(status.success(), "the recipe stopped; the reason is above");
    Ok(())
}

/// Evaluates the pair, which writes its report and the figures of its card. Packing has built fogline-measure already, and
/// for the pictures of one folder an optimised one is not worth minutes of compiling.
fn evaluate(name: &str, models: &Path, data: &Path) -> Result<()> {
    let text = |path: &Path| path.display().to_string();
    let options = ["--model", name, "--models", &text(models), "--data", &text(data)];
    measure("debug", "eval", &Passed { options: options.map(str::to_owned).to_vec() })
}

/// Moves the finished pair to `place`, whole or not at all.
fn settle(pair: &Path, place: &Path) -> Result<()> {
    let beside = partial(place);
    if beside.exists() {
        fs::remove_dir_all(&beside)?;
    }
    fs::create_dir_all(&beside).with_context(|| beside.display().to_string())?;
    let copied = fs::read_dir(pair)?.try_for_each(|entry| -> Result<()> {
        let entry = entry?;
        fs::copy(entry.path(), beside.join(entry.file_name()))?;
        Ok(())
    });
    if let Err(error) = copied.and_then(|()| Ok(fs::rename(&beside, place)?)) {
        let _ = fs::remove_dir_all(&beside);
        return Err(error).with_context(|| format!("writing {}", place.display()));
    }
    Ok(())
}

/// The folder in which a pair for `place` is put together.
fn partial(place: &Path) -> PathBuf {
    let mut name = place.file_name().unwrap_or_default().to_os_string();
    name.push(".partial");
    place.with_file_name(name)
}

/// What to do with the pair, which is in `place`; `data` has its test pictures.
fn next(name: &str, place: &Path, data: &Path) -> String {
    let within = |path: &Path| path.strip_prefix(root()).unwrap_or(path).display().to_string();
    let (place, data) = (within(place), within(data));
    let component = within(&demo::component());
    format!(
        "\n{place} is ready. Its page, with some of your test pictures:\n\n    \
         cargo xtask demo --model {name} --data {data}\n\n\
         The gateway, with the edge alone (docs/gateway.md has the rest):\n\n    \
         cargo xtask component\n    \
         wasmtime run -S http --dir . {component} classify PICTURE --model {place}\n\n\
         To change its thresholds or train on, see docs/train-your-own.md."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for a test.
    fn folder(name: &str) -> PathBuf {
        let folder = target().join("tmp/teach").join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_pair_is_moved_whole() {
        let folder = folder("whole");
        let pair = folder.join("pair");
        fs::create_dir(&pair).unwrap();
        fs::write(pair.join("manifest.json"), "{}").unwrap();
        let place = folder.join("models/mine/1.0.0");
        settle(&pair, &place).unwrap();
        assert_eq!(fs::read_to_string(place.join("manifest.json")).unwrap(), "{}");
        assert!(!partial(&place).exists());
    }

    #[test]
    fn of_a_pair_that_cannot_be_moved_nothing_is_left() {
        let folder = folder("nothing");
        let pair = folder.join("pair");
        fs::create_dir_all(pair.join("a folder, which is no file")).unwrap();
        let place = folder.join("models/mine/1.0.0");
        let error = settle(&pair, &place).unwrap_err();
        assert!(format!("{error:#}").contains("writing "), "{error:#}");
        assert!(!place.exists() && !partial(&place).exists());
    }
}
