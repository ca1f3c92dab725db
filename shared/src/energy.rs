//! What an inference costs, in the form of Long, Chakraborty, Roy 2020 (arXiv 2005.10851).
//!
//! A multiply-accumulate on k-bit integers costs `3.1·k/32 + 0.1` pJ: the two constants are the
//! 32-bit integer multiplication and addition in 45 nm (Horowitz, ISSCC 2014). A full-precision
//! MAC costs either the same form at k = 32, 3.2 pJ, or the floating-point sum 3.7 + 0.9 = 4.6 pJ;
//! [`FullPrecision`] names the choice. Memory access and radio are separate terms and no part of
//! what this module sums.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a full-precision MAC costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullPrecision {
    /// 3.2 pJ: the integer form at 32 bits, as the paper's family of energy models has it.
    #[default]
    Integer32,
    /// 4.6 pJ: a floating-point multiplication and addition (Horowitz 2014).
    Float32,
}

impl FullPrecision {
    /// Picojoules of one 32-bit MAC.
    pub fn picojoules(self) -> f64 {
        match self {
            Self::Integer32 => 3.2,
            Self::Float32 => 4.6,
        }
    }
}

/// MACs by the bit width of their operands; 32 is full precision.
pub type Macs = BTreeMap<u8, u64>;

/// Picojoules that `macs` cost.
pub fn compute_picojoules(macs: &Macs, full: FullPrecision) -> f64 {
    macs.iter()
        .map(|(&bits, &count)| {
            let each = match bits {
                32 => full.picojoules(),
                k => 3.1 * f64::from(k) / 32.0 + 0.1,
            };
            each * count as f64
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_meets_its_constants() {
        let one = |bits| compute_picojoules(&Macs::from([(bits, 1)]), FullPrecision::Integer32);
        assert!((one(1) - 0.196_875).abs() < 1e-12);
        assert!((one(4) - 0.4875).abs() < 1e-12);
        assert!((one(8) - 0.875).abs() < 1e-12);
        assert!((one(32) - 3.2).abs() < 1e-12);
        let float = compute_picojoules(&Macs::from([(32, 10)]), FullPrecision::Float32);
        assert!((float - 46.0).abs() < 1e-12);
    }
}
