//! Asking the cloud about spooled samples.

use fogline::policy::Verdict;
use serde::Serialize;

use super::{Name, Waiting};
use crate::cloud::{Client, CloudError, Transport};
use crate::session::Session;

/// A late answer and the picture that it is about. It serialises to the line that the command prints.
#[derive(Debug, Clone, Serialize)]
pub struct Settled {
    /// The name of the picture.
    pub picture: String,
    /// The answer, whose fields are part of the same line.
    #[serde(rename = "settled")]
    pub answer: LateAnswer,
    /// The sample's name in the spool.
    #[serde(rename = "spooled")]
    pub name: Name,
}

/// The cloud's answer, without the exits' earlier ones.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LateAnswer {
    /// The name of the class.
    pub label: String,
    /// The index of the class.
    pub index: usize,
    /// The probability of the class.
    pub confidence: f32,
    /// One probability per class.
    pub scores: Vec<f32>,
    /// Always `cloud`.
    pub origin: &'static str,
    /// Milliseconds of the request that the sample was part of, including retries and pauses.
    pub cloud_ms: f64,
    /// The sample's share of the bytes sent for this answer.
    pub bytes_sent: usize,
}

/// Asks the cloud about samples in one request, which must fit a frame.
///
/// # Errors
/// If the cloud does not answer; then no sample is answered.
pub async fn settle<T: Transport>(
    session: &Session,
    cloud: &Client<T>,
    waiting: Vec<Waiting>,
) -> Result<Vec<Settled>, CloudError> {
    let classes = &session.manifest().classes;
    let (named, maps): (Vec<_>, Vec<_>) =
        waiting.into_iter().map(|one| ((one.name, one.picture), one.map)).unzip();
    let (request, coder) = (session.request(maps, cloud.new_id()), session.coder());
    let outcomes = cloud.ask(&request, coder.map(AsRef::as_ref), classes.len()).await;
    let settled = named.into_iter().zip(outcomes).map(|((name, picture), outcome)| {
        // The same as for an answer without delay.
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
