//! The logistic function in integers.

/// The logistic function of logits, times a factor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sigmoid {
    /// Of logits from -12 to 12.
    shares: Box<[u16; 1024]>,
    /// Bits of a logit that are dropped.
    shift: u8,
}

impl Sigmoid {
    /// The table has 2^`UNIT` logits to 1.
    pub const UNIT: u8 = 5;
    /// Logits beyond 12 differ by less than a probability can.
    const MOST: i32 = 12 << Self::UNIT;

    /// For logits in 2^-`unit`, at least [`Self::UNIT`], and a `factor` below 2^16.
    pub fn new(unit: u8, factor: u32) -> Self {
        /// e^(-1/32) in 2^-32.
        const POWER: u64 = 4_162_825_044;
        let mut power = 1_u64 << 32;
        // 1 / (1 + e^x), where e^-x is a power of e^(-1/32).
        let negative: Vec<u64> = (0..=Self::MOST)
            .map(|_| {
                let share = (power << 16) / ((1 << 32) + power);
                power = (power * POWER) >> 32;
                share
            })
            .collect();
        let positive = negative[1..].iter().map(|share| 65_536 - share);
        let all = negative.iter().rev().copied().chain(positive);
        let mut shares = Box::new([0; 1024]);
        for (place, share) in shares.iter_mut().zip(all) {
            *place = ((share * u64::from(factor)) >> 16) as u16;
        }
        Self { shares, shift: unit - Self::UNIT }
    }

    /// `factor` / (1 + e^-x).
    #[inline(always)]
    pub fn of(&self, logit: i32) -> u32 {
        let at = (logit >> self.shift).clamp(-Self::MOST, Self::MOST) + Self::MOST;
        self.shares[at as usize % self.shares.len()].into()
    }
}

#[cfg(test)]
mod tests {
    use super::Sigmoid;

    #[test]
    fn it_is_the_logistic_function() {
        for (unit, factor) in [(5, 65_534), (7, 65_520), (8, 65_280)] {
            let sigmoid = Sigmoid::new(unit, factor);
            for logit in -1000_i32..1000 {
                let x = f64::from(logit >> (unit - 5)) / 32.0;
                let exact = f64::from(factor) / (1.0 + (-x).exp());
                let exact = exact.clamp(f64::from(factor) / 162_756.0, f64::from(factor));
                assert!((f64::from(sigmoid.of(logit)) - exact).abs() <= 2.0, "{logit}");
                assert!(sigmoid.of(logit) <= sigmoid.of(logit + 1));
            }
        }
    }
}
