//! What goes to the cloud besides the exits' own decision: limits for hard pictures, and audits of sure ones.

use fogline::manifest::Manifest;

use super::answer::{Answer, Audit};
use super::draft::Draft;
use super::pair::Session;
use super::quota::Quota;
use crate::cloud::{Asked, CloudError};

/// The limits and audits of a run. Every picture passes through, in order.
#[derive(Default)]
pub struct Offload {
    quota: Option<Quota>,
    audit_rate: f64,
}

/// A picture that has been through the edge, and what is sent of it.
pub(super) struct Drafted {
    draft: Draft,
    /// The packed map of a sure picture that is audited.
    audit: Option<Vec<u8>>,
}

impl Offload {
    /// Limits the offloaded pictures, audits included, to a quota.
    #[must_use]
    pub fn within(self, quota: Option<Quota>) -> Self {
        let quota = quota.map(|quota| quota.auditing(self.audit_rate));
        Self { quota, ..self }
    }

    /// Also sends this share of the sure pictures, chosen at random, from 0 to 1.
    #[must_use]
    pub fn auditing(self, audit_rate: f64) -> Self {
        Self { audit_rate, quota: self.quota.map(|quota| quota.auditing(audit_rate)) }
    }

    /// Runs the edge on a picture. `chance`, a random number in 0..1, decides on an audit. If `held` is set, a hard picture is not
    /// sent, for this reason.
    pub(super) fn draft(
        &mut self,
        session: &mut Session,
        rgb: &[u8],
        chance: f64,
        held: Option<CloudError>,
    ) -> Drafted {
        let draft = session.draft(rgb);
        let Some(certainty) = draft.certainty_if_hard() else {
            // Whatever holds hard pictures back, so that the sample stays a random one.
            let wanted = chance < self.audit_rate;
            let audit = match &mut self.quota {
                Some(quota) => quota.audit(wanted),
                None => wanted,
            };
            return Drafted { draft, audit: audit.then(|| session.go_on_to_split()) };
        };
        let spared = match (held, &mut self.quota) {
            (None, Some(quota)) => quota.pass(Some(certainty)).err().map(CloudError::from),
            (held, Some(quota)) => {
                quota.hold(certainty);
                held
            }
            (held, None) => held,
        };
        Drafted { draft: draft.sparing(spared), audit: None }
    }
}

impl Drafted {
    /// The map to send, if any.
    pub(super) fn to_send(&self) -> Option<&Vec<u8>> {
        self.audit.as_ref().or_else(|| self.draft.to_send())
    }

    /// The answer, given the outcome of the request with this id.
    pub(super) fn conclude(
        self,
        manifest: &Manifest,
        asked: Option<Asked>,
        request_id: [u8; 16],
    ) -> Answer {
        let (audited, asked) = if self.audit.is_some() { (asked, None) } else { (None, asked) };
        let mut answer = self.draft.conclude(manifest, asked, request_id);
        if let Some(asked) = audited {
            answer.note(&asked);
            answer.audit = Some(Box::new(Audit::of(manifest, asked.result, answer.index)));
        }
        answer
    }
}
