//! Milliseconds, and what many of them come to.

use std::time::Instant;

/// Since then.
pub fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The sample that a share `of` all is not above; NaN where there is none.
pub fn quantile(samples: &[f64], of: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = sorted.len().saturating_sub(1) as f64 * of;
    sorted.get(at.round() as usize).copied().unwrap_or(f64::NAN)
}

/// The sample in the middle.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}
