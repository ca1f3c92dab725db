//! `fogline pull`: a newer pair from a web server.

use std::path::PathBuf;
use std::time::Duration;

use fogline::manifest::Manifest;
use fogline_edge::device::folder::{Change, Folder, MOST_MANIFEST};
use fogline_edge::kernel::Backend;
use serde::Serialize;

use crate::component::cloud::seconds;
use crate::component::fault::{Fault, json, say};
use crate::component::fetch::{self, Place};

/// Fetch a newer pair, check it, and put it in the place of the one in a folder.
///
/// The pair must have the size and SHA-256 that its manifest states, and run here: anything else is refused, and the folder
/// stays as it was. The pair that it replaces is kept, and `fogline rollback` puts it back. Runs that are under way end
/// with the pair that they began with. Where this very pair is there already, nothing changes. The exit status is 0
/// when the folder holds the pair, else 1. One pull at a time may change a folder; one that is killed leaves a pair that
/// loads.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  wasmtime run -S http --dir . fogline.wasm pull https://example.org/models/mine/1.1.0 --model model\n  \
        wasmtime run -S http --dir . fogline.wasm pull http://127.0.0.1:8080/models/mine/1.0.0/manifest.json \\\n      \
        --model model --older --json"
)]
pub struct Options {
    /// The pair's manifest.json on any web server, or the folder that it is in; edge.fog lies beside it.
    url: String,
    /// Folder of the pair, made where there is none: what the other commands call --model.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Take a version that is older than the one in the folder, too.
    #[arg(long)]
    older: bool,
    /// How long fetching may take in all.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    time_limit: Duration,
    /// One JSON object, for machines.
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

/// Pulls it; always true.
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

/// Says what a folder holds now, and held before.
pub fn print(outcome: Done, change: &Change, in_json: bool) -> Result<(), Fault> {
    let (now, replaced) = (Named::of(&change.now), change.before.as_ref().map(Named::of));
    if in_json {
        return say(&json(&ChangeLine { outcome, now, replaced }));
    }
    let is = format!("{} {}", now.name, now.version);
    let was = replaced.map_or(String::new(), |was| format!(" in place of {}", was.version));
    match outcome {
        Done::Installed => say(&format!("{is} installed")),
        Done::Updated => say(&format!("{is}{was}; `fogline rollback` goes back")),
        Done::Unchanged => say(&format!("{is} is there already")),
        Done::RolledBack => say(&format!("{is} is back{was}")),
    }
}
