//! Entropy coding of feature maps: a map at the split takes fewer bytes in a frame than its packed elements do.
//!
//! A pair's [`Coder`] predicts every value of a map from values that were coded before it, and codes the value in as many bits as
//! it surprises. Channels are coded one after the other, each in rows. The prediction of a value is
//!
//! ```text
//! centre = bias + Σ weight · value
//! ```
//!
//! over four neighbours in the value's own channel (up-left, up, up-right, left), and over some values of earlier channels within a
//! pixel of its place. It is the centre of a discretised logistic distribution (Salimans et al. 2017, arXiv 1701.05517, equation
//! 2); for signs, this is a logistic regression. The recipe fits the model to a pair's training maps. All arithmetic is in integers,
//! so that every engine and the cloud compute the same bits.
//!
//! Of n levels, value i stands in the sums as 2i + 1 - n, so that signs are -1 and +1; of values of more than four bits, only the
//! highest four bits are seen. Outside the map there are zeros.

#![expect(
    clippy::inline_always,
    reason = "these run for every value, and the page's engine inlines little by itself"
)]

mod model;
mod range;
mod sigmoid;

use core::fmt;

use model::{LANES, Plane};
use range::{Decoder, Encoder};
use sigmoid::Sigmoid;

use crate::packed;

pub use model::{ModelError, VERSION};

/// Codes the maps of one pair. It is read from the pair's `split.coder`; docs/protocol.md describes the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coder {
    shape: [usize; 3],
    bits: u8,
    signed: bool,
    /// In the order in which they are coded.
    planes: Vec<Plane>,
    sigmoid: Sigmoid,
}

/// The bytes do not decode to exactly one map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotAMap;

impl fmt::Display for NotAMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the bytes do not decode to exactly one map")
    }
}

impl std::error::Error for NotAMap {}

impl Coder {
    /// The shape of a map: channels, height, width.
    pub fn shape(&self) -> [u32; 3] {
        self.shape.map(|side| side as u32)
    }

    /// Bits per element of a packed map: 1, 2, 4 or 8.
    pub fn bits(&self) -> u8 {
        self.bits
    }

    /// Whether levels may be negative.
    pub fn signed(&self) -> bool {
        self.signed
    }

    /// The length of a packed map in bytes.
    pub fn packed_len(&self) -> usize {
        (self.shape.iter().product::<usize>() * usize::from(self.bits)).div_ceil(8)
    }

    /// Codes a map, packed as in [`crate::packed`].
    ///
    /// # Panics
    /// If `packed` does not have the length of a map.
    pub fn encode(&self, packed: &[u8]) -> Vec<u8> {
        assert_eq!(packed.len(), self.packed_len(), "the map has another length than the coder's");
        let values = self.values(packed);
        let mut encoder = Encoder::new();
        let top = (1 << self.bits) - 1;
        self.walk(|plane, at, sums, row| {
            let mut before = 0;
            for ((sum, seen), &value) in sums.iter().zip(row).zip(&values[at..]) {
                let centre = sum + plane.left * before;
                if self.bits == 1 {
                    encoder.put_bit(value == 1, self.below_second(centre));
                } else {
                    let value = u16::from(value);
                    let from = if value == 0 { 0 } else { self.below(value, plane, centre) };
                    let to =
                        if value == top { 1 << 16 } else { self.below(value + 1, plane, centre) };
                    encoder.put(from, to);
                }
                before = self.seen(value);
                *seen = before;
            }
        });
        encoder.finish()
    }

    /// Decodes a map that [`Self::encode`] coded, to its packed elements.
    ///
    /// # Errors
    /// If the bytes are not those that [`Self::encode`] gives for the map: each map has one code. There is no checksum, so code that
    /// was cut or altered may be that of another map.
    pub fn decode(&self, coded: &[u8]) -> Result<Vec<u8>, NotAMap> {
        let mut values = vec![0_u8; self.shape.iter().product()];
        let mut decoder = Decoder::new(coded);
        self.walk(|plane, at, sums, row| {
            let places = sums.iter().zip(row).zip(&mut values[at..]);
            if self.bits == 1 {
                let (mut left, mut before) = (0, false);
                for ((sum, seen), value) in places {
                    // Both probabilities are there before the value on the left is decoded.
                    let [first, second] =
                        [sum - left, sum + left].map(|centre| self.below_second(centre));
                    before = decoder.take_bit(if before { second } else { first });
                    *value = before.into();
                    *seen = 2 * i16::from(before) - 1;
                    left = plane.left;
                }
            } else {
                let mut before = 0;
                for ((sum, seen), value) in places {
                    let centre = sum + plane.left * before;
                    *value = decoder.take(1 << self.bits, |value| self.below(value, plane, centre))
                        as u8;
                    before = self.seen(*value);
                    *seen = before;
                }
            }
        });
        if decoder.is_at_the_end() { Ok(self.packed(&values)) } else { Err(NotAMap) }
    }

    /// The probability that a value is below `value`, neither the first nor behind the last, in 2^-16.
    #[inline(always)]
    fn below(&self, value: u16, plane: &Plane, centre: i16) -> u32 {
        let edge = 2 * i32::from(value) - (1 << self.bits);
        self.sigmoid.of(edge * i32::from(plane.step) - i32::from(centre)) + u32::from(value)
    }

    /// [`Self::below`] the second of two values.
    #[inline(always)]
    fn below_second(&self, centre: i16) -> u32 {
        self.sigmoid.of(-i32::from(centre)) + 1
    }

    /// A value as others are predicted from it.
    #[inline(always)]
    fn seen(&self, value: u8) -> i16 {
        let centred = 2 * i16::from(value) + 1 - (1 << self.bits);
        centred >> self.bits.saturating_sub(model::SEEN_BITS)
    }

    /// Calls `code` for each row of each channel, in order: with the index of the row's first element, and its predictions without
    /// the values on the left; it fills in the row as [`Self::seen`].
    #[inline(always)]
    fn walk(&self, mut code: impl FnMut(&Plane, usize, &[i16], &mut [i16])) {
        let [_, h, w] = self.shape;
        let (stride, len) = (model::stride(w), model::plane_len(h, w));
        let mut seen = vec![0_i16; self.planes.len() * len + LANES];
        let mut sums = vec![0_i16; ((h - 1) * stride + w).next_multiple_of(LANES)];
        for (rank, plane) in self.planes.iter().enumerate() {
            // Some lanes at once stay in registers while all weights pass.
            for (at, lanes) in sums.chunks_exact_mut(LANES).enumerate() {
                let mut total = [plane.bias; LANES];
                for &(from, weight) in &plane.from {
                    let values = &seen[from + at * LANES..][..LANES];
                    for lane in 0..LANES {
                        total[lane] += weight * values[lane];
                    }
                }
                lanes.copy_from_slice(&total);
            }
            let own = &mut seen[rank * len..][..len];
            let [up_left, up, up_right] = plane.above;
            for y in 0..h {
                let (above, row) = own[y * stride..].split_at_mut(stride + 1);
                let sums = &mut sums[y * stride..][..w];
                for (sum, above) in sums.iter_mut().zip(above.windows(3)) {
                    *sum += up_left * above[0] + up * above[1] + up_right * above[2];
                }
                code(plane, (plane.channel * h + y) * w, sums, &mut row[..w]);
            }
        }
    }

    /// The values in a packed map: levels, counted from the lowest.
    fn values(&self, packed: &[u8]) -> Vec<u8> {
        let mut values = Vec::with_capacity(self.shape.iter().product::<usize>() + 7);
        let turned = self.turned();
        packed::elements(packed, self.bits).for_each(|element| values.push(element ^ turned));
        values
    }

    /// Packs what [`Self::values`] unpacks.
    fn packed(&self, values: &[u8]) -> Vec<u8> {
        packed::pack_elements(values.iter().map(|value| value ^ self.turned()), self.bits)
    }

    /// The bit that differs between a level in two's complement and the same level, counted from the lowest.
    fn turned(&self) -> u8 {
        if self.bits > 1 && self.signed { 1 << (self.bits - 1) } else { 0 }
    }
}
