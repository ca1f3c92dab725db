//! `fogline pull`: installs a newer pair from a web server.

use std::path::PathBuf;
use std::time::Duration;

use fogline::manifest::Manifest;
use fogline_edge::device::folder::{Change, Folder, MOST_MANIFEST};
use fogline_edge::kernel::Backend;
use serde::Serialize;

use crate::component::cloud::seconds;
use crate::component::fault::{Fault, json, say};
use crate::component::fetch::{self, Place};

/// Fetch a newer pair, check it, and replace the pair in a folder with it.
///
/// edge.fog must have the size and SHA-256 in the manifest, and the pair must run on this engine. Otherwise it is refused, and
/// the folder stays as it was. The replaced pair is kept; `fogline rollback` restores it. Runs in progress finish with the pair
/// that they started with. If this very pair is already in the folder, nothing changes. The exit status is 0 if the folder has
/// the pair, else 1. Only one pull at a time may change a folder. If a pull is killed, the folder still has a pair that loads.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  wasmtime run -S http --dir . fogline.wasm pull https://example.org/models/mine/1.1.0 --model model\n  \
        wasmtime run -S http --dir . fogline.wasm pull http://127.0.0.1:8080/models/mine/1.0.0/manifest.json \\\n      \
        --model model --older --json"
)]
pub struct Options {
    /// URL of the pair's manifest.json, or of its folder, on any web server; edge.fog must be in the same folder.
    url: String,
    /// Folder of the pair, the other commands' --model. It is created if it does not exist.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Also accept a version that is older than the one in the folder.
    #[arg(long)]
    older: bool,
    /// Time limit for all downloads together.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    time_limit: Duration,
    /// Print one JSON object instead of a sentence.
    #[arg(long)]
    pub json: bool,
}

/// What a command did to a folder.
#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Done {
    Installed,
    Updated,
    Unchanged,
    RolledBack,
}

#[derive(Serialize)]
struct ChangeLine<'a> {
    outcome: Done,
    #[serde(flatten)]
    now: Named<'a>,
    replaced: Option<Named<'a>>,
}

#[derive(Serialize)]
struct Named<'a> {
    name: &'a str,
    version: &'a str,
    pair: String,
}

impl<'a> Named<'a> {
    fn of(manifest: &'a Manifest) -> Self {
        let pair = hex::encode(manifest.pair_digest());
        Self { name: &manifest.name, version: &manifest.version, pair }
    }
}

/// Installs the pair. Always returns true: failures are errors.
pub async fn run(options: &Options) -> Result<bool, Fault> {
    let place = Place::of(&options.url)?;
    let (folder, backend) = (Folder::at(&options.model), Backend::fastest());
    let fetched = fetch::within(options.time_limit, async {
        let manifest = fetch::get(&place.manifest, MOST_MANIFEST).await?;
        let fog = match folder.wants(&manifest, options.older, backend)? {
            Some(file) => Some(fetch::get(&place.fog, file.bytes).await?),
            None => None,
        };
        Ok((manifest, fog))
    });
    let (manifest, fog) = fetched.await?;
    let (outcome, change) = if let Some(fog) = fog {
        let change = folder.put(&manifest, &fog, backend)?;
        let is_update = change.before.is_some();
        (if is_update { Done::Updated } else { Done::Installed }, change)
    } else {
        let now = folder.load(backend)?.manifest().clone();
        (Done::Unchanged, Change { now, before: None })
    };
    print(outcome, &change, options.json)?;
    Ok(true)
}

/// Prints the pairs in a folder before and after a change.
pub fn print(outcome: Done, change: &Change, in_json: bool) -> Result<(), Fault> {
    let (now, replaced) = (Named::of(&change.now), change.before.as_ref().map(Named::of));
    if in_json {
        return say(&json(&ChangeLine { outcome, now, replaced }));
    }
    let is = format!("{} {}", now.name, now.version);
    let was = replaced.map_or(String::new(), |was| format!(", replacing {}", was.version));
    match outcome {
        Done::Installed => say(&format!("{is} installed")),
        Done::Updated => say(&format!("{is} installed{was}; `fogline rollback` undoes this")),
        Done::Unchanged => say(&format!("{is} is already installed")),
        Done::RolledBack => say(&format!("{is} restored{was}")),
    }
}
