//! `fogline rollback`: restores the pair that a pull replaced.

use std::path::PathBuf;

use fogline_edge::device::folder::Folder;
use fogline_edge::kernel::Backend;

use crate::component::fault::Fault;
use crate::component::pull::{Done, print};

/// Restore the pair that the latest pull replaced.
///
/// The pair must still load; otherwise it is refused, and the folder stays as it was. Only one pair is kept: a second rollback
/// is an error (`no_previous`), so that repeating the command does not undo it. A pull of the same URL installs the newer pair
/// again, so stop scheduled pulls first. The exit status is 0 if the pair was restored, else 1.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  wasmtime run -S http --dir . fogline.wasm rollback --model model"
)]
pub struct Options {
    /// Folder of the pair, with manifest.json.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    /// Print one JSON object instead of a sentence.
    #[arg(long)]
    pub json: bool,
}

/// Restores the pair. Always returns true: failures are errors.
pub fn run(options: &Options) -> Result<bool, Fault> {
    let change = Folder::at(&options.model).roll_back(Backend::fastest())?;
    print(Done::RolledBack, &change, options.json)?;
    Ok(true)
}
