//! Times in milliseconds and their quantiles.

use std::time::Instant;

/// Milliseconds that have passed since this instant.
pub fn ms(since: Instant) -> f64 {
    since.elapsed().as_secs_f64() * 1e3
}

/// The quantile `of` (0 to 1) of the samples; NaN if there are none.
pub fn quantile(samples: &[f64], of: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = sorted.len().saturating_sub(1) as f64 * of;
    sorted.get(at.round() as usize).copied().unwrap_or(f64::NAN)
}

/// The median of the samples; NaN if there are none.
pub fn median(samples: &[f64]) -> f64 {
    quantile(samples, 0.5)
}
