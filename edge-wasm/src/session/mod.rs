//! Pairs at work: pictures in, answers out, with everything that led to them.
//!
//! A [`Session`] is one pair, and classifies one picture; [`batch`] classifies many, and sends the hard ones together;
//! [`quota`] bounds how many are sent; [`score`] counts how well they were answered.

mod answer;
pub mod batch;
mod classify;
mod draft;
mod error;
mod pair;
pub mod quota;
pub mod score;

pub use answer::{Answer, Degraded, ExitReport, Judgement, Timings};
pub use error::{DecisionError, LoadError};
pub use pair::{EdgePass, Session};
