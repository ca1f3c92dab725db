//! The sums over input channels: for each position in a tile, a matrix product over many tiles.

#![expect(clippy::inline_always, reason = "loops must take on their caller's target features")]

use crate::lanes::{LANES, Lanes};
use crate::processor::Processor;

/// Adds up, for each tile and each block of output channels, value times weight over the inputs.
///
/// Tiles come in groups of `rows`, whose sums are in registers at once. `values` are (groups, input blocks, rows), `weights`
/// (output blocks, inputs) and `sums` (groups, output blocks, rows).
#[inline(always)]
pub fn product<P: Processor>(
    sums: &mut [Lanes],
    values: &[Lanes],
    weights: &[Lanes],
    inputs: usize,
    rows: usize,
) {
    macro_rules! with {
        ($($n:literal)*) => {
            match rows {
                $($n if $n <= P::ROWS => groups::<P, $n>(sums, values, weights, inputs),)*
                _ => unreachable!("at most {} rows", P::ROWS),
            }
        };
    }
    with!(1 2 3 4 5 6 7 8 9 10 11 12);
}

#[inline(always)]
fn groups<P: Processor, const ROWS: usize>(
    sums: &mut [Lanes],
    values: &[Lanes],
    weights: &[Lanes],
    inputs: usize,
) {
    let (sums, _) = sums.as_chunks_mut::<ROWS>();
    let (values, _) = values.as_chunks::<ROWS>();
    let (weights, _) = weights.as_chunks::<LANES>();
    let outputs = weights.len() / inputs;
    // A block's weights are read from the nearest cache for all groups but the first.
    for (output, weights) in weights.chunks_exact(inputs).enumerate() {
        let groups = sums.chunks_exact_mut(outputs).zip(values.chunks_exact(inputs));
        for (sums, values) in groups {
            let (mut even, mut odd) = ([Lanes::ZERO; ROWS], [Lanes::ZERO; ROWS]);
            for (values, weights) in values.iter().zip(weights) {
                for (pair, &[first, second]) in weights.as_chunks::<2>().0.iter().enumerate() {
                    for row in 0..ROWS {
                        even[row] = add::<P>(even[row], first, values[row].0[2 * pair]);
                    }
                    // Few sums would wait for each other, so every second product has sums of its own.
                    for row in 0..ROWS {
                        let value = values[row].0[2 * pair + 1];
                        if 2 * ROWS <= P::ROWS {
                            odd[row] = add::<P>(odd[row], second, value);
                        } else {
                            even[row] = add::<P>(even[row], second, value);
                        }
                    }
                }
            }
            for row in 0..ROWS {
                even[row] = even[row] + odd[row];
            }
            sums[output] = even;
        }
    }
}

/// The sum of `sum` and `weight` times `value`.
#[inline(always)]
fn add<P: Processor>(sum: Lanes, weight: Lanes, value: f32) -> Lanes {
    // SAFETY: the caller chose the processor that it runs on.
    unsafe { P::multiply_add(sum, weight, value) }
}
