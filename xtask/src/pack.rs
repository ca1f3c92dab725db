//! `cargo xtask pack`: converts QONNX to edge.fog, tries the cloud part, and updates or makes the manifest.

mod cloud;
mod golden;
mod new;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result, anyhow, bail, ensure};
use fogline::coding::Coder;
use fogline::manifest::{
    CLOUD_ONNX, EDGE_FOG, EDGE_QONNX, File, Manifest, Role, SPLIT_CODER, sha256_hex,
};
use fogline::refusal::Refusal;
use fogline_edge::engine::Engine;
use fogline_edge::kernel::Backend;
use fogline_edge::session::Session;
use fogline_pack::{Explained, PackError, Packed};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::cloud::Outcome;

/// The manifest's file name.
const MANIFEST: &str = "manifest.json";

/// The manifest's file: the manifest, and what only devices read of it.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    manifest: &'a Manifest,
    #[serde(flatten)]
    beside: &'a Beside,
}

/// What the recipe writes beside the manifest's own fields. It is the same however the edge is packed.
#[derive(Default, Serialize, Deserialize)]
struct Beside {
    /// What `recipe normal` measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    normal: Option<Value>,
}

/// Options of `cargo xtask pack`.
#[derive(clap::Args)]
pub struct Options {
    /// The edge model, edge.qonnx. Reads manifest.json in the same folder and writes edge.fog there.
    edge: PathBuf,
    /// Make manifest.json from the graph: sizes, exits, split and MACs. The folder must end in NAME/VERSION.
    #[arg(long)]
    new: bool,
    #[command(flatten)]
    facts: new::Facts,
    /// Only print what each node of the graph becomes, refused ones too. Writes nothing, and needs no manifest.
    #[arg(long, conflicts_with = "new")]
    explain: bool,
    /// Do not run cloud.onnx as the function would, for which tract is compiled the first time. `publish` runs it in any
    /// case.
    #[arg(long, conflicts_with = "new")]
    edge_only: bool,
    /// Store each sign only once when N weights share it by hashing (the recipe's train --share N); makes the download
    /// smaller [default: the manifest's value, or 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    share: Option<u8>,
    /// Also run the packed edge on the pictures of this file, with every backend, and fail if its outputs are not those of
    /// the graph: golden.json, as the recipe writes it.
    #[arg(long, value_name = "FILE")]
    golden: Option<PathBuf>,
}

impl Options {
    /// To pack the exported pair in `folder`.
    pub fn new(folder: &Path) -> Self {
        let edge = folder.join(EDGE_QONNX);
        let facts = new::Facts::default();
        Self {
            edge,
            new: false,
            facts,
            explain: false,
            edge_only: false,
            share: None,
            golden: None,
        }
    }
}

/// Packs the edge, checks both halves against the manifest, and writes edge.fog and manifest.json.
pub fn run(options: &Options) -> Result<()> {
    // The parent of a bare file name is the empty path.
    let folder = options.edge.parent().filter(|folder| *folder != "").unwrap_or(".".as_ref());
    if options.edge.file_name() != Some(EDGE_QONNX.as_ref()) {
        bail!("{}: the edge model must be named {EDGE_QONNX}", options.edge.display());
    }
    let qonnx = fs::read(&options.edge).with_context(|| options.edge.display().to_string())?;
    let path = folder.join(MANIFEST);
    let known = known(&path, options.new || (options.explain && !path.exists()))?;
    let share = options.share.or(known.as_ref().and_then(|known| known.share)).unwrap_or(1);
    let refused =
        |error: PackError| anyhow!("error[{}]: {}: {error}", error.word(), options.edge.display());
    let input = match &known {
        Some(known) => known.input.clone(),
        None => new::input(&qonnx, &options.facts).map_err(refused)?,
    };
    if options.explain {
        print_explained(&fogline_pack::explain(&qonnx, &input, share).map_err(refused)?)?;
        // What was refused is an error here as well.
        return fogline_pack::pack(&qonnx, &input, share, None).map(drop).map_err(refused);
    }
    let coder = coder(&folder.join(SPLIT_CODER))?;
    let packed = fogline_pack::pack(&qonnx, &input, share, coder.as_deref()).map_err(refused)?;
    let beside = known.as_ref().map_or(Ok(Beside::default()), |_| beside(&path))?;
    let mut manifest = match known {
        Some(known) => known,
        None => new::manifest(folder, &packed, input, &options.facts)?,
    };
    manifest.share = (share > 1).then_some(share);
    let exits = packed.model.program.exits.len();
    if exits != manifest.exits.len() {
        bail!(
            "{} has {exits} exits, but {} lists {}",
            options.edge.display(),
            path.display(),
            manifest.exits.len()
        );
    }
    let engine = Engine::new(packed.model.clone(), Backend::fastest());
    let split = packed.model.split();
    manifest.split.shape = [split.c, split.h, split.w].map(|n| n as u32);
    manifest.split.bits = engine.split_bits();
    manifest.split.signed = engine.split_is_signed();
    // The oldest format that can say so.
    manifest.format = if manifest.split.signed { 1 } else { 2 };
    manifest.split.scale = packed.split_scale;
    let cloud = manifest.parts.into_iter().filter(|part| part.role == Role::Cloud);
    manifest.parts = packed.parts.iter().cloned().chain(cloud).collect();
    let cloud = folder.join(CLOUD_ONNX);
    let onnx = fs::read(&cloud).with_context(|| format!("cannot read {}", cloud.display()))?;
    if let Err(error) = fogline_pack::check_whole(&onnx) {
        bail!("error[{}]: {}: {error}", error.word(), cloud.display());
    }
    let all = [(EDGE_QONNX, &qonnx), (EDGE_FOG, &packed.bytes), (CLOUD_ONNX, &onnx)];
    manifest.files.remove(SPLIT_CODER);
    for (name, bytes) in all.into_iter().chain(coder.iter().map(|bytes| (SPLIT_CODER, bytes))) {
        let file = File { sha256: sha256_hex(bytes), bytes: bytes.len() as u64 };
        manifest.files.insert(name.to_owned(), file);
    }
    write(folder, &mut manifest, &beside, &packed, options.edge_only)?;
    print(&manifest, &packed, folder, qonnx.len())?;
    if let Some(path) = &options.golden {
        let difference = golden::Difference::of(&packed.model, path)?;
        writeln!(io::stdout(), "  {difference}").context("printing what was compared")?;
        difference.check()?;
    }
    Ok(())
}

/// The coder beside the edge model, if there is one.
fn coder(path: &Path) -> Result<Option<Vec<u8>>> {
    let at = || path.display().to_string();
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        bytes => bytes.with_context(at)?,
    };
    let refit = "remove it, or fit it again: python -m fogline_recipe coder";
    Coder::read(&bytes).map_err(|error| anyhow!("{}: {error}; {refit}", path.display()))?;
    Ok(Some(bytes))
}

/// Prints each node and what it becomes.
fn print_explained(nodes: &[Explained]) -> Result<()> {
    let width = |text: fn(&Explained) -> &String| {
        nodes.iter().map(|node| text(node).chars().count()).max().unwrap_or(0)
    };
    let (names, operators) = (width(|node| &node.node), width(|node| &node.operator));
    let lines = nodes.iter().map(|Explained { node, operator, becomes }| {
        format!("{node:names$}  {operator:operators$}  {becomes}\n")
    });
    write!(io::stdout(), "{}", lines.collect::<String>()).context("printing the graph")
}

/// The manifest that is there, or `None` for a new one.
fn known(path: &Path, new: bool) -> Result<Option<Manifest>> {
    if new {
        let there = path.exists();
        ensure!(!there, "{} exists: pack without --new, or remove it first", path.display());
        return Ok(None);
    }
    let text = fs::read(path).with_context(|| {
        format!("cannot read {}; --new makes it from the graph", path.display())
    })?;
    Ok(Some(Manifest::parse(&text).with_context(|| path.display().to_string())?))
}

/// What the manifest's file says besides.
fn beside(path: &Path) -> Result<Beside> {
    serde_json::from_slice(&fs::read(path)?).with_context(|| path.display().to_string())
}

/// Writes edge.fog and manifest.json if a device can load them. Tries the cloud part, unless `edge_only`: warns if the
/// function could not serve it, and adds its MACs to a manifest that has none.
fn write(
    folder: &Path,
    manifest: &mut Manifest,
    beside: &Beside,
    packed: &Packed,
    edge_only: bool,
) -> Result<()> {
    let text = |manifest: &Manifest| {
        serde_json::to_string_pretty(&Written { manifest, beside }).map(|json| json + "\n")
    };
    Session::load(text(manifest)?.as_bytes(), &packed.bytes, Backend::fastest())
        .with_context(|| format!("{EDGE_QONNX} does not match {MANIFEST}"))?;
    // Write both temporary files before renaming either: an interrupted run leaves the old pair intact.
    let partial = |name: &str| folder.join(format!("{name}.partial"));
    let json = partial(MANIFEST);
    fs::write(&json, text(manifest)?)?;
    if !edge_only {
        let is_counted = manifest.parts.iter().any(|part| part.role == Role::Cloud);
        match cloud::outcome(&json)? {
            Outcome::Works(trial) => {
                if let Some(warning) = trial.warning() {
                    eprintln!("{warning}");
                }
                if !is_counted {
                    manifest.parts.push(trial.part());
                    fs::write(&json, text(manifest)?)?;
                }
            }
            Outcome::Refused(Refusal { message, .. }) if is_counted => {
                eprintln!("warning: {message}. `publish` refuses this pair until that is mended");
            }
            Outcome::Refused(Refusal { error, message, .. }) => {
                fs::remove_file(&json)?;
                bail!("error[{error}]: {message}, so its MACs cannot be counted");
            }
        }
    }
    fs::write(partial(EDGE_FOG), &packed.bytes)?;
    for name in [EDGE_FOG, MANIFEST] {
        fs::rename(partial(name), folder.join(name))?;
    }
    Ok(())
}

/// Prints the size of edge.fog, and the MACs of each part.
fn print(manifest: &Manifest, packed: &Packed, folder: &Path, from: usize) -> Result<()> {
    let size = format!(
        "{}: {} operations, {} bytes (from {from})",
        folder.join(EDGE_FOG).display(),
        packed.model.program.ops.len(),
        packed.bytes.len(),
    );
    let parts = manifest.parts.iter().map(|part| {
        let macs: Vec<String> =
            part.macs.iter().map(|(bits, n)| format!("{n} at {bits} bits")).collect();
        let macs = if macs.is_empty() { "none".into() } else { macs.join(", ") };
        let way = part.way.map_or(String::new(), |way| format!(" (way {way})"));
        format!("  {:<10} MACs: {macs}{way}", part.name)
    });
    let lines: Vec<String> = [size].into_iter().chain(parts).collect();
    // A closed pipe, as with `| head`, is not a packing error.
    writeln!(io::stdout(), "{}", lines.join("\n")).context("printing what was packed")
}
