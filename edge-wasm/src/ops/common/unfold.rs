//! Unpacking of a convolution's stored weights for the kernels.

use std::borrow::Cow;
use std::iter;

use fogline::packed;

use super::filter::Filter;
use crate::tensor::{Data, Shape};

/// Knuth's multiplicative hash: a prime near 2^32 times the golden ratio.
const MULTIPLIER: u64 = 2_654_435_761;

impl Filter {
    /// Numbers of taps, inputs of an output, and outputs.
    fn sizes(&self, x: Shape) -> [usize; 3] {
        [(self.k * self.k) as usize, x.c / self.groups(), self.outputs as usize]
    }

    /// The signs of 1-bit weights over `x`: outputs x taps x words.
    #[inline(never)]
    pub(in crate::ops) fn signs<'a>(&self, data: &'a Data, x: Shape) -> Cow<'a, [u64]> {
        let stored: &[u64] = if self.nested == 0 { data.tensor(self.weights) } else { &[] };
        if self.nested == 0 && self.share == 0 {
            return Cow::Borrowed(stored);
        }
        let [taps, inputs, outputs] = self.sizes(x);
        let mut words = vec![0; outputs * taps * x.words()];
        let mut set = |output: usize, tap: usize, input: usize| {
            words[(output * taps + tap) * x.words() + input / 64] |= 1 << (input % 64);
        };
        if self.share > 0 {
            // In ONNX's order: outputs, inputs, taps.
            for (weight, value) in values(taps * inputs * outputs, self.share).enumerate() {
                if stored[value / 64] >> (value % 64) & 1 == 1 {
                    set(weight / taps / inputs, weight % taps, weight / taps % inputs);
                }
            }
        } else {
            for (at, level) in self.levels(data, x).into_iter().enumerate() {
                if level > 0 {
                    set(at % outputs, at / outputs / inputs, at / outputs % inputs);
                }
            }
        }
        Cow::Owned(words)
    }

    /// The levels of weights over `x`: taps x inputs x outputs.
    #[inline(never)]
    pub(in crate::ops) fn levels(&self, data: &Data, x: Shape) -> Vec<i8> {
        let stored = packed::levels(data.tensor(self.weights), self.nested.max(self.bits));
        let stored = stored.take(self.sizes(x).iter().product());
        match self.nested {
            0 => stored.collect(),
            nested => stored.map(|level| 2 * (level >> (nested - self.bits)) + 1).collect(),
        }
    }
}

/// The index of the stored value for each of `count` weights, if `share` weights share each value. All values have equally
/// many weights.
pub fn values(count: usize, share: u8) -> impl Iterator<Item = usize> {
    let size = (count / usize::from(share)) as u64;
    let factors =
        iter::successors(Some(1 % size), move |power| Some(power * (MULTIPLIER % size) % size));
    factors.take(usize::from(share)).flat_map(move |factor| {
        // Multiples of the factor, modulo the size.
        let next =
            move |at: &u64| Some(if at + factor < size { at + factor } else { at + factor - size });
        iter::successors(Some(0), next).take(size as usize).map(|at| at as usize)
    })
}
