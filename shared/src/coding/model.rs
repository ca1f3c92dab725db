//! The file of a coder, `split.coder`.

use core::fmt;

use super::Coder;
use super::sigmoid::Sigmoid;
use crate::packed::WIDTHS;

/// The version of the file that this crate reads.
pub const VERSION: u8 = 1;
/// The highest bits of a value that others are predicted from.
pub const SEEN_BITS: u8 = 4;

/// Sums that are added up at once.
pub const LANES: usize = 40;

const MAGIC: [u8; 4] = *b"FOGC";
const HEADER: usize = 18;
/// The most values of a map: as many bytes as a frame holds.
const MOST_VALUES: usize = 1 << 20;
/// The values around a place that it may be predicted from, in each earlier channel.
const AROUND: usize = 9;

/// How the values of a channel are predicted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plane {
    pub channel: usize,
    pub bias: i16,
    /// Half the distance between two levels in the logistic distribution.
    pub step: u16,
    /// The weights of the values up-left, up and up-right.
    pub above: [i16; 3],
    /// The weight of the value on the left.
    pub left: i16,
    /// Where values of earlier channels start, for the value in the channel's first place, and their weights.
    pub from: Vec<(usize, i16)>,
}

/// Why bytes are no coder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelError {
    /// The first four bytes are not a coder's.
    Magic,
    /// The file has another version, given here.
    Version(u8),
    /// The file is shorter or longer than it says.
    Length,
    /// A number is not allowed: which, and why.
    Number(&'static str),
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic => f.write_str("it is not a coder"),
            Self::Version(version) => {
                write!(f, "it has version {version}, this version of Fogline reads {VERSION}")
            }
            Self::Length => f.write_str("it is shorter or longer than it says"),
            Self::Number(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for ModelError {}

/// Values between the starts of two rows: a zero before each row is also behind the row above.
pub fn stride(w: usize) -> usize {
    w + 1
}

/// Values of a channel with zeros around it.
pub fn plane_len(h: usize, w: usize) -> usize {
    (h + 2) * stride(w) + 1
}

impl Coder {
    /// Reads a coder from the bytes of `split.coder`.
    ///
    /// # Errors
    /// If the bytes are not exactly one coder, or a prediction could overflow.
    pub fn read(file: &[u8]) -> Result<Self, ModelError> {
        let Some((&[m0, m1, m2, m3, version, bits, signed, unit, ref sizes @ ..], rest)) =
            file.split_first_chunk::<HEADER>()
        else {
            return Err(if MAGIC.starts_with(&file[..file.len().min(4)]) {
                ModelError::Length
            } else {
                ModelError::Magic
            });
        };
        if [m0, m1, m2, m3] != MAGIC {
            return Err(ModelError::Magic);
        }
        if version != VERSION {
            return Err(ModelError::Version(version));
        }
        let &[c0, c1, h0, h1, w0, w1, f0, f1, f2, f3] = sizes;
        let shape = [[c0, c1], [h0, h1], [w0, w1]].map(|side| u16::from_le_bytes(side).into());
        let [c, h, w]: [usize; 3] = shape;
        let from = u32::from_le_bytes([f0, f1, f2, f3]) as usize;
        if !WIDTHS.contains(&bits) || signed > 1 || !(Sigmoid::UNIT..=8).contains(&unit) {
            return Err(ModelError::Number("its bits, sign or unit is not known"));
        }
        if shape.contains(&0) || c.saturating_mul(h).saturating_mul(w) > MOST_VALUES {
            return Err(ModelError::Number("its maps are empty or too large"));
        }
        if rest.len() as u64 != 12 * c as u64 + 3 * from as u64 {
            return Err(ModelError::Length);
        }
        let coder = Self {
            shape,
            bits,
            signed: signed == 1,
            planes: planes(rest, shape, from)?,
            // Every value keeps a probability of at least 2^-16.
            sigmoid: Sigmoid::new(unit, 65_536 - (1 << bits)),
        };
        coder.check().map_err(ModelError::Number)?;
        Ok(coder)
    }

    /// Checks that every channel is coded once, and that no sum of a prediction overflows.
    fn check(&self) -> Result<(), &'static str> {
        let mut there = vec![false; self.planes.len()];
        // No value in a sum is larger, of either sign.
        let most = 1 << self.bits.min(SEEN_BITS);
        for plane in &self.planes {
            match there.get_mut(plane.channel) {
                Some(there) if !*there => *there = true,
                _ => return Err("its channels are not each coded once"),
            }
            let own = plane.above.iter().chain([&plane.left]);
            let weights = plane.from.iter().map(|(_, weight)| weight).chain(own);
            let sum: u64 = weights.map(|weight| u64::from(weight.unsigned_abs())).sum();
            if u64::from(plane.bias.unsigned_abs()) + most * sum > i16::MAX as u64 {
                return Err("the sum of a prediction could overflow");
            }
            if plane.step > i16::MAX as u16 {
                return Err("a step is too large");
            }
        }
        Ok(())
    }
}

/// The planes of maps of this shape, of which `all` values of earlier channels have a weight.
fn planes(bytes: &[u8], [c, h, w]: [usize; 3], all: usize) -> Result<Vec<Plane>, ModelError> {
    let (channels, rest) = bytes.split_at(2 * c);
    let (biases, rest) = rest.split_at(2 * c);
    let (steps, rest) = rest.split_at(2 * c);
    let (own, rest) = rest.split_at(4 * c);
    let (counts, rest) = rest.split_at(2 * c);
    let (low, rest) = rest.split_at(all);
    let (high, weights) = rest.split_at(all);
    let word = |bytes: &[u8], at: usize| u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]]);
    let mut next = 0;
    let planes = (0..c).map(|rank| {
        let count = usize::from(word(counts, rank));
        let mut place = 0;
        let from = (next..next + count).map(|at| {
            let [low, high, weight] = [low, high, weights].map(|bytes| bytes.get(at).copied());
            let (low, high, weight) =
                low.zip(high).zip(weight).map(|((l, h), w)| (l, h, w)).ok_or(ModelError::Length)?;
            // Places are listed in order, each but the first by its distance to the one before.
            let distance = usize::from(u16::from_le_bytes([low, high]));
            place += distance;
            if place >= AROUND * rank || (at > next && distance == 0) {
                return Err(ModelError::Number(
                    "a place is not in an earlier channel, or comes twice",
                ));
            }
            let (of, around) = (place / AROUND, place % AROUND);
            let start = of * plane_len(h, w) + around / 3 * stride(w) + around % 3;
            Ok((start, i16::from(weight.cast_signed())))
        });
        let from = from.collect::<Result<Vec<_>, _>>()?;
        next += count;
        let [up_left, up, up_right, left] =
            core::array::from_fn(|at| i16::from(own[4 * rank + at].cast_signed()));
        Ok(Plane {
            channel: word(channels, rank).into(),
            bias: word(biases, rank).cast_signed(),
            step: word(steps, rank),
            above: [up_left, up, up_right],
            left,
            from,
        })
    });
    let planes = planes.collect::<Result<Vec<_>, _>>()?;
    if next == all { Ok(planes) } else { Err(ModelError::Length) }
}
