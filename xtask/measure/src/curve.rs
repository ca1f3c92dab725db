//! Accuracy, energy and bytes of a pair along its calibration curve, from few pictures at the edge to many.

use anyhow::Result;
use fogline::energy::Constants;
use fogline::policy::Policy;
use fogline_edge::session::Session;
use serde::{Deserialize, Serialize};

use crate::subject::Seen;

/// Results of a pair with one set of thresholds, averaged over all pictures.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub struct Point {
    /// Share of pictures answered at the edge.
    pub share: f64,
    pub accuracy: f64,
    /// Accuracy on the hard classes only, which are those of an extension.
    pub hard: f64,
    /// Computational energy per picture in microjoules.
    pub energy: f64,
    /// Mean number of bytes sent per picture.
    pub bytes: f64,
}

impl Point {
    /// Evaluates what was seen under the policy and thresholds of `session`.
    pub fn of(session: &Session, seen: &[Seen], constants: &Constants, hard: &[String]) -> Self {
        let manifest = session.manifest();
        let (mut sum, mut hard_ones) = (Self::default(), 0);
        for picture in seen {
            let outcome = picture.outcome(session);
            let right = f64::from(u8::from(outcome.right()));
            sum.accuracy += right;
            sum.energy += outcome.energy(manifest, constants).computation / 1e6;
            match outcome.ended {
                Some(_) => sum.share += 1.0,
                None => sum.bytes += outcome.frame as f64,
            }
            if hard.contains(&manifest.classes[picture.label]) {
                hard_ones += 1;
                sum.hard += right;
            }
        }
        let n = seen.len() as f64;
        Self {
            share: sum.share / n,
            accuracy: sum.accuracy / n,
            hard: sum.hard / f64::from(hard_ones.max(1)),
            energy: sum.energy / n,
            bytes: sum.bytes / n,
        }
    }
}

/// Points in ascending order of their share.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve(Vec<Point>);

impl Curve {
    pub fn new(mut points: Vec<Point>) -> Self {
        points.sort_by(|a, b| a.share.total_cmp(&b.share));
        Self(points)
    }

    pub fn points(&self) -> &[Point] {
        &self.0
    }

    /// Measures all thresholds of the manifest's curve for `policy`; empty if there is none.
    pub fn measured(
        session: &mut Session,
        policy: Policy,
        seen: &[Seen],
        constants: &Constants,
        hard: &[String],
    ) -> Result<Self> {
        session.decide_by(policy, None)?;
        let calibrated = session.manifest().curves.get(&policy).cloned().unwrap_or_default();
        let mut points = vec![];
        for point in calibrated {
            session.decide_by(policy, Some(&point.thresholds))?;
            points.push(Point::of(session, seen, constants, hard));
        }
        session.decide_by(policy, None)?; // restore the manifest's own thresholds
        Ok(Self::new(points))
    }

    /// Interpolates the point with this share at the edge; `None` outside the measured range.
    pub fn at_share(&self, share: f64) -> Option<Point> {
        let after = self.0.iter().position(|point| point.share >= share)?;
        let b = self.0[after];
        let a = *self.0.get(after.checked_sub(1)?)?;
        let t = if b.share > a.share { (share - a.share) / (b.share - a.share) } else { 0.0 };
        let mix = |of: fn(&Point) -> f64| of(&a) + t * (of(&b) - of(&a));
        Some(Point {
            share,
            accuracy: mix(|point| point.accuracy),
            hard: mix(|point| point.hard),
            energy: mix(|point| point.energy),
            bytes: mix(|point| point.bytes),
        })
    }

    /// Interpolates the least energy with at least this accuracy; `None` if it is never reached.
    pub fn energy_at(&self, accuracy: f64) -> Option<f64> {
        let (first, last) = (self.0.first()?.share, self.0.last()?.share);
        let shares = (0..=1000).map(|step| first + (last - first) * f64::from(step) / 1000.0);
        let points = shares.filter_map(|share| self.at_share(share));
        let enough = points.filter(|point| point.accuracy >= accuracy).map(|point| point.energy);
        enough.min_by(f64::total_cmp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(points: &[[f64; 3]]) -> Curve {
        let point = |&[share, accuracy, energy]: &[f64; 3]| Point {
            share,
            accuracy,
            energy,
            ..Point::default()
        };
        Curve::new(points.iter().map(point).collect())
    }

    #[test]
    fn between_two_points_a_line_is_read_off() {
        let curve = curve(&[[0.6, 0.8, 60.0], [0.2, 0.9, 100.0]]);
        let middle = curve.at_share(0.4).unwrap();
        assert!((middle.accuracy - 0.85).abs() < 1e-9 && (middle.energy - 80.0).abs() < 1e-9);
        assert!(curve.at_share(0.7).is_none() && curve.at_share(0.1).is_none());
    }

    #[test]
    fn as_accurate_means_at_the_least_energy_that_reaches_it() {
        // A larger share at the edge is cheaper; accuracy peaks in the middle.
        let curve = curve(&[[0.0, 0.8, 100.0], [0.5, 0.9, 60.0], [1.0, 0.7, 20.0]]);
        assert!((curve.energy_at(0.8).unwrap() - 40.0).abs() < 0.1);
        assert_eq!(curve.energy_at(0.95), None);
    }
}
