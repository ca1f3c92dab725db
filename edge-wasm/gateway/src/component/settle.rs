//! `fogline settle`: answers on what an earlier run left in its spool.

use std::path::PathBuf;

use fogline_edge::device::spool::Spool;

use crate::component::cloud::Cloud;
use crate::component::fault::Fault;
use crate::component::pair;
use crate::component::spool::{Form, Kept};

/// Ask the cloud about the feature maps that `classify --spool` left.
///
/// Frames of another pair stay for their own model; damaged ones are put aside. The exit status is 0 when no frame of this
/// pair is left and none was damaged or taken out by somebody else, else 1. One run at a time may use a spool.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  wasmtime run -S http --dir . fogline.wasm settle --spool spool --model onnx-models/cifar10-w1/3.0.0 \\\n      \
        --cloud URL"
)]
pub struct Options {
    /// The folder.
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// Folder of the pair: manifest.json and edge.fog.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[command(flatten)]
    cloud: Cloud,
    /// One JSON object a line, for machines, instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The width of a picture's name.
const WIDTH: usize = 40;

/// Whether all of this pair's is settled.
pub async fn run(options: &Options) -> Result<bool, Fault> {
    let session = pair::load(&options.model)?;
    let cloud = options.cloud.client()?;
    let cloud =
        cloud.ok_or_else(|| Fault::new("no_cloud", "nobody can settle without --cloud URL"))?;
    let mut kept = Kept::of(Spool::open(&options.spool, u64::MAX)?);
    let form = if options.json { Form::Json } else { Form::Row(WIDTH) };
    let most = options.cloud.most(&session);
    while kept.settle(&session, &cloud, most, form).await? {}
    kept.sum(form)?;
    kept.tell_of_foreign();
    Ok(kept.is_settled())
}
