//! An instance at work: its pair and its cloud.

use std::time::{Duration, Instant};

use fogline::frame::MAX_BATCH;
use fogline_edge::session::{Answer, Session};
use multer::bytes::Bytes;

use super::counted::count;
use super::pictures::Picture;
use super::{Options, not_ready, options};
use crate::component::classifier::Classifier;
use crate::component::fault::{Fault, complain};

/// How long pictures are decoded before others may go on: wasmtime has a thread a processor, for all instances.
const TURN: Duration = Duration::from_millis(20);

/// What requests that an instance gets have in common.
pub struct Gateway {
    classifier: Classifier,
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
        Ok(Self { classifier: options.setup.load(MAX_BATCH)? })
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
        let (mut pixels, mut turn) = (vec![], began);
        for (name, picture) in pictures {
            if turn.elapsed() > TURN {
                wstd::task::sleep(wstd::time::Duration::from_millis(1)).await;
                turn = Instant::now();
            }
            let rgb = match picture {
                Picture::Pixels(rgb) => Ok(rgb),
                Picture::File(file) => decoder.decode(&file).map(Bytes::from),
            };
            pixels.push((name, rgb));
        }
        let (mut pixels, mut answered) = (pixels.into_iter(), vec![]);
        while let Some(answers) = self.classifier.next(&mut pixels).await {
            answered.extend(answers);
        }
        count(|counts| {
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
}
