//! `fogline settle`: answers for the samples in a spool.

use std::path::PathBuf;

use fogline_edge::device::spool::Spool;

use crate::component::cloud::Cloud;
use crate::component::fault::Fault;
use crate::component::pair;
use crate::component::spool::{Form, Kept};

/// Ask the cloud about the feature maps that `classify --spool` left.
///
/// Maps of another pair are left alone; damaged ones are renamed. The exit status is 0 if no map of this pair is left, and none
/// was damaged or removed by another process; else 1. Only one run at a time may use a spool.
#[derive(clap::Args)]
#[command(
    after_help = "Example:\n  wasmtime run -S http --dir . fogline.wasm settle --spool spool --model onnx-models/cifar10-w1/3.2.0 \\\n      \
        --cloud URL"
)]
pub struct Options {
    /// The folder given to `classify --spool`.
    #[arg(long, value_name = "DIR")]
    spool: PathBuf,
    /// Folder of the pair, with manifest.json and edge.fog.
    #[arg(long, value_name = "DIR")]
    model: PathBuf,
    #[command(flatten)]
    cloud: Cloud,
    /// Print one JSON object per line instead of a table.
    #[arg(long)]
    pub json: bool,
}

/// The width of the column for pictures' names.
const WIDTH: usize = 40;

/// Settles and prints. Returns whether every frame of this pair was answered.
pub async fn run(options: &Options) -> Result<bool, Fault> {
    let session = pair::load(&options.model)?;
    let cloud = options.cloud.client()?;
    let cloud = cloud.ok_or_else(|| Fault::new("no_cloud", "settle needs --cloud URL"))?;
    let mut kept = Kept::of(Spool::open(&options.spool, u64::MAX)?);
    let form = if options.json { Form::Json } else { Form::Row(WIDTH) };
    let most = options.cloud.most(&session);
    while kept.settle(&session, &cloud, most, form).await? {}
    kept.sum(form)?;
    kept.tell_of_foreign();
    Ok(kept.is_settled())
}
