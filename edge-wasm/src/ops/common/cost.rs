//! What operations cost.

/// What an operation costs a sample, in the energy model's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The width at which it counts.
    pub bits: u8,
    /// Multiplications and additions. Taps over the padding count, as in the usual formula.
    pub macs: u64,
    /// Weights and elements of the input map, each read once.
    pub reads: u64,
}
