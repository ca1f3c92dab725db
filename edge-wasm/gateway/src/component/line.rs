//! The result of one picture as JSON, the same on the command line and over HTTP.

use fogline_edge::device::spool::Name;
use fogline_edge::session::Answer;
use serde::Serialize;

use crate::component::fault::Fault;

/// A picture with its answer or its error.
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
    /// The line of picture `picture`; `spooled` is the name of its question in a spool.
    pub fn of(picture: String, outcome: &'a Result<Answer, Fault>, spooled: Option<Name>) -> Self {
        let outcome = match outcome {
            Ok(answer) => Said::Answer { answer, spooled },
            Err(fault) => Said::Fault(fault),
        };
        Self { picture, outcome }
    }
}
