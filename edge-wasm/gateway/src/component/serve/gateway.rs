//! An instance: a loaded pair and its cloud.

use std::time::{Duration, Instant};

use fogline::frame::MAX_BATCH;
use fogline::trace::Traceparent;
use fogline_edge::session::{Answer, Session};
use multer::bytes::Bytes;

use super::counted::count;
use super::pictures::Picture;
use super::{Options, not_ready, options};
use crate::component::classifier::Classifier;
use crate::component::cloud;
use crate::component::drift::Monitor;
use crate::component::fault::{Fault, complain};
use crate::component::hard::Hardness;

/// How long an instance decodes pictures before it lets others run: wasmtime has one thread per processor for all instances.
const TURN: Duration = Duration::from_millis(20);

/// The state that an instance keeps between requests.
pub struct Gateway {
    classifier: Classifier,
    hard: Option<Hardness>,
}

impl Gateway {
    /// Loads the pair that environment and file name.
    pub fn load() -> Result<Self, Fault> {
        options().and_then(Self::of).map_err(|fault| {
            complain(&fault);
            not_ready(&fault)
        })
    }

    fn of(options: &'static Options) -> Result<Self, Fault> {
        // All hard pictures of an HTTP request go to the cloud together, whatever `batch` is: they share one deadline.
        let classifier = options.setup.load(MAX_BATCH)?;
        let hard = options.keeping.open(classifier.cloud.is_some(), &[])?;
        Ok(Self { classifier, hard })
    }

    /// The loaded pair.
    pub fn session(&self) -> &Session {
        &self.classifier.session
    }

    /// The monitor of this instance's pictures.
    pub fn monitor(&self) -> Option<&Monitor> {
        self.classifier.monitor.as_ref()
    }

    /// The state of the cloud: what happens to hard pictures now.
    pub fn cloud(&self) -> &'static str {
        cloud::state(self.classifier.cloud.as_ref())
    }

    /// The results of a request's pictures, in their order. What is sent to the cloud belongs to the trace of the request, if it
    /// has one.
    pub async fn classify(
        &mut self,
        pictures: Vec<(String, Picture)>,
        trace: Option<Traceparent>,
    ) -> Vec<(String, Result<Answer, Fault>)> {
        let began = Instant::now();
        if let Some(cloud) = &self.classifier.cloud {
            cloud.transport().follow(trace);
        }
        let decoder = self.classifier.decoder;
        let (mut pixels, mut files, mut turn) = (vec![], vec![], began);
        for (name, picture) in pictures {
            if turn.elapsed() > TURN {
                wstd::task::sleep(wstd::time::Duration::from_millis(1)).await;
                turn = Instant::now();
            }
            let (rgb, file) = match picture {
                Picture::Pixels(rgb) => (Ok(rgb), None),
                Picture::File(file) => (decoder.decode(&file).map(Bytes::from), Some(file)),
            };
            pixels.push((name, rgb));
            files.push(file.filter(|_| self.hard.is_some()));
        }
        let (mut pixels, mut answered) = (pixels.into_iter(), vec![]);
        while let Some(answers) = self.classifier.next(&mut pixels).await {
            answered.extend(answers);
        }
        if let Some(hard) = &mut self.hard {
            for ((name, outcome), file) in answered.iter().zip(files) {
                if let (Ok(answer), Some(file)) = (outcome, file) {
                    hard.keep(name, &file, answer, None);
                }
            }
        }
        let monitor = self.classifier.monitor.as_mut();
        let alarms = monitor.map(Monitor::take_raised).unwrap_or_default();
        count(|counts| {
            for histogram in &alarms {
                counts.drift(histogram);
            }
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
