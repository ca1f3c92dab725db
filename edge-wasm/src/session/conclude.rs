//! From what the edge found, and what the cloud said, to the answer.

use fogline::policy::Verdict;

use super::answer::{Answer, Degraded, ExitReport, Judgement, Timings};
use super::pair::{EdgePass, Session};
use crate::cloud::Asked;

impl Session {
    /// The answer to what the edge found, with the cloud's part in it.
    pub fn answer(&self, pass: &EdgePass, cloud: Option<Asked>, edge_ms: f64) -> Answer {
        let exits: Vec<ExitReport> = pass
            .verdicts
            .iter()
            .zip(&self.manifest().exits)
            .enumerate()
            .map(|(index, (verdict, exit))| ExitReport {
                name: exit.name.clone(),
                label: self.manifest().classes[verdict.label].clone(),
                threshold: self.thresholds().get(index).copied(),
                verdict: Judgement {
                    index: verdict.label,
                    confidence: verdict.confidence,
                    certainty: verdict.certainty,
                    sure: verdict.sure,
                    scores: verdict.scores.clone(),
                },
            })
            .collect();
        let (cloud_ms, bytes_sent) = cloud.as_ref().map_or((0.0, 0), |c| (c.ms, c.bytes_sent));
        let function_ms = cloud.as_ref().and_then(|c| c.function_ms);
        let (verdict, origin, degraded) = match cloud.map(|c| c.result) {
            Some(Ok(logits)) => (Verdict::last(&logits), "cloud".to_owned(), None),
            other => {
                // Where one was sure, it ended there.
                let best = pass
                    .map
                    .as_ref()
                    .map_or(pass.verdicts.len() - 1, |_| most_confident(&pass.verdicts));
                let degraded = match other {
                    Some(Err(error)) => Some(Degraded {
                        reason: error.word().to_owned(),
                        message: error.to_string(),
                        map: pass.map.clone().filter(|_| error.may_pass()),
                    }),
                    _ => None,
                };
                (pass.verdicts[best].clone(), self.manifest().exits[best].name.clone(), degraded)
            }
        };
        Answer {
            label: self.manifest().classes[verdict.label].clone(),
            index: verdict.label,
            confidence: verdict.confidence,
            scores: verdict.scores,
            origin,
            degraded,
            exits,
            timings: Timings { edge_ms, cloud_ms, function_ms, total_ms: edge_ms + cloud_ms },
            bytes_sent,
            way: pass.way,
        }
    }
}

/// The exit with the highest confidence, of equals the first.
fn most_confident(verdicts: &[Verdict]) -> usize {
    (1..verdicts.len()).fold(0, |best, i| {
        if verdicts[i].confidence > verdicts[best].confidence { i } else { best }
    })
}
