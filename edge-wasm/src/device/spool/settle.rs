//! Asking the cloud about what was kept.

use fogline::policy::Verdict;
use serde::Serialize;

use super::{Name, Waiting};
use crate::cloud::{Client, CloudError, Transport};
use crate::session::Session;

/// The answer on a sample that had to wait, with the picture that it is about. Serialised as the line that the command
/// prints.
#[derive(Debug, Clone, Serialize)]
pub struct Settled {
    /// What its picture is called.
    pub picture: String,
    /// The answer.
    #[serde(rename = "settled")]
    pub answer: LateAnswer,
    /// What the sample is called.
    #[serde(rename = "spooled")]
    pub name: Name,
}

/// What the cloud says. The exits have said theirs long ago.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LateAnswer {
    /// The class's name.
    pub label: String,
    /// Its index.
    pub index: usize,
    /// Its probability.
    pub confidence: f32,
    /// Probabilities, one a class.
    pub scores: Vec<f32>,
    /// `cloud`.
    pub origin: &'static str,
    /// Milliseconds of the request that the sample was in, tries and pauses included.
    pub cloud_ms: f64,
    /// The sample's share of the bytes that were sent for this answer.
    pub bytes_sent: usize,
}

/// Asks about samples in one request, which a frame must hold.
///
/// # Errors
/// When the cloud does not answer, for all of them.
pub async fn settle<T: Transport>(
    session: &Session,
    cloud: &Client<T>,
    waiting: Vec<Waiting>,
) -> Result<Vec<Settled>, CloudError> {
    let classes = &session.manifest().classes;
    let (named, maps): (Vec<_>, Vec<_>) =
        waiting.into_iter().map(|one| ((one.name, one.picture), one.map)).unzip();
    let outcomes = cloud.ask(&session.request(maps, cloud.new_id()), classes.len()).await;
    let settled = named.into_iter().zip(outcomes).map(|((name, picture), outcome)| {
        // As the answer would have been at once.
        let verdict = Verdict::last(&outcome.result?);
        let answer = LateAnswer {
            label: classes[verdict.label].clone(),
            index: verdict.label,
            confidence: verdict.confidence,
            scores: verdict.scores,
            origin: "cloud",
            cloud_ms: outcome.ms,
            bytes_sent: outcome.bytes_sent,
        };
        Ok(Settled { picture, answer, name })
    });
    settled.collect()
}
