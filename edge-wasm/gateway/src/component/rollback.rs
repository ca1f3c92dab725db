//! `fogline rollback`: the pair that a pull replaced.

use std::path::PathBuf;

use fogline_edge::device::folder::Folder;
use fogline_edge::kernel::Backend;

use crate::component::fault::Fault;
use crate::component::pull::{Done, print};

/// Put the pair back that the latest pull replaced.
///
/// It must still load; else it is refused, and the folder stays as it was. One pair is kept: a second rollback is an error
/// (`no_previous`), so that whoever repeats one does not end where they came from. A pull of the same URL brings the newer pair
/// again: stop what pulls by the clock first. The exit status is 0 when the pair is back, else 1.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  wasmtime run --dir . fogline.wasm rollback --model model")]
pub struct Options {
    /// Folder of the pair.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// One JSON object, for machines.
    #[arg(long)]
    pub json: bool,
}

/// Puts it back; always true.
pub fn run(options: &Options) -> Result<bool, Fault> {
    let change = Folder::at(&options.model).roll_back(Backend::fastest())?;
    print(Done::RolledBack, &change, options.json)?;
    Ok(true)
}
