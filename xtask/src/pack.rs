//! `cargo xtask pack`: converts QONNX to edge.fog and updates the manifest.

mod golden;

use std::io::Write as _;
use std::path::PathBuf;
use std::{fs, io};

use anyhow::{Context, Result, bail};
use fogline::manifest::{CLOUD_ONNX, EDGE_FOG, EDGE_QONNX, File, Manifest, Role, sha256_hex};
use fogline_edge::engine::Engine;
use fogline_edge::kernel::Backend;
use fogline_edge::session::Session;

/// Options of `cargo xtask pack`.
#[derive(clap::Args)]
pub struct Options {
    /// The edge model, edge.qonnx. Reads manifest.json in the same folder and writes edge.fog there.
    edge: PathBuf,
    /// Store each sign only once when N weights share it by hashing (the recipe's train --share N); makes the download
    /// smaller [default: the manifest's value, or 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    share: Option<u8>,
    /// Also run the packed edge on the pictures of this file, with every backend, and fail if its outputs are not those of
    /// the graph: golden.json, as the recipe writes it.
    #[arg(long, value_name = "FILE")]
    golden: Option<PathBuf>,
}

/// Packs the edge, checks the result against the manifest, and writes both files.
pub fn run(options: &Options) -> Result<()> {
    let folder = options.edge.parent().unwrap_or(".".as_ref());
    if options.edge.file_name() != Some(EDGE_QONNX.as_ref()) {
        bail!("{}: the edge model must be named {EDGE_QONNX}", options.edge.display());
    }
    let qonnx = fs::read(&options.edge).with_context(|| options.edge.display().to_string())?;
    let path = folder.join("manifest.json");
    let text = fs::read(&path).with_context(|| {
        format!("cannot read {}; the recipe's export command writes it", path.display())
    })?;
    let mut manifest = Manifest::parse(&text).with_context(|| path.display().to_string())?;
    let share = options.share.or(manifest.share).unwrap_or(1);
    manifest.share = (share > 1).then_some(share);
    let packed = match fogline_pack::pack(&qonnx, &manifest.input, share) {
        Ok(packed) => packed,
        Err(error) => bail!("error[{}]: {}: {error}", error.word(), options.edge.display()),
    };
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
    manifest.parts = packed.parts.into_iter().chain(cloud).collect();
    let cloud = folder.join(CLOUD_ONNX);
    let onnx = fs::read(&cloud).with_context(|| format!("cannot read {}", cloud.display()))?;
    if let Err(error) = fogline_pack::check_whole(&onnx) {
        bail!("error[{}]: {}: {error}", error.word(), cloud.display());
    }
    for (name, bytes) in [(EDGE_QONNX, &qonnx), (EDGE_FOG, &packed.bytes), (CLOUD_ONNX, &onnx)] {
        let file = File { sha256: sha256_hex(bytes), bytes: bytes.len() as u64 };
        manifest.files.insert(name.to_owned(), file);
    }
    let json = serde_json::to_string_pretty(&manifest)? + "\n";
    // Do not write what a device would refuse to load.
    Session::load(json.as_bytes(), &packed.bytes, Backend::fastest())
        .with_context(|| format!("{} does not match {}", options.edge.display(), path.display()))?;
    // Write both temporary files before renaming either: an interrupted run leaves the old pair intact.
    let files = [(EDGE_FOG, &packed.bytes[..]), ("manifest.json", json.as_bytes())];
    let partial = |name: &str| folder.join(format!("{name}.partial"));
    for (name, bytes) in files {
        fs::write(partial(name), bytes)?;
    }
    for (name, _) in files {
        fs::rename(partial(name), folder.join(name))?;
    }
    let difference =
        options.golden.as_ref().map(|path| golden::Difference::of(&packed.model, path));
    let difference = difference.transpose()?;
    let packed = format!(
        "{}: {} operations, {} bytes (from {})",
        folder.join(EDGE_FOG).display(),
        packed.model.program.ops.len(),
        packed.bytes.len(),
        qonnx.len()
    );
    let parts = manifest.parts.iter().map(|part| {
        let macs: Vec<String> =
            part.macs.iter().map(|(bits, n)| format!("{n} at {bits} bits")).collect();
        let macs = if macs.is_empty() { "none".into() } else { macs.join(", ") };
        let way = part.way.map_or(String::new(), |way| format!(" (way {way})"));
        format!("  {:<10} MACs: {macs}{way}", part.name)
    });
    let mut lines: Vec<String> = [packed].into_iter().chain(parts).collect();
    lines.extend(difference.as_ref().map(|difference| format!("  {difference}")));
    // A closed pipe, as with `| head`, is not a packing error.
    writeln!(io::stdout(), "{}", lines.join("\n")).context("printing what was packed")?;
    difference.map_or(Ok(()), |difference| difference.check())
}
