//! What becomes of one picture, as JSON: the same from the command line and over HTTP.

use fogline_edge::device::spool::Name;
use fogline_edge::session::Answer;
use serde::Serialize;

use crate::component::fault::Fault;

/// A picture with its answer, or with why there is none.
#[derive(Serialize)]
pub struct Line<'a> {
    picture: String,
    #[serde(flatten)]
    outcome: Said<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Answer {
        #[serde(flatten)]
        answer: &'a Answer,
        #[serde(skip_serializing_if = "Option::is_none")]
        spooled: Option<Name>,
    },
    Fault(&'a Fault),
}

impl<'a> Line<'a> {
    /// Of the picture of this name, whose question may be in a spool.
    pub fn of(picture: String, outcome: &'a Result<Answer, Fault>, spooled: Option<Name>) -> Self {
        let outcome = match outcome {
            Ok(answer) => Said::Answer { answer, spooled },
            Err(fault) => Said::Fault(fault),
        };
        Self { picture, outcome }
    }
}
