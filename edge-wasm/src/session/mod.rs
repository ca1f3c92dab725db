//! Sessions: a loaded pair that turns pictures into answers, with all the evidence for them.
//!
//! A [`Session`] is one pair and classifies one picture; [`batch`] classifies many and sends the hard ones together;
//! [`offload`] audits
//! sure ones; [`quota`] limits the offload rate; [`score`] measures accuracy, bytes and energy.

mod answer;
pub mod batch;
mod classify;
mod draft;
mod error;
pub mod offload;
mod pair;
pub mod quota;
pub mod score;

pub use answer::{Answer, Audit, Degraded, ExitReport, Judgement, Timings};
pub use error::{DecisionError, LoadError};
pub use pair::{EdgePass, Session};
