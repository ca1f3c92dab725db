//! `fogline info`: the pair in a folder, and the engine.

use fogline_edge::session::Session;
use serde_json::{Value, json};

use crate::component::fault::{Fault, say};
use crate::component::pair::PairOptions;

/// Show the pair, its exits and thresholds, its parts, and the engine.
#[derive(clap::Args)]
pub struct Options {
    #[command(flatten)]
    pair: PairOptions,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub json: bool,
}

/// Prints the pair. Always returns true.
pub fn run(options: &Options) -> Result<bool, Fault> {
    let session = options.pair.load()?;
    if options.json {
        say(&describe(&session).to_string())?;
    } else {
        print(&session)?;
    }
    Ok(true)
}

fn describe(session: &Session) -> Value {
    let manifest = session.manifest();
    let exits = manifest.exits.iter().enumerate().map(|(index, exit)| {
        json!({
            "name": exit.name, "afterBlock": exit.after_block,
            "temperature": exit.temperature, "threshold": session.thresholds().get(index),
            "extends": exit.extends, "ways": exit.ways,
        })
    });
    json!({
        "name": manifest.name,
        "version": manifest.version,
        "pair": hex::encode(manifest.pair_digest()),
        "classes": manifest.classes,
        "inputSize": manifest.input.size,
        "policy": manifest.policy.name(),
        "decidesBy": session.policy().name(),
        "exits": exits.collect::<Vec<_>>(),
        "split": manifest.split,
        "bytesASample": manifest.payload_bytes(),
        "coded": session.coder().is_some(),
        "parts": manifest.parts,
        "measured": manifest.measured,
        "engine": {
            "version": env!("CARGO_PKG_VERSION"),
            "backend": session.backend().to_string(),
            "frame": version(session),
        },
    })
}

fn print(session: &Session) -> Result<(), Fault> {
    let manifest = session.manifest();
    let line = |name: &str, what: String| say(&format!("{name:<10} {what}"));
    line("pair", format!("{} {}", manifest.name, manifest.version))?;
    line("digest", hex::encode(manifest.pair_digest()))?;
    line("classes", format!("{}: {}", manifest.classes.len(), manifest.classes.join(", ")))?;
    line("input", format!("RGB, {0}x{0}, scaled from any picture", manifest.input.size))?;
    line("policy", session.policy().to_string())?;
    for (index, exit) in manifest.exits.iter().enumerate() {
        let (block, heat) = (exit.after_block, exit.temperature);
        let decides = match session.thresholds().get(index) {
            Some(threshold) => format!("threshold {threshold}"),
            None => format!("answers for {}", exit.extends.join(", ")),
        };
        let ways =
            exit.ways.iter().map(|to| format!(", way {} from confidence {}", to.way, to.from));
        let ways: String = ways.collect();
        line(&exit.name, format!("{decides}, after block {block}, temperature {heat}{ways}"))?;
    }
    let [channels, height, width] = manifest.split.shape;
    let (bits, bytes) = (manifest.split.bits, manifest.payload_bytes());
    let coded = if session.coder().is_some() { ", which its coder sends in fewer" } else { "" };
    line(
        "split",
        format!("{channels}x{height}x{width} at {bits} bits, {bytes} bytes per sample{coded}"),
    )?;
    for part in &manifest.parts {
        let macs = part
            .macs
            .iter()
            .map(|(bits, &macs)| format!("{:.2} M at {bits} bits", macs as f64 / 1e6));
        let way = part.way.map_or(String::new(), |way| format!(", way {way}"));
        line(&part.name, format!("MACs: {}{way}", macs.collect::<Vec<_>>().join(", ")))?;
    }
    if let Some(measured) = &manifest.measured {
        let exits = measured.exits.iter().map(|share| format!("{:.2}%", share * 100.0));
        let (exits, end) = (exits.collect::<Vec<_>>().join(", "), measured.final_head * 100.0);
        line("measured", format!("exits {exits}, cloud {end:.2}%, on {}", measured.data))?;
    }
    let (engine, frame) = (env!("CARGO_PKG_VERSION"), version(session));
    line("engine", format!("{engine}, {}, frame version {frame}", session.backend()))
}

/// The version of the frames that carry the pair's maps.
fn version(session: &Session) -> u8 {
    if session.coder().is_some() { fogline::frame::CODED } else { fogline::frame::VERSION }
}
