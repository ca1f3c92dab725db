//! `GET /ready`: which pairs are loaded.

use fogline::refusal::{NOT_READY, Refusal};
use serde::Serialize;

use crate::plan::Plan;
use crate::plans::Plans;

/// The pairs in memory, which need no load before the first answer.
#[derive(Debug, Serialize)]
pub struct Ready {
    status: &'static str,
    pairs: Vec<Loaded>,
}

#[derive(Debug, Serialize)]
struct Loaded {
    name: String,
    version: String,
    digest: String,
}

impl Ready {
    /// Lists the loaded pairs.
    ///
    /// # Errors
    /// `not_ready` if none is loaded.
    pub fn of(plans: &Plans) -> Result<Self, Refusal> {
        let loaded = plans.loaded();
        if loaded.is_empty() {
            return Err(Refusal::new(NOT_READY, "no pair is loaded yet; try again soon"));
        }
        let pairs = loaded.iter().map(|plan| Loaded::of(plan)).collect();
        Ok(Self { status: "ready", pairs })
    }
}

impl Loaded {
    fn of(plan: &Plan) -> Self {
        let manifest = plan.manifest();
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            digest: hex::encode(plan.digest()),
        }
    }
}
