//! The sums over input channels: for each position in a tile, a matrix product over many tiles.

#![expect(clippy::inline_always, reason = "loops must take on their caller's target features")]

use crate::lanes::{Lanes, Processor};

/// Tiles whose sums are in registers at once: with two registers for each, twelve of AVX2's sixteen.
pub const ROWS: usize = 6;

/// Adds up, for each of `tiles` rows of `values` and each block of output channels, value times weight over the inputs.
///
/// `values` are (tiles, inputs), `weights` (output blocks, inputs) and `sums` (tiles, output blocks).
#[inline(always)]
pub fn product<P: Processor>(sums: &mut [Lanes], values: &[f32], weights: &[Lanes], inputs: usize) {
    let blocks = weights.len() / inputs;
    for (block, weights) in weights.chunks_exact(inputs).enumerate() {
        for (sums, values) in sums.chunks_mut(ROWS * blocks).zip(values.chunks(ROWS * inputs)) {
            match values.len() / inputs {
                1 => rows::<P, 1>(sums, values, weights, block, blocks),
                2 => rows::<P, 2>(sums, values, weights, block, blocks),
                3 => rows::<P, 3>(sums, values, weights, block, blocks),
                4 => rows::<P, 4>(sums, values, weights, block, blocks),
                5 => rows::<P, 5>(sums, values, weights, block, blocks),
                _ => rows::<P, ROWS>(sums, values, weights, block, blocks),
            }
        }
    }
}

#[inline(always)]
fn rows<P: Processor, const N: usize>(
    sums: &mut [Lanes],
    values: &[f32],
    weights: &[Lanes],
    block: usize,
    blocks: usize,
) {
    let inputs = weights.len();
    let rows: [&[f32]; N] = core::array::from_fn(|row| &values[row * inputs..][..inputs]);
    let mut sum = [Lanes::ZERO; N];
    for (input, &weight) in weights.iter().enumerate() {
        for row in 0..N {
            sum[row] = sum[row].plus::<P>(weight, rows[row][input]);
        }
    }
    for row in 0..N {
        sums[row * blocks + block] = sum[row];
    }
}
