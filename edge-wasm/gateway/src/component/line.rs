//! The result of one picture as JSON, the same on the command line and over HTTP.

use fogline_edge::device::spool::Name;
use fogline_edge::session::{Answer, Audit};
use serde::Serialize;

use crate::component::fault::Fault;

/// A picture with its answer or its error.
#[derive(Serialize)]
pub struct Line<'a> {
    picture: String,
    #[serde(flatten)]
    outcome: Said<'a>,
    /// The cloud's answer to the same picture, if it was audited.
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<&'a Audit>,
    #[serde(skip_serializing_if = "Option::is_none")]
    spooled: Option<Name>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Answer(&'a Answer),
    Fault(&'a Fault),
}

impl<'a> Line<'a> {
    /// The line of picture `picture`.
    pub fn of(picture: String, outcome: &'a Result<Answer, Fault>) -> Self {
        match outcome {
            Ok(answer) => Self::answer(picture, answer),
            Err(fault) => Self { picture, outcome: Said::Fault(fault), audit: None, spooled: None },
        }
    }

    /// The line of an answer.
    pub fn answer(picture: String, answer: &'a Answer) -> Self {
        let audit = answer.audit.as_deref();
        Self { picture, outcome: Said::Answer(answer), audit, spooled: None }
    }

    /// The same of a picture whose question is in a spool, under this name.
    pub fn spooled(self, spooled: Option<Name>) -> Self {
        Self { spooled, ..self }
    }
}
