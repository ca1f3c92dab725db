//! A session's answer to a picture, with the field names that page and command line show.

use fogline::frame::Request;
use fogline::manifest::Manifest;
use fogline::policy::Verdict;
use serde::Serialize;

use crate::cloud::{Asked, CloudError};

/// The answer to one picture.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The name of the class.
    pub label: String,
    /// The index of the class.
    pub index: usize,
    /// The probability of the class.
    pub confidence: f32,
    /// One probability per class.
    pub scores: Vec<f32>,
    /// `exit-N`, an extension's name, or `cloud`.
    pub origin: String,
    /// Set if the cloud should have answered but did not.
    pub degraded: Option<Degraded>,
    /// The exits that the picture reached.
    pub exits: Vec<ExitReport>,
    /// How long each part took.
    pub timings: Timings,
    /// Bytes of the request's body that were sent, over all tries. If a frame held several samples, this one's share.
    pub bytes_sent: usize,
    /// The way that the picture took on the edge, if there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<u8>,
    /// What the cloud said to the same picture, if the answer is a sure exit's and was audited.
    #[serde(skip)]
    pub audit: Option<Box<Audit>>,
}

impl Answer {
    /// Notes what asking the cloud about the picture took.
    pub(super) fn note(&mut self, asked: &Asked) {
        self.timings.cloud_ms = asked.ms;
        self.timings.function_ms = asked.function_ms;
        self.timings.total_ms += asked.ms;
        self.bytes_sent = asked.bytes_sent;
    }
}

/// The cloud's answer to a picture of which an exit was sure.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Audit {
    /// The cloud answered.
    Answered {
        /// The name of the cloud's class.
        label: String,
        /// The index of the cloud's class.
        index: usize,
        /// The cloud's probability of it.
        confidence: f32,
        /// Whether it is the exit's class.
        agrees: bool,
    },
    /// The cloud did not answer.
    Unanswered {
        /// An error code, such as `cloud_late`.
        reason: String,
    },
}

impl Audit {
    /// The audit of an answer of class `index`, by the cloud's logits.
    pub(super) fn of(
        manifest: &Manifest,
        asked: Result<Vec<f32>, CloudError>,
        index: usize,
    ) -> Self {
        match asked {
            Ok(logits) => {
                let verdict = Verdict::last(&logits);
                Self::Answered {
                    label: manifest.classes[verdict.label].clone(),
                    index: verdict.label,
                    confidence: verdict.confidence,
                    agrees: verdict.label == index,
                }
            }
            Err(error) => Self::Unanswered { reason: error.word().to_owned() },
        }
    }
}

/// Why an exit answered in place of the cloud.
#[derive(Debug, Clone, Serialize)]
pub struct Degraded {
    /// An error code, such as `cloud_late`.
    pub reason: String,
    /// The reason as a sentence.
    pub message: String,
    /// The request, if the cloud may answer it later.
    #[serde(skip)]
    pub question: Option<Request>,
}

/// The answer of one exit.
#[derive(Debug, Clone, Serialize)]
pub struct ExitReport {
    /// The exit's name, such as `exit-1`.
    pub name: String,
    /// The name of the class.
    pub label: String,
    /// The policy's threshold. An extension has none, because it decides nothing.
    pub threshold: Option<f32>,
    /// What the exit decided, in the same JSON object.
    #[serde(flatten)]
    pub verdict: Judgement,
}

/// A [`Verdict`] with the field names of the JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Judgement {
    /// The index of the class.
    pub index: usize,
    /// The probability of the class.
    pub confidence: f32,
    /// The policy's measure.
    pub certainty: f32,
    /// Whether the measure passed the threshold.
    pub sure: bool,
    /// One probability per class.
    pub scores: Vec<f32>,
}

/// How long each part took, in milliseconds.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// The edge's layers and exits.
    pub edge_ms: f64,
    /// Waiting for the cloud, including retries and pauses.
    pub cloud_ms: f64,
    /// The part of `cloud_ms` that the function reports as its own; the rest is the network's.
    pub function_ms: Option<f64>,
    /// Edge and cloud together.
    pub total_ms: f64,
}
