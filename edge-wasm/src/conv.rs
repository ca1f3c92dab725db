//! What a convolution needs besides its input: its window, and its weights, however they are stored.
//!
//! As they are, signs or levels. *Nested*: convolutions of several widths read the same levels, each its highest bits of them.
//! *Shared*: the signs are fewer than the weights, and a hash says which of them is whose (Chen et al. 2015, "HashedNets",
//! arXiv 1504.04788), as deflate-inflate has it (Nazir et al. 2021, doi 10.1002/cpe.6593). Both are laid out when a model is
//! loaded, so that it runs as fast as any.

use std::borrow::Cow;
use std::iter;

use fogline::packed;
use serde::Serialize;

use crate::fog::Model;
use crate::op::{Blob, Kind, LARGEST, Shape, windows};

/// Knuth's multiplicative hash: a prime near 2^32 times the golden ratio.
const MULTIPLIER: u64 = 2_654_435_761;

/// A convolution's window and weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Conv {
    /// Side of the square kernel.
    pub k: u32,
    /// Distance of output pixels in input pixels.
    pub stride: u32,
    /// Zeros around the input.
    pub pad: u32,
    /// Output channels.
    pub outputs: u32,
    /// Bits a weight: 1 over signs, 2, 4 or 8 over levels.
    pub bits: u8,
    /// 1 bit: u64 words, outputs x k x k x ceil(inputs / 64). More: packed levels, k x k x inputs x outputs.
    pub weights: Blob,
    /// Above 0, the bits of the levels that the weights are stored as, whatever their own: the highest `bits` of a level,
    /// q, are the weight 2q + 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub nested: u8,
    /// Above 0, how many weights share each stored sign; weights are 1 bit, words of signs are stored.
    #[serde(skip_serializing_if = "is_zero")]
    pub share: u8,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

impl Conv {
    pub(crate) fn shape(
        &self,
        x: Shape,
        holds: impl Fn(Blob, u64, &str) -> Result<(), String>,
    ) -> Result<Shape, String> {
        let right = match self.bits {
            1 => Kind::Sign,
            2 | 4 | 8 => Kind::Level,
            bits => return Err(format!("weights of {bits} bits, where 1, 2, 4 and 8 are known")),
        };
        if x.kind != right {
            return Err(format!("weights of {} bits over a map of {:?}", self.bits, x.kind));
        }
        if self.pad >= self.k || self.outputs == 0 || self.outputs > LARGEST {
            return Err(
                "its padding is not below its kernel, or it has no or too many outputs".into()
            );
        }
        let shape = self.output(x)?;
        let products = u64::from(self.k) * u64::from(self.k) * x.c as u64;
        // An odd level of a nested weight goes as far as 2^bits - 1.
        let largest = match (self.bits, self.nested) {
            (1, _) => 1,
            (bits, 0) => 128 << (bits - 1),
            (bits, _) => 128 << bits,
        };
        if products * largest > i32::MAX as u64 {
            return Err(format!("sums of {products} products may overflow 32 bits"));
        }
        let weights = u64::from(self.outputs) * products;
        let bytes = match (self.nested, self.share, self.bits) {
            (0, 0, 1) => weights / x.c as u64 * x.words() as u64 * 8,
            (0, 0, bits) => (weights * u64::from(bits)).div_ceil(8),
            (nested @ (2 | 4), 0, bits) if bits <= nested => {
                (weights * u64::from(nested)).div_ceil(8)
            }
            (0, share @ 2..=16, 1) if weights.is_multiple_of(u64::from(share)) => {
                (weights / u64::from(share)).div_ceil(64) * 8
            }
            (nested, share, bits) => {
                return Err(format!(
                    "{weights} weights of {bits} bits, nested in {nested}, shared by {share}, cannot be stored so"
                ));
            }
        };
        holds(self.weights, bytes, "weights")?;
        Ok(shape)
    }

    /// The shape of this convolution over `x`.
    ///
    /// # Errors
    /// When the kernel does not fit into the padded map.
    pub fn output(&self, x: Shape) -> Result<Shape, String> {
        let (h, w) = windows(x, self.k, self.stride, self.pad)?;
        Ok(Shape { kind: Kind::Real, h, w, c: self.outputs as usize })
    }

    /// Taps, inputs, outputs.
    fn sizes(&self, x: Shape) -> [usize; 3] {
        [(self.k * self.k) as usize, x.c, self.outputs as usize]
    }

    /// The signs of 1-bit weights over `x`: outputs x taps x words.
    #[inline(never)]
    pub(crate) fn signs<'a>(&self, model: &'a Model, x: Shape) -> Cow<'a, [u64]> {
        let stored: &[u64] = if self.nested == 0 { model.tensor(self.weights) } else { &[] };
        if self.nested == 0 && self.share == 0 {
            return Cow::Borrowed(stored);
        }
        let [taps, inputs, outputs] = self.sizes(x);
        let mut words = vec![0; outputs * taps * x.words()];
        let mut set = |output: usize, tap: usize, input: usize| {
            words[(output * taps + tap) * x.words() + input / 64] |= 1 << (input % 64);
        };
        if self.share > 0 {
            // In the order of ONNX: outputs, inputs, taps.
            for (weight, value) in values(taps * inputs * outputs, self.share).enumerate() {
                if stored[value / 64] >> (value % 64) & 1 == 1 {
                    set(weight / taps / inputs, weight % taps, weight / taps % inputs);
                }
            }
        } else {
            for (at, level) in self.levels(model, x).into_iter().enumerate() {
                if level > 0 {
                    set(at % outputs, at / outputs / inputs, at / outputs % inputs);
                }
            }
        }
        Cow::Owned(words)
    }

    /// The levels of weights over `x`: taps x inputs x outputs.
    #[inline(never)]
    pub(crate) fn levels(&self, model: &Model, x: Shape) -> Vec<i8> {
        let stored = packed::levels(model.tensor(self.weights), self.nested.max(self.bits));
        let stored = stored.take(self.sizes(x).iter().product());
        match self.nested {
            0 => stored.collect(),
            nested => stored.map(|level| 2 * (level >> (nested - self.bits)) + 1).collect(),
        }
    }
}

/// Which value each of `count` weights has that share values by `share`. Every value has as many weights.
pub(crate) fn values(count: usize, share: u8) -> impl Iterator<Item = usize> {
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
