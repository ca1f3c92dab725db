//! What a convolution needs besides its input: its window and its weights, in any storage form.
//!
//! *Plain* weights are stored as signs or levels. *Nested* weights are shared by convolutions of several bit widths, each of
//! which uses the highest bits of the same levels. *Shared* weights have fewer stored signs than weights, and a hash assigns
//! a sign to each weight (Chen et al. 2015, "HashedNets", arXiv 1504.04788), as in deflate-inflate (Nazir et al. 2021, doi
//! 10.1002/cpe.6593). Nested and shared weights are laid out when a model is loaded, so they run as fast as plain ones.

use serde::Serialize;

use super::cost::Cost;
use super::earlier::Earlier;
use super::fields::Fields;
use crate::kernel::Geometry;
use crate::tensor::{Blob, Data, Kind, LARGEST, Shape, windows};

/// A convolution's window and weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Filter {
    /// Side of the square kernel.
    pub k: u32,
    /// The distance of neighbouring output pixels, in input pixels.
    pub stride: u32,
    /// Padding on each side of the input.
    pub pad: u32,
    /// The number of output channels.
    pub outputs: u32,
    /// Bits per weight: 1 over signs; 2, 4 or 8 over levels.
    pub bits: u8,
    /// At 1 bit u64 words, outputs x k x k x ceil(inputs / 64); above, packed levels, k x k x inputs x outputs.
    pub weights: Blob,
    /// If above 0, the bits of the stored levels, of which the weights use the highest `bits`: a level of q in these bits is
    /// the weight 2q + 1.
    #[serde(skip_serializing_if = "is_zero")]
    pub nested: u8,
    /// If above 0, the number of weights that share each stored sign. Weights then have 1 bit.
    #[serde(skip_serializing_if = "is_zero")]
    pub share: u8,
    /// If above 0, the number of groups into which input and output channels are split, each convolved by itself; as many as
    /// channels make a depthwise convolution. Weights then have 1, 2, 4 or 8 bits over any quantised map and are packed as
    /// k x k x inputs of a group x outputs.
    #[serde(skip_serializing_if = "is_zero")]
    pub groups: u32,
}

/// Whether a number is left out of the JSON.
pub(in crate::ops) fn is_zero<N: Default + PartialEq>(number: &N) -> bool {
    *number == N::default()
}

impl Filter {
    /// Reads the fields of an operation with a filter.
    #[inline(never)]
    pub(in crate::ops) fn read(of: Fields) -> Result<Self, String> {
        let of = Fields(of.get("conv")?);
        Ok(Self {
            k: of.number("k")?,
            stride: of.number("stride")?,
            pad: of.number("pad")?,
            outputs: of.number("outputs")?,
            bits: of.number("bits")?,
            weights: of.blob("weights")?,
            nested: of.or_zero("nested")?,
            share: of.or_zero("share")?,
            groups: of.or_zero("groups")?,
        })
    }

    /// The shape of this convolution over the result of operation `x`. Also checks the length of its weights.
    #[inline(never)]
    pub(in crate::ops) fn shape(&self, x: usize, earlier: &Earlier) -> Result<Shape, String> {
        let x = earlier.of(x)?;
        match (self.bits, x.kind) {
            (1 | 2 | 4 | 8, Kind::Sign | Kind::Level | Kind::Byte) if self.groups > 0 => {}
            (1, Kind::Sign) | (2 | 4 | 8, Kind::Level | Kind::Byte) => {}
            (1 | 2 | 4 | 8, kind) => {
                return Err(format!("weights of {} bits over a map of {kind:?}", self.bits));
            }
            (bits, _) => return Err(format!("weights of {bits} bits; use 1, 2, 4 or 8")),
        }
        if self.pad >= self.k || self.outputs == 0 || self.outputs > LARGEST {
            return Err(
                "its padding is not below its kernel, or it has no or too many outputs".into()
            );
        }
        let shape = self.output(x)?;
        let groups = self.groups();
        if !x.c.is_multiple_of(groups) || !(self.outputs as usize).is_multiple_of(groups) {
            return Err(format!("{} channels to {} are not {groups} groups", x.c, self.outputs));
        }
        let products = u64::from(self.k) * u64::from(self.k) * (x.c / groups) as u64;
        // A nested weight is odd, and goes up to 2^bits - 1.
        let level = u64::from(x.kind.largest());
        let largest = match (self.bits, self.nested) {
            (1, _) => level,
            (bits, 0) => level << (bits - 1),
            (bits, _) => level << bits,
        };
        if products * largest > i32::MAX as u64 {
            return Err(format!("sums of {products} products may overflow 32 bits"));
        }
        let weights = u64::from(self.outputs) * products;
        let bytes = match (self.nested, self.share, self.bits) {
            (0, 0, bits) if self.groups > 0 => (weights * u64::from(bits)).div_ceil(8),
            (0, 0, 1) => weights / x.c as u64 * x.words() as u64 * 8,
            (0, 0, bits) => (weights * u64::from(bits)).div_ceil(8),
            (nested @ (2 | 4), 0, bits) if bits <= nested && self.groups == 0 => {
                (weights * u64::from(nested)).div_ceil(8)
            }
            (0, share @ 2..=16, 1)
                if weights.is_multiple_of(u64::from(share)) && self.groups == 0 =>
            {
                (weights / u64::from(share)).div_ceil(64) * 8
            }
            (nested, share, bits) => {
                return Err(format!(
                    "{weights} weights of {bits} bits cannot be nested in {nested} or shared by {share}"
                ));
            }
        };
        earlier.holds(self.weights, bytes, "weights")?;
        Ok(shape)
    }

    /// The shape of this convolution over a map of shape `x`.
    ///
    /// # Errors
    /// If the kernel does not fit the padded map.
    pub fn output(&self, x: Shape) -> Result<Shape, String> {
        let (h, w) = windows(x, self.k, self.stride, (self.pad, 0))?;
        Ok(Shape { kind: Kind::Real, h, w, c: self.outputs as usize })
    }

    /// The number of groups of channels, 1 if they are not split.
    pub(in crate::ops) fn groups(&self) -> usize {
        self.groups.max(1) as usize
    }

    /// The geometry of this convolution over a map of shape `x`.
    pub fn geometry(&self, x: Shape) -> Geometry {
        let (k, stride, pad) = (self.k as usize, self.stride as usize, self.pad as usize);
        let side = |length: usize| (length + 2 * pad - k) / stride + 1;
        let out = (side(x.h), side(x.w));
        Geometry { x, out, outputs: self.outputs as usize, k, stride, pad }
    }

    /// Checks that signs beyond the channels are 0: kernels that count whole words would include them, others would not.
    pub(in crate::ops) fn check(&self, data: &Data, x: Shape) -> Result<(), String> {
        let beyond = u64::MAX.checked_shl((x.c % 64) as u32).filter(|_| !x.c.is_multiple_of(64));
        let (Some(beyond), (1, 0, 0, 0)) =
            (beyond, (self.bits, self.nested, self.share, self.groups))
        else {
            return Ok(()); // Other weights are unpacked to exactly as many signs as there are channels.
        };
        let words: &[u64] = data.tensor(self.weights);
        let last = words.iter().skip(x.words() - 1).step_by(x.words());
        if last.into_iter().any(|word| word & beyond != 0) {
            return Err(format!("its weights have signs beyond the {} channels", x.c));
        }
        Ok(())
    }

    /// The cost of this convolution over `x`, at the bit width of its weights.
    pub(in crate::ops) fn cost(&self, x: Shape) -> Cost {
        let g = self.geometry(x);
        let products = g.k * g.k * g.x.c / self.groups();
        let (macs, weights) = (g.out.0 * g.row_len() * products, g.outputs * products);
        Cost { bits: self.bits, macs: macs as u64, reads: (weights + g.x.len()) as u64 }
    }

    /// The bytes that it needs over `x`, on the backend that needs most.
    pub(crate) fn memory(&self, x: Shape) -> u64 {
        let (outputs, taps) = (u64::from(self.outputs), u64::from(self.k).pow(2));
        let (channels, pixels) = (x.c as u64, (x.h * x.w) as u64);
        let weights = if self.groups > 0 {
            // Weights as stored, by byte and laid out; a map of 16 bits, twice if it is not depthwise, else with whole pairs of
            // rows, padding and up to three more pixels, and its signs by byte; and each group's runs.
            let aside = 2 * u64::from(self.pad) + 3 * u64::from(self.stride);
            let padded = (x.h as u64 + 1) * (x.w as u64 + aside);
            let inputs = channels / self.groups() as u64;
            let laid_out = outputs.next_multiple_of(16) * 16 * taps * inputs.next_multiple_of(4);
            laid_out
                + (8 * pixels).max(2 * padded + pixels) * channels.next_multiple_of(16)
                + u64::from(self.groups) * 24 * taps
        } else if self.bits == 1 {
            let words = outputs * channels.div_ceil(64) * 8;
            words.max(outputs.next_multiple_of(64) * channels.div_ceil(8)) * taps
        } else {
            // Pairs of 16 bits, for weights and map; or quads of bytes, with a sum for each pixel.
            let (pairs, quads) = (4 * channels.div_ceil(2), 4 * channels.div_ceil(4));
            outputs.next_multiple_of(16) * taps * pairs.max(quads) + pixels * pairs.max(quads + 4)
        };
        // Unpacking shared or nested signs takes time per weight.
        let unfolded = if self.share + self.nested > 0 { outputs * taps * channels } else { 0 };
        // Runs of taps, and thresholds with two sets of limits.
        weights + unfolded + 24 * taps + 13 * outputs.next_multiple_of(64)
    }
}
