//! The classifier that a command's options describe: a pair, its cloud, and the allowed offload rate.

use fogline_edge::cloud::Client;
use fogline_edge::session::batch::Batch;
use fogline_edge::session::offload;
use fogline_edge::session::{Answer, Session};

use crate::component::cloud::{Cloud, Offload};
use crate::component::drift::{DriftOptions, Monitor};
use crate::component::fault::{Fault, complain};
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
    #[command(flatten)]
    drift: DriftOptions,
}

impl Setup {
    /// Loads and verifies the pair. Up to `most` hard pictures share a request to the cloud.
    pub fn load(&self, most: usize) -> Result<Classifier, Fault> {
        let Opened { session, cloud, offload, decoder, monitor } = self.open()?;
        let batch = Batch::new(&session, most).offloading(offload);
        Ok(Classifier { session, cloud, batch, decoder, monitor })
    }

    /// Loads and verifies the pair.
    pub fn open(&self) -> Result<Opened, Fault> {
        let session = self.pair.load()?;
        let cloud = self.cloud.client()?;
        // Without a cloud nothing is sent, so there is nothing to limit.
        let offload = self.offload.of(&session)?;
        let offload = cloud.as_ref().map(|_| offload).unwrap_or_default();
        if cloud.is_none() && self.offload.audits() {
            let why = "--audit-rate has no effect without --cloud";
            complain(&Fault::new("audit_without_cloud", why));
        }
        let decoder = self.pair.decoder(&session);
        let monitor = self.drift.monitor(&self.pair, session.manifest())?;
        Ok(Opened { session, cloud, offload, decoder, monitor })
    }
}

/// The parts of a classifier.
pub struct Opened {
    pub session: Session,
    pub cloud: Option<Client<WasiHttp>>,
    pub offload: offload::Offload,
    pub decoder: Decoder,
    pub monitor: Option<Monitor>,
}

/// A loaded pair with its cloud.
pub struct Classifier {
    pub session: Session,
    pub cloud: Option<Client<WasiHttp>>,
    batch: Batch,
    pub decoder: Decoder,
    pub monitor: Option<Monitor>,
}

impl Classifier {
    /// The next answers, in the order of the pictures; `None` after the last.
    pub async fn next<K, P: AsRef<[u8]>>(
        &mut self,
        pictures: &mut impl Iterator<Item = (K, Result<P, Fault>)>,
    ) -> Option<Vec<(K, Result<Answer, Fault>)>> {
        let answered = self.batch.next(&mut self.session, self.cloud.as_ref(), pictures).await;
        if let Some(monitor) = &mut self.monitor {
            for answer in answered.iter().flatten().filter_map(|(_, outcome)| outcome.as_ref().ok())
            {
                monitor.observe_and_tell(answer);
            }
        }
        answered
    }
}
