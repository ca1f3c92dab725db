//! An instance at work: its pair, its cloud, and what it has counted.

use std::time::Instant;

use fogline::frame::MAX_BATCH;
use fogline_edge::cloud::Client;
use fogline_edge::session::batch::Batch;
use fogline_edge::session::{Answer, Session};

use super::counted::Counted;
use super::pictures::Picture;
use super::{Options, not_ready, options};
use crate::component::fault::{Fault, complain};
use crate::component::pair;
use crate::component::transport::{WasiHttp, request_id};

/// What requests that an instance gets have in common.
pub struct Gateway {
    options: &'static Options,
    session: Session,
    cloud: Option<Client<WasiHttp>>,
    batch: Batch<String, Fault>,
    counted: Counted,
}

impl Gateway {
    /// As environment and file say.
    pub fn load() -> Result<Self, Fault> {
        options().and_then(Self::of).map_err(|fault| {
            complain(&fault);
            not_ready(&fault)
        })
    }

    fn of(options: &'static Options) -> Result<Self, Fault> {
        let session = options.pair.load()?;
        let cloud = options.cloud.client()?;
        // Without a cloud nothing is sent, and every answer says so.
        let quota = cloud.as_ref().and_then(|_| options.offload.quota(&session));
        // A request's hard pictures ask together, whatever `batch` says: they have one deadline.
        let batch = Batch::new(&session, MAX_BATCH).within(quota);
        let counted = Counted::in_folder(options.metrics.as_deref())?;
        Ok(Self { options, session, cloud, batch, counted })
    }

    /// The pair.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// What becomes of questions to the cloud now.
    pub fn cloud(&self) -> &'static str {
        match &self.cloud {
            None => "not_configured",
            Some(cloud) if cloud.is_left_alone() => "left_alone",
            Some(_) => "asked",
        }
    }

    /// What becomes of every picture, in their order.
    pub async fn classify(
        &mut self,
        pictures: Vec<(String, Picture)>,
    ) -> Vec<(String, Result<Answer, Fault>)> {
        let began = Instant::now();
        let mut answered = vec![];
        for (name, picture) in pictures {
            let rgb = match picture {
                Picture::Pixels(rgb) => Ok(rgb.into()),
                Picture::File(file) => self.options.pair.decode(&self.session, &file),
            };
            let passed = rgb.map(|rgb: Vec<u8>| pair::pass(&mut self.session, &rgb));
            self.batch.push(name, passed);
            if self.batch.is_due() {
                answered.extend(self.answer().await);
            }
        }
        answered.extend(self.answer().await);
        self.counted.add(|counts| {
            counts.request.observe(began.elapsed().as_secs_f64());
            for (_, outcome) in &answered {
                match outcome {
                    Ok(answer) => counts.answer(answer),
                    Err(fault) => counts.refuse(&fault.error),
                }
            }
        });
        answered
    }

    async fn answer(&mut self) -> Vec<(String, Result<Answer, Fault>)> {
        self.batch.answer(&self.session, self.cloud.as_ref(), request_id()).await
    }

    /// Writes down what has been counted.
    pub fn write_counts(&mut self) {
        self.counted.write();
    }

    /// Counts a request that came to no pictures.
    pub fn refuse(&mut self, fault: &Fault) {
        self.counted.add(|counts| counts.refuse(&fault.error));
    }
}
