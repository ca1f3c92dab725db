//! What a session says of a picture, with the field names that page and command line show.

use fogline::frame::Request;
#[cfg(doc)]
use fogline::policy::Verdict;
use serde::Serialize;

/// The answer on one picture.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    /// The class's name.
    pub label: String,
    /// Its index.
    pub index: usize,
    /// Its probability.
    pub confidence: f32,
    /// Probabilities, one a class.
    pub scores: Vec<f32>,
    /// `exit-N` or `cloud`.
    pub origin: String,
    /// Set where the cloud should have answered and did not.
    pub degraded: Option<Degraded>,
    /// The exits that were met.
    pub exits: Vec<ExitReport>,
    /// Times.
    pub timings: Timings,
    /// Bytes of the request's body that were handed to a connection, on every try; of a frame with more samples, this one's share.
    pub bytes_sent: usize,
    /// The way that it went on the edge, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub way: Option<u8>,
}

/// Why an exit answered in the cloud's place.
#[derive(Debug, Clone, Serialize)]
pub struct Degraded {
    /// A machine word.
    pub reason: String,
    /// A sentence.
    pub message: String,
    /// The question, where the cloud may well answer it another time.
    #[serde(skip)]
    pub question: Option<Request>,
}

/// What one exit said.
#[derive(Debug, Clone, Serialize)]
pub struct ExitReport {
    /// `exit-N`.
    pub name: String,
    /// The class's name.
    pub label: String,
    /// The policy's threshold; an extension decides nothing and has none.
    pub threshold: Option<f32>,
    /// The judgement, with its label as `index`.
    #[serde(flatten)]
    pub verdict: Judgement,
}

/// A [`Verdict`] with names for JSON.
#[derive(Debug, Clone, Serialize)]
pub struct Judgement {
    /// The class's index.
    pub index: usize,
    /// Its probability.
    pub confidence: f32,
    /// The policy's measure.
    pub certainty: f32,
    /// Whether the measure passed the threshold.
    pub sure: bool,
    /// Probabilities, one a class.
    pub scores: Vec<f32>,
}

/// Milliseconds in each part.
#[derive(Debug, Clone, Copy, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Timings {
    /// In the edge's layers and exits.
    pub edge_ms: f64,
    /// Waiting for the cloud, tries and pauses included.
    pub cloud_ms: f64,
    /// How many of these the function itself took, by its own word; the others were spent on the wire.
    pub function_ms: Option<f64>,
    /// On the edge and on the cloud.
    pub total_ms: f64,
}
