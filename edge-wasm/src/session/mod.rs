//! Pairs at work: pictures in, answers out, with everything that led to them.
//!
//! A [`Session`] is one pair; [`batch`] sends its hard pictures together, [`quota`] bounds how many are sent, and [`score`]
//! counts how well they were answered.

mod answer;
pub mod batch;
mod conclude;
mod error;
mod pair;
pub mod quota;
pub mod score;

pub use answer::{Answer, Degraded, ExitReport, Judgement, Timings};
pub use error::LoadError;
pub use pair::{EdgePass, Session};
