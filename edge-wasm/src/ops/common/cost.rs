//! The cost of operations in the energy model.

/// What an operation costs per sample, as the energy model counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// The bit width that MACs and reads count at.
    pub bits: u8,
    /// Multiply-accumulates. Taps over the padding count, as in the usual formula.
    pub macs: u64,
    /// Weights and elements of the input map, each of which is read once.
    pub reads: u64,
}
