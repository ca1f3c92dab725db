//! The classifier that a command's options describe: a pair, its cloud, and the allowed offload rate.

use fogline_edge::cloud::Client;
use fogline_edge::session::batch::Batch;
use fogline_edge::session::{Answer, Session};

use crate::component::cloud::{Cloud, Offload};
use crate::component::fault::Fault;
use crate::component::pair::{Decoder, PairOptions};
use crate::component::transport::WasiHttp;

/// Options for the pair, the cloud and the offload rate.
#[derive(clap::Args)]
pub struct Setup {
    #[command(flatten)]
    pair: PairOptions,
    #[command(flatten)]
    pub cloud: Cloud,
    #[command(flatten)]
    offload: Offload,
}

impl Setup {
    /// Loads and verifies the pair. Up to `most` hard pictures share a request to the cloud.
    pub fn load(&self, most: usize) -> Result<Classifier, Fault> {
        let session = self.pair.load()?;
        let cloud = self.cloud.client()?;
        // Without a cloud nothing is sent, so there is nothing to limit.
        let quota = cloud.as_ref().and_then(|_| self.offload.quota(&session));
        let batch = Batch::new(&session, most).within(quota);
        let decoder = self.pair.decoder(&session);
        Ok(Classifier { session, cloud, batch, decoder })
    }
}

/// A loaded pair with its cloud.
pub struct Classifier {
    pub session: Session,
    pub cloud: Option<Client<WasiHttp>>,
    batch: Batch,
    pub decoder: Decoder,
}

impl Classifier {
    /// The next answers, in the order of the pictures; `None` after the last.
    pub async fn next<K, P: AsRef<[u8]>>(
        &mut self,
        pictures: &mut impl Iterator<Item = (K, Result<P, Fault>)>,
    ) -> Option<Vec<(K, Result<Answer, Fault>)>> {
        self.batch.next(&mut self.session, self.cloud.as_ref(), pictures).await
    }
}
