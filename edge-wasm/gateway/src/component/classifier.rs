//! What classifies: a pair, the cloud behind it, and how much is sent there, as options of a command name them.

use fogline_edge::cloud::Client;
use fogline_edge::session::batch::Batch;
use fogline_edge::session::{Answer, Session};

use crate::component::cloud::{Cloud, Offload};
use crate::component::fault::Fault;
use crate::component::pair::{Decoder, PairOptions};
use crate::component::transport::WasiHttp;

/// Which pair, which cloud, how much.
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
    /// Loads and verifies the pair. Up to `most` hard pictures ask the cloud in one request.
    pub fn load(&self, most: usize) -> Result<Classifier, Fault> {
        let session = self.pair.load()?;
        let cloud = self.cloud.client()?;
        // Without a cloud nothing is sent, and every answer says so.
        let quota = cloud.as_ref().and_then(|_| self.offload.quota(&session));
        let batch = Batch::new(&session, most).within(quota);
        let decoder = self.pair.decoder(&session);
        Ok(Classifier { session, cloud, batch, decoder })
    }
}

/// A pair at work.
pub struct Classifier {
    pub session: Session,
    pub cloud: Option<Client<WasiHttp>>,
    batch: Batch,
    pub decoder: Decoder,
}

impl Classifier {
    /// The next answers, in the order of the pictures; `None` behind the last.
    pub async fn next<K, P: AsRef<[u8]>>(
        &mut self,
        pictures: &mut impl Iterator<Item = (K, Result<P, Fault>)>,
    ) -> Option<Vec<(K, Result<Answer, Fault>)>> {
        self.batch.next(&mut self.session, self.cloud.as_ref(), pictures).await
    }
}
