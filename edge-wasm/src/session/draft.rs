//! A picture between edge and cloud: the exits' verdicts, and the map to send if none is sure.

use fogline::manifest::Manifest;
use fogline::policy::Verdict;

use super::answer::{Answer, Degraded, ExitReport, Judgement, Timings};
use super::pair::{EdgePass, Session, request};
use crate::cloud::{Asked, CloudError};

/// The best exit's answer, which the cloud may still replace.
pub(super) struct Draft {
    best: Answer,
    /// The packed map, if no exit was sure.
    map: Option<Vec<u8>>,
    /// Why the map may not be sent.
    spared: Option<CloudError>,
}

impl Draft {
    /// The draft of a picture whose edge pass took `edge_ms` milliseconds.
    pub(super) fn of(session: &Session, pass: EdgePass, edge_ms: f64) -> Self {
        let manifest = session.manifest();
        let reports = pass.verdicts.iter().zip(&manifest.exits).enumerate().map(
            |(index, (verdict, exit))| ExitReport {
                name: exit.name.clone(),
                label: manifest.classes[verdict.label].clone(),
                threshold: session.thresholds().get(index).copied(),
                verdict: Judgement {
                    index: verdict.label,
                    confidence: verdict.confidence,
                    certainty: verdict.certainty,
                    sure: verdict.sure,
                    scores: verdict.scores.clone(),
                },
            },
        );
        let exits = reports.collect();
        // If an exit was sure, it is the last one reached.
        let hard = pass.map.is_some();
        let best = if hard { most_confident(&pass.verdicts) } else { pass.verdicts.len() - 1 };
        let verdict = &pass.verdicts[best];
        let best = Answer {
            label: manifest.classes[verdict.label].clone(),
            index: verdict.label,
            confidence: verdict.confidence,
            scores: verdict.scores.clone(),
            origin: manifest.exits[best].name.clone(),
            degraded: None,
            exits,
            timings: Timings { edge_ms, total_ms: edge_ms, ..Timings::default() },
            bytes_sent: 0,
            way: pass.way,
            audit: None,
        };
        Self { best, map: pass.map, spared: None }
    }

    /// The last exit's certainty if no exit was sure.
    pub(super) fn certainty_if_hard(&self) -> Option<f32> {
        self.map.as_ref()?;
        self.best.exits.last().map(|exit| exit.verdict.certainty)
    }

    /// Does not send the map if there is a reason not to.
    pub(super) fn sparing(self, spared: Option<CloudError>) -> Self {
        Self { spared, ..self }
    }

    /// The best exit's answer.
    pub(super) fn best(&self) -> &Answer {
        &self.best
    }

    /// The map, if it may be sent.
    pub(super) fn to_send(&self) -> Option<&Vec<u8>> {
        self.map.as_ref().filter(|_| self.spared.is_none())
    }

    /// The answer, given the outcome of the request with this id. A picture without a map was not in the request.
    pub(super) fn conclude(
        self,
        manifest: &Manifest,
        asked: Option<Asked>,
        request_id: [u8; 16],
    ) -> Answer {
        let Self { mut best, map, spared } = self;
        let Some((map, asked)) = map.zip(spared.map(Asked::not_asked).or(asked)) else {
            return best;
        };
        best.note(&asked);
        match asked.result {
            Ok(logits) => {
                let verdict = Verdict::last(&logits);
                best.label.clone_from(&manifest.classes[verdict.label]);
                best.index = verdict.label;
                best.confidence = verdict.confidence;
                best.scores = verdict.scores;
                "cloud".clone_into(&mut best.origin);
            }
            Err(error) => {
                let question = error.may_pass().then(|| request(manifest, vec![map], request_id));
                let (reason, message) = (error.word().to_owned(), error.to_string());
                best.degraded = Some(Degraded { reason, message, question });
            }
        }
        best
    }
}

/// The index of the exit with the highest confidence; the first of equal ones.
fn most_confident(verdicts: &[Verdict]) -> usize {
    (1..verdicts.len()).fold(0, |best, i| {
        if verdicts[i].confidence > verdicts[best].confidence { i } else { best }
    })
}
