//! Whether another plan of a pair's cloud gives the same answers.

use std::path::Path;

use anyhow::Result;
use fogline::policy::{Verdict, softmax};
use fogline_cloud::plan::Plan;
use serde::Serialize;

use crate::dataset::{Sample, test_pictures};
use crate::subject::{Subject, on_all_cores, scores};

/// The answers of two plans to the same test pictures, of which each one's map was sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Labels {
    pub pictures: usize,
    /// Pictures with the same label.
    pub same: usize,
    /// Largest difference of a class's probability.
    pub difference: f32,
}

impl Labels {
    /// Runs all test pictures of the dataset in `data` through the subject's cloud and through `other`.
    pub fn compare(subject: &Subject, other: &Plan, data: &Path) -> Result<Self> {
        let samples = test_pictures(data, &subject.manifest, None)?;
        let compared = on_all_cores(&samples, "pictures", |share, bar| {
            let mut session = subject.session()?;
            let compare = |sample: &Sample| {
                let (_, bytes, _) = session.run_through(&sample.rgb(subject.manifest.input.size)?);
                let ours = subject.cloud(bytes.clone())?;
                let theirs = scores(other, bytes)?;
                let [a, b] = [&ours, &theirs].map(|scores| softmax(scores, 1.0));
                let difference = a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
                bar.inc(1);
                Ok((Verdict::last(&ours).label == Verdict::last(&theirs).label, difference))
            };
            share.iter().map(compare).collect()
        })?;
        Ok(Self {
            pictures: compared.len(),
            same: compared.iter().filter(|(same, _)| *same).count(),
            difference: compared.iter().map(|(_, difference)| *difference).fold(0.0, f32::max),
        })
    }

    /// The share of pictures with the same label.
    pub fn share(&self) -> f64 {
        self.same as f64 / self.pictures as f64
    }
}
