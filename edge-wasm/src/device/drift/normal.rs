//! The manifest's field `normal`: the histograms of the held-out pictures, with which a device compares what it sees.
//!
//! [`Manifest`] itself skips the field, so that the page's engine stays as small as it is.

use core::fmt;

use fogline::manifest::Manifest;
use serde::Deserialize;

/// The longest window: one of 10,000 pictures would take hours to notice anything.
const MOST_WINDOW: usize = 10_000;
/// The most bins of a histogram, which also bounds what a device remembers of a picture to two bytes.
const MOST_BINS: usize = 1 << 16;
/// The most held-out pictures of a bin. With far more, the rarest bin's frequency would vanish beside 1.
const MOST_COUNT: u64 = 1 << 24;

/// What is normal for a pair, as `recipe normal` measured it on pictures that were held out of training.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Normal {
    /// The number of held-out pictures.
    pub pictures: u64,
    /// The number of latest observations of each histogram that are compared.
    pub window: usize,
    /// Expected alarms per picture while nothing drifts, if pictures do not depend on each other: of all histograms together.
    pub false_alarms: f64,
    /// The confidences of each exit that decides, of the pictures that reach it by the manifest's policy and thresholds.
    pub exits: Vec<Confidences>,
    /// The classes that the first exit names, which every picture reaches.
    pub classes: Classes,
}

/// A histogram of an exit's confidences.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Confidences {
    /// The lower bound of each bin after the first, in ascending order. A confidence that equals it is in the bin.
    pub edges: Vec<f32>,
    /// The number of pictures in each bin: one more than there are edges.
    pub counts: Vec<u64>,
    /// The largest distance that is normal; see [`super::Drift`].
    pub limit: f64,
}

/// A histogram of classes.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Classes {
    /// The number of pictures for each class.
    pub counts: Vec<u64>,
    /// The largest distance that is normal; see [`super::Drift`].
    pub limit: f64,
}

/// The field alone, of all that a manifest says.
#[derive(Deserialize)]
struct Stored {
    normal: Option<Normal>,
}

/// Why the manifest's `normal` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum NormalError {
    /// Not JSON, or not the fields that belong there.
    Json(String),
    /// A field has a value that is not allowed.
    Field {
        /// The field's path, such as `normal.window`.
        field: String,
        /// What is wrong with the value.
        why: String,
    },
}

impl NormalError {
    /// The stable error code.
    pub fn word(&self) -> &'static str {
        "normal_invalid"
    }
}

impl fmt::Display for NormalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let again = "python -m fogline_recipe normal writes it anew";
        match self {
            Self::Json(why) => write!(f, "the manifest's 'normal' is not valid: {why}; {again}"),
            Self::Field { field, why } => write!(f, "the manifest's '{field}': {why}; {again}"),
        }
    }
}

impl std::error::Error for NormalError {}

impl Normal {
    /// Reads and checks the field in the JSON of `manifest`. `None` if it is not there.
    ///
    /// # Errors
    /// If it is malformed, or has another number of exits or classes than the manifest.
    pub fn of(json: &[u8], manifest: &Manifest) -> Result<Option<Self>, NormalError> {
        let stored: Stored =
            serde_json::from_slice(json).map_err(|error| NormalError::Json(error.to_string()))?;
        let Some(normal) = stored.normal else { return Ok(None) };
        normal.check(manifest)?;
        Ok(Some(normal))
    }

    fn check(&self, manifest: &Manifest) -> Result<(), NormalError> {
        let right = (1..=MOST_WINDOW).contains(&self.window);
        ensure(right, "window", || format!("{} is not in 1..={MOST_WINDOW}", self.window))?;
        let rate = self.false_alarms;
        ensure((0.0..=1.0).contains(&rate), "false_alarms", || format!("{rate} is no rate"))?;
        let (said, exits) = (self.exits.len(), manifest.deciding().len());
        ensure(said == exits, "exits", || format!("{said} of them, but {exits} exits decide"))?;
        for (index, exit) in self.exits.iter().enumerate() {
            let field = |name: &str| format!("exits[{index}].{name}");
            let ascend = exit.edges.is_sorted_by(|a, b| a < b);
            let finite = exit.edges.iter().all(|edge| edge.is_finite());
            ensure(ascend && finite, &field("edges"), || "they do not ascend".into())?;
            check(&field("counts"), &exit.counts, exit.edges.len() + 1)?;
            check_limit(&field("limit"), exit.limit)?;
        }
        check("classes.counts", &self.classes.counts, manifest.classes.len())?;
        check_limit("classes.limit", self.classes.limit)
    }
}

/// Checks a histogram that should have `bins` bins.
fn check(field: &str, counts: &[u64], bins: usize) -> Result<(), NormalError> {
    let is = counts.len();
    ensure(is == bins, field, || format!("{is} bins where there should be {bins}"))?;
    ensure(is <= MOST_BINS, field, || format!("{is} bins are too many, {MOST_BINS} at most"))?;
    let most = counts.iter().max().copied().unwrap_or_default();
    ensure(most <= MOST_COUNT, field, || format!("{most} pictures are too many to be true"))
}

fn check_limit(field: &str, limit: f64) -> Result<(), NormalError> {
    ensure(limit >= 0.0 && limit.is_finite(), field, || format!("{limit} is no distance"))
}

fn ensure(right: bool, field: &str, why: impl FnOnce() -> String) -> Result<(), NormalError> {
    if right {
        Ok(())
    } else {
        Err(NormalError::Field { field: format!("normal.{field}"), why: why() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TINY: &[u8] = include_bytes!("../../../tests/tiny/manifest.json");

    /// The tiny pair's manifest with what `edit` makes of a valid `normal`, and what is read from it.
    fn read(edit: impl FnOnce(&mut Value)) -> Result<Option<Normal>, NormalError> {
        let exit = json!({"edges": [0.25, 0.5], "counts": [3, 4, 5], "limit": 20.0});
        let mut normal = json!({
            "pictures": 12, "window": 50, "false_alarms": 5e-7, "exits": [exit, exit],
            "classes": {"counts": [2, 2, 2, 2, 4], "limit": 9.5}
        });
        edit(&mut normal);
        let mut manifest: Value = serde_json::from_slice(TINY).unwrap();
        manifest["normal"] = normal;
        Normal::of(&serde_json::to_vec(&manifest).unwrap(), &Manifest::parse(TINY).unwrap())
    }

    #[test]
    fn a_manifest_without_it_has_none() {
        assert_eq!(Normal::of(TINY, &Manifest::parse(TINY).unwrap()), Ok(None));
        assert_eq!(read(|normal| *normal = Value::Null), Ok(None));
    }

    #[test]
    fn it_is_read_as_it_was_written() {
        let normal = read(|_| {}).unwrap().unwrap();
        assert_eq!((normal.pictures, normal.window, normal.false_alarms), (12, 50, 5e-7));
        assert_eq!(normal.exits[1].edges, [0.25, 0.5]);
        assert_eq!(normal.exits[1].counts, [3, 4, 5]);
        assert_eq!(normal.classes, Classes { counts: vec![2, 2, 2, 2, 4], limit: 9.5 });
    }

    #[test]
    fn what_does_not_belong_there_is_refused_by_name() {
        let edits = [
            ("/window", "window", json!(0)),
            ("/window", "window", json!(10_001)),
            ("/false_alarms", "false_alarms", json!(1.5)),
            ("/false_alarms", "false_alarms", json!(-0.1)),
            ("/exits", "exits", json!([])),
            ("/exits/1/edges", "exits[1].edges", json!([0.5, 0.5])),
            ("/exits/1/edges", "exits[1].edges", json!([0.5, 0.25])),
            ("/exits/0/counts", "exits[0].counts", json!([1, 2])),
            ("/exits/0/counts", "exits[0].counts", json!([1_u64 << 33, 1, 1])),
            ("/exits/0/limit", "exits[0].limit", json!(-1)),
            ("/classes/counts", "classes.counts", json!([1, 2, 3, 4, 5, 6])),
            ("/classes/limit", "classes.limit", json!(-0.5)),
        ];
        for (place, field, value) in edits {
            let error = read(|normal| *normal.pointer_mut(place).unwrap() = value).unwrap_err();
            let named = format!("the manifest's 'normal.{field}': ");
            assert!(error.to_string().starts_with(&named), "{place}: {error}");
            assert_eq!(error.word(), "normal_invalid");
        }
        for (place, value) in [("/window", json!("many")), ("/exits/0/counts", json!([-1, 2, 3]))] {
            let error = read(|normal| *normal.pointer_mut(place).unwrap() = value).unwrap_err();
            assert!(matches!(error, NormalError::Json(_)), "{place}: {error}");
        }
    }
}
