//! Trains a pair on pictures in folders and uses it, as in the docs: in one command, and by the recipe, `pack`, `eval` and
//! `demo --model`.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::process::Command;

use image::{Rgb, RgbImage};

use crate::{Demo, answers};

const SIDE: u32 = 32;

/// Three classes that a small network can distinguish: rows, columns, a disc. Colours are random.
fn picture(class: &str, number: u32) -> RgbImage {
    // A fixed generator, so that the pictures are the same everywhere.
    let mut state = u64::from(number) * 2_654_435_761 + class.len() as u64 + 1;
    let mut random = |below: u32| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as u32 % below
    };
    let [shift, width, x, y] = [random(8), 4 + random(3), 12 + random(8), 12 + random(8)];
    let colours = [0, 1].map(|_| Rgb([0, 1, 2].map(|_| random(200) as u8)));
    let noise: Vec<u8> = (0..SIDE * SIDE).map(|_| random(40) as u8).collect();
    RgbImage::from_fn(SIDE, SIDE, |column, row| {
        let inside = match class {
            "rows" => (row + shift) / width % 2 == 0,
            "columns" => (column + shift) / width % 2 == 0,
            _ => column.abs_diff(x).pow(2) + row.abs_diff(y).pow(2) < (2 * width).pow(2),
        };
        let Rgb(colour) = colours[usize::from(inside)];
        Rgb(colour.map(|c| c.saturating_add(noise[(row * SIDE + column) as usize])))
    })
}

fn fill(folder: &Path, numbers: Range<u32>) {
    for class in ["columns", "disc", "rows"] {
        let folder = folder.join(class);
        fs::create_dir_all(&folder).unwrap();
        for number in numbers.clone() {
            picture(class, number).save(folder.join(format!("{number}.png"))).unwrap();
        }
    }
}

fn run(command: &mut Command) {
    let out = command.output().unwrap();
    assert!(
        out.status.success(),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    );
}

fn manifest(pair: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(pair.join("manifest.json")).unwrap()).unwrap()
}

/// Runs a command of the recipe: its words, then options whose values are paths or contain spaces.
fn recipe(words: &str, options: &[(&str, &OsStr)]) {
    let python =
        env::var_os("FOGLINE_RECIPE_PYTHON").expect("cargo xtask test names the recipe's Python");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../onnx-models/recipe");
    let mut command = Command::new(python);
    command.current_dir(folder).args(["-m", "fogline_recipe"]).args(words.split(' '));
    for (option, value) in options {
        command.arg(option).arg(value);
    }
    run(&mut command);
}

#[test]
fn pictures_in_folders_become_a_pair_that_runs() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let (data, models) = (root.join("data"), root.join("models"));
    let (twin, mine, pair) = (root.join("twin"), root.join("mine"), models.join("mine/1.0.0"));
    fill(&data.join("train"), 0..200);
    fill(&data.join("test"), 1000..1040);

    let on_data = ("--data", data.as_os_str());
    let train = |words: &str, options: &[(&str, &OsStr)]| {
        let small = [
            on_data,
            ("--edge", "16 pool 32 exit4 pool 32 exit4".as_ref()),
            ("--cloud", "32 pool 32+".as_ref()),
        ];
        let words = format!("train --stem 16 --split 32 --batch 20 --cooldown 3 {words}");
        recipe(&words, &[&small, options].concat());
    };
    train("--bits 32 --epochs 4", &[("--out", twin.as_os_str())]);
    train("--bits 1 --epochs 6", &[("--out", mine.as_os_str()), ("--teacher", twin.as_os_str())]);
    recipe(
        "export --name mine --version 1.0.0 --data-name shapes --edge-share 0.7 --margin 0",
        &[
            on_data,
            ("--run", mine.as_os_str()),
            ("--twin", twin.as_os_str()),
            ("--out", pair.as_os_str()),
        ],
    );
    let parts = || manifest(&pair)["parts"].clone();
    let counted_by_the_recipe = parts();
    let xtask = || Command::new(env!("CARGO_BIN_EXE_xtask"));
    run(xtask().arg("pack").arg(pair.join("edge.qonnx")));
    assert_eq!(parts(), counted_by_the_recipe);
    run(xtask()
        .env("FOGLINE_MEASURE", "dev")
        .args(["eval", "--model", "mine", "--models"])
        .arg(&models)
        .arg("--data")
        .arg(&data));

    let report = fs::read(pair.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let figure =
        |pointer: &str| report.pointer(pointer).and_then(serde_json::Value::as_f64).unwrap();
    assert_eq!(figure("/samples"), 120.0);
    // Guessing would be right a third of the time.
    assert!(figure("/accuracy/system") > 0.8, "{report:#}");
    assert!(figure("/accuracy/twin") > 0.8, "{report:#}");
    assert!((0.4..0.95).contains(&(1.0 - figure("/share/cloud"))), "{report:#}");
    let card = fs::read_to_string(pair.join("MODEL.md")).unwrap();
    assert!(card.contains("shapes") && card.contains("columns, disc, rows"), "{card}");

    let mut demo = Demo::start(&["--model", "mine", "--models", models.to_str().unwrap()]);
    let (lines, host) = demo.until_up();
    assert!(answers(&host), "{host}");
    let own = |line: &&String| ["columns", "disc", "rows"].iter().any(|class| line.contains(class));
    // Every sample is answered by the component and by the page.
    assert_eq!(lines.iter().filter(own).count(), 14, "{lines:#?}");
}

#[test]
fn a_folder_becomes_a_pair_in_one_command() {
    let folder = tempfile::tempdir().unwrap();
    let (pictures, models) = (folder.path().join("pictures"), folder.path().join("models"));
    fill(&pictures, 0..40);
    fs::write(pictures.join("disc/0.png"), b"no picture").unwrap();
    let name = format!("taught-{}", std::process::id());
    let mut teach = Command::new(env!("CARGO_BIN_EXE_xtask"));
    teach.arg("teach").arg(&pictures).args(["--name", &name, "--size", "32", "--minutes", "1"]);
    let out = teach.arg("--models").arg(&models).output().unwrap();
    let (said, why) = (String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    assert!(out.status.success(), "{said}{why}");
    for part in ["1 file that cannot be read", "disc/0.png: not a picture", "demo --model"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let pair = models.join(&name).join("1.0.0");
    let report = fs::read(pair.join("report.json")).unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    let right = report.pointer("/accuracy/system").and_then(serde_json::Value::as_f64).unwrap();
    assert!(right > 0.5, "guessing would be right a third of the time: {report:#}");
    assert!(fs::read_to_string(pair.join("MODEL.md")).unwrap().contains("system"));
    assert_eq!(manifest(&pair)["classes"], serde_json::json!(["columns", "disc", "rows"]));
    let target = Path::new(env!("CARGO_BIN_EXE_xtask")).ancestors().nth(2).unwrap();
    let checkpoints = target.join("teach").join(&name);
    assert!(checkpoints.join("1.0.0/plan.json").is_file());
    fs::remove_dir_all(checkpoints).unwrap();
}
