//! The manifest of a pair that has none yet, made from its graph.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use fogline::manifest::{Exit, FORMAT, Input, Manifest, Split};
use fogline::policy::Policy;
use fogline_edge::model::Model;
use fogline_pack::Packed;

/// Thresholds until the exits are calibrated.
const THRESHOLDS: [(Policy, f32); 3] =
    [(Policy::Entropy, 0.3), (Policy::MaxProbability, 0.9), (Policy::Margin, 0.8)];

/// What no graph holds.
#[derive(clap::Args, Default)]
pub struct Facts {
    /// The class names for --new, one per line, in the order of the logits [default: class-0, class-1, …].
    #[arg(long, value_name = "FILE", requires = "new")]
    classes: Option<PathBuf>,
    /// For --new: the mean that pictures are normalised with, for values of 0 to 1 [default: 0,0,0].
    #[arg(long, value_name = "R,G,B", value_parser = triple, requires = "new", allow_hyphen_values = true)]
    mean: Option<[f32; 3]>,
    /// For --new: their standard deviation [default: 1,1,1].
    #[arg(long, value_name = "R,G,B", value_parser = triple, requires = "new", allow_hyphen_values = true)]
    std: Option<[f32; 3]>,
}

fn triple(text: &str) -> Result<[f32; 3], String> {
    let numbers: Result<Vec<f32>, _> =
        text.split(',').map(|number| number.trim().parse()).collect();
    let numbers = numbers.map_err(|error| error.to_string())?;
    let numbers: [f32; 3] =
        numbers.try_into().map_err(|_| String::from("give three numbers: R,G,B"))?;
    if numbers.iter().all(|number| number.is_finite()) {
        Ok(numbers)
    } else {
        Err("a number is not finite".into())
    }
}

/// The picture that the graph takes, normalised as the facts say.
pub fn input(qonnx: &[u8], facts: &Facts) -> Result<Input, fogline_pack::PackError> {
    let (mean, std) = (facts.mean.unwrap_or([0.0; 3]), facts.std.unwrap_or([1.0; 3]));
    Ok(Input { size: fogline_pack::picture_size(qonnx)?, mean, std })
}

/// Makes the manifest of the pair in `folder` (`…/NAME/VERSION`) and says what it assumed. Files and parts are still empty.
pub fn manifest(folder: &Path, packed: &Packed, input: Input, facts: &Facts) -> Result<Manifest> {
    let model = &packed.model;
    ensure!(
        model.program.stretches.is_empty(),
        "the edge has ways or an extension, and the graph does not say which samples take them: \
         write manifest.json as docs/bring-your-own-model.md shows"
    );
    let scores: Vec<usize> = model.program.exits.iter().map(|&exit| model.shapes[exit].c).collect();
    let many = *scores.first().context("the edge has no exits")?;
    ensure!(
        scores.iter().all(|&others| others == many),
        "the exits have different numbers of scores: {scores:?}"
    );
    let classes = match &facts.classes {
        Some(file) => names(file)?,
        None => (0..many).map(|number| format!("class-{number}")).collect(),
    };
    let distinct: BTreeSet<&String> = classes.iter().collect();
    ensure!(distinct.len() == classes.len(), "two class names are the same");
    if classes.len() != many {
        bail!("there are {} class names, but each exit has {many} scores", classes.len());
    }
    let [name, version] = place(folder)?;
    let exit = |(number, after_block)| Exit {
        name: format!("exit-{number}"),
        after_block,
        temperature: 1.0,
        thresholds: BTreeMap::from(THRESHOLDS),
        extends: vec![],
        ways: vec![],
    };
    let manifest = Manifest {
        format: FORMAT,
        name,
        version,
        classes,
        input,
        exits: (1..).zip(blocks(model)).map(exit).collect(),
        policy: Policy::Entropy,
        split: Split { shape: [1; 3], bits: 1, signed: true, scale: 1.0 },
        parts: vec![],
        share: None,
        samples: None,
        files: BTreeMap::new(),
        measured: None,
        curves: BTreeMap::new(),
    };
    assumed(&manifest, facts);
    Ok(manifest)
}

/// The last two names of the folder's path.
fn place(folder: &Path) -> Result<[String; 2]> {
    let folder = folder.canonicalize().with_context(|| folder.display().to_string())?;
    let mut names = folder.iter().rev().map(|name| name.to_string_lossy().into_owned());
    let (version, name) = (names.next(), names.next());
    Ok([name, version].map(Option::unwrap_or_default))
}

/// The class names in a file.
fn names(file: &Path) -> Result<Vec<String>> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(str::to_owned).collect())
}

/// The number of blocks before each exit: convolutions of the trunk with its narrowest weights, without the stem.
fn blocks(model: &Model) -> Vec<u32> {
    let program = &model.program;
    let (mut trunk, mut open) = (BTreeSet::new(), vec![program.split]);
    while let Some(op) = open.pop() {
        if trunk.insert(op) {
            open.extend(program.ops[op].inputs());
        }
    }
    let bits = |op: usize| {
        program.ops[op].filter().and_then(|_| program.ops[op].cost(&model.shapes)).map(|c| c.bits)
    };
    let convolutions: Vec<(usize, u8)> =
        trunk.into_iter().filter_map(|op| Some((op, bits(op)?))).skip(1).collect();
    let narrowest = convolutions.iter().map(|&(_, bits)| bits).min();
    let before = |exit: usize| {
        convolutions.iter().filter(|&&(op, bits)| op < exit && Some(bits) == narrowest).count()
    };
    program.exits.iter().map(|&exit| before(exit) as u32).collect()
}

/// Says which facts were assumed.
fn assumed(manifest: &Manifest, facts: &Facts) {
    eprintln!("manifest.json is new. Not in the graph, and therefore assumed:");
    let last = manifest.classes.len() - 1;
    let unnamed = format!("  class names class-0 to class-{last}: name them with --classes FILE");
    for (is_assumed, line) in [
        (facts.classes.is_none(), unnamed.as_str()),
        (facts.mean.is_none(), "  mean 0,0,0: set the one of your training with --mean R,G,B"),
        (facts.std.is_none(), "  standard deviation 1,1,1: set yours with --std R,G,B"),
        (
            true,
            "  thresholds and temperature: calibrate them, or exits are sure too often or too seldom",
        ),
    ] {
        if is_assumed {
            eprintln!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TINY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../edge-wasm/tests/tiny");

    /// The tiny pair's edge model, packed for its own size, and the new manifest for it with these classes.
    fn made(classes: &str) -> Result<(Manifest, Manifest)> {
        let root = tempfile::tempdir()?;
        let (folder, file) = (root.path().join("mine/1.2.0"), root.path().join("classes.txt"));
        fs::create_dir_all(&folder)?;
        fs::write(&file, classes)?;
        let own = Manifest::parse(&fs::read(Path::new(TINY).join("manifest.json"))?)?;
        let qonnx = fs::read(Path::new(TINY).join("edge.qonnx"))?;
        let facts = Facts { classes: Some(file), mean: Some([0.5; 3]), std: None };
        let input = input(&qonnx, &facts)?;
        let packed = fogline_pack::pack(&qonnx, &input, 1, None)?;
        Ok((own, manifest(&folder, &packed, input, &facts)?))
    }

    #[test]
    fn a_new_manifest_has_the_graphs_size_exits_and_blocks() {
        let (own, new) = made("a\nb\nc\n\n d \ne").unwrap();
        assert_eq!((new.name.as_str(), new.version.as_str()), ("mine", "1.2.0"));
        assert_eq!(new.classes, ["a", "b", "c", "d", "e"]);
        assert_eq!((new.input.size, new.input.mean, new.input.std), (16, [0.5; 3], [1.0; 3]));
        assert_eq!(new.input.size, own.input.size);
        let exits = |manifest: &Manifest| -> Vec<(String, u32)> {
            manifest.exits.iter().map(|exit| (exit.name.clone(), exit.after_block)).collect()
        };
        assert_eq!(exits(&new), exits(&own));
    }

    #[test]
    fn another_number_of_classes_is_refused() {
        let error = made("a\nb").unwrap_err().to_string();
        assert_eq!(error, "there are 2 class names, but each exit has 5 scores");
    }

    #[test]
    fn three_numbers_are_read() {
        assert_eq!(triple("0.5, 0.25,1"), Ok([0.5, 0.25, 1.0]));
        assert!(triple("0.5").unwrap_err().contains("three numbers"));
        assert!(triple("a,b,c").is_err());
    }
}
