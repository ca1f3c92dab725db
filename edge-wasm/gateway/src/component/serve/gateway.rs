//! An instance at work: its pair, its cloud, and what it has counted.

use std::time::Instant;

use fogline::frame::MAX_BATCH;
use fogline_edge::session::{Answer, Session};
use multer::bytes::Bytes;

use super::counted::Counted;
use super::pictures::Picture;
use super::{Options, not_ready, options};
use crate::component::classifier::Classifier;
use crate::component::fault::{Fault, complain};

/// What requests that an instance gets have in common.
pub struct Gateway {
    classifier: Classifier,
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
        // A request's hard pictures ask together, whatever `batch` says: they have one deadline.
        let classifier = options.setup.load(MAX_BATCH)?;
        let counted = Counted::in_folder(options.metrics.as_deref())?;
        Ok(Self { classifier, counted })
    }

    /// The pair.
    pub fn session(&self) -> &Session {
        &self.classifier.session
    }

    /// What becomes of questions to the cloud now.
    pub fn cloud(&self) -> &'static str {
        match &self.classifier.cloud {
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
        let decoder = self.classifier.decoder;
        let mut pixels = pictures.into_iter().map(|(name, picture)| match picture {
            Picture::Pixels(rgb) => (name, Ok(rgb)),
            Picture::File(file) => (name, decoder.decode(&file).map(Bytes::from)),
        });
        let mut answered = vec![];
        while let Some(answers) = self.classifier.next(&mut pixels).await {
            answered.extend(answers);
        }
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

    /// Writes down what has been counted.
    pub fn write_counts(&mut self) {
        self.counted.write();
    }

    /// Counts a request that came to no pictures.
    pub fn refuse(&mut self, fault: &Fault) {
        self.counted.add(|counts| counts.refuse(&fault.error));
    }
}
