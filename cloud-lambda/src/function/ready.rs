//! `GET /ready`: which pairs are loaded.

use fogline::refusal::{NOT_READY, Refusal};
use serde::Serialize;

use crate::plan::Plan;
use crate::plans::Plans;

/// Pairs that are answered for at once.
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
    /// What is loaded now.
    ///
    /// # Errors
    /// With `not_ready` where nothing is.
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
