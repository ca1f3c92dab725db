//! The byte layout of a quantised feature map.
//!
//! Elements are in channel-major order (C, H, W), as in ONNX. Each takes `bits` bits; the first
//! element is in the lowest bits of the first byte. At one bit an element is a sign: 1 is +1, 0 is
//! -1. At more bits it is an integer, the level of QONNX's `Quant` before its scale: in two's
//! complement or, if the manifest says so, unsigned.

use core::fmt;

/// The bit widths that an element may have.
pub const WIDTHS: [u8; 4] = [1, 2, 4, 8];

/// Why a map's bytes do not match its shape and bit width.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PackedError {
    /// The bit width is not one of [`WIDTHS`].
    Width(u8),
    /// The map is empty, or too large for memory.
    Shape([u32; 3]),
    /// The number of bytes is wrong.
    Length {
        /// The number of bytes that shape and bit width need.
        need: usize,
        /// The number of bytes given.
        got: usize,
    },
}

impl fmt::Display for PackedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Width(bits) => write!(f, "{bits} bits per element; use 1, 2, 4 or 8"),
            Self::Shape([c, h, w]) => write!(f, "a map of {c}x{h}x{w} is empty or too large"),
            Self::Length { need, got } => write!(f, "{got} bytes, but the shape needs {need}"),
        }
    }
}

impl std::error::Error for PackedError {}

/// The length in bytes of a packed map of `shape` (C, H, W) at `bits` bits per element.
///
/// # Errors
/// If the bit width is unknown, the shape is empty, or its size overflows 32 bits.
pub fn packed_len(shape: [u32; 3], bits: u8) -> Result<usize, PackedError> {
    if !WIDTHS.contains(&bits) {
        return Err(PackedError::Width(bits));
    }
    let elements = shape[0]
        .checked_mul(shape[1])
        .and_then(|n| n.checked_mul(shape[2]))
        .filter(|&n| n > 0)
        .ok_or(PackedError::Shape(shape))?;
    Ok((u64::from(elements) * u64::from(bits)).div_ceil(8) as usize)
}

/// Unpacks a map to one number per element: -1 or +1 at one bit, the integer level at more, which is `signed` or not.
///
/// # Errors
/// If `bytes` is not exactly [`packed_len`] long.
pub fn unpack(
    bytes: &[u8],
    shape: [u32; 3],
    bits: u8,
    signed: bool,
) -> Result<Vec<f32>, PackedError> {
    let need = packed_len(shape, bits)?;
    if bytes.len() != need {
        return Err(PackedError::Length { need, got: bytes.len() });
    }
    let elements = shape.iter().product::<u32>() as usize;
    let levels = levels(bytes, bits).take(elements);
    if signed || bits == 1 {
        Ok(levels.map(f32::from).collect())
    } else {
        Ok(levels.map(|level| f32::from(level as u8 & mask(bits))).collect())
    }
}

/// The levels in packed bytes, including those of the padding. `bits` must be one of [`WIDTHS`].
pub fn levels(bytes: &[u8], bits: u8) -> impl Iterator<Item = i8> {
    let above = 8 - bits;
    elements(bytes, bits).map(move |element| {
        // Shifting to the top of the byte and back extends the sign.
        let level = (element << above) as i8 >> above;
        if bits == 1 { -2 * level - 1 } else { level }
    })
}

/// The bits of each element in packed bytes, including those of the padding. `bits` must be one of [`WIDTHS`].
pub fn elements(bytes: &[u8], bits: u8) -> impl Iterator<Item = u8> {
    bytes.iter().flat_map(move |byte| {
        (0..8).step_by(bits.into()).map(move |place| byte >> place & mask(bits))
    })
}

/// The bits of an element of `bits` bits.
fn mask(bits: u8) -> u8 {
    (u16::from(u8::MAX) >> (8 - bits)) as u8
}

/// Packs integer levels; an unsigned one of 8 bits as the signed one with the same bits. At one bit, levels of 0 and above are +1.
///
/// # Errors
/// If the bit width is unknown.
pub fn pack(levels: impl Iterator<Item = i8>, bits: u8) -> Result<Vec<u8>, PackedError> {
    if !WIDTHS.contains(&bits) {
        return Err(PackedError::Width(bits));
    }
    let element = |level| if bits == 1 { u8::from(level >= 0) } else { level as u8 & mask(bits) };
    Ok(pack_elements(levels.map(element), bits))
}

/// Packs the bits of each element, as [`elements`] gives them. `bits` must be one of [`WIDTHS`].
pub fn pack_elements(mut elements: impl Iterator<Item = u8>, bits: u8) -> Vec<u8> {
    let mut bytes = Vec::with_capacity((elements.size_hint().0 * usize::from(bits)).div_ceil(8));
    while let Some(first) = elements.next() {
        let others = (bits..8).step_by(bits.into());
        bytes.push(
            others.zip(&mut elements).fold(first, |byte, (place, next)| byte | next << place),
        );
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_first_element_is_the_lowest_bit() {
        assert_eq!(pack([1, -1, -1, 1, -1, -1, -1, -1, 1].into_iter(), 1).unwrap(), [0b1001, 1]);
        assert_eq!(pack([1, -1, 7].into_iter(), 4).unwrap(), [0xf1, 0x07]);
    }

    #[test]
    fn a_wrong_length_or_width_is_refused() {
        assert_eq!(
            unpack(&[0; 3], [4, 2, 2], 1, true),
            Err(PackedError::Length { need: 2, got: 3 })
        );
        assert_eq!(packed_len([1, 1, 1], 3), Err(PackedError::Width(3)));
        assert_eq!(packed_len([u32::MAX, 2, 1], 1), Err(PackedError::Shape([u32::MAX, 2, 1])));
        assert_eq!(packed_len([0, 2, 1], 1), Err(PackedError::Shape([0, 2, 1])));
    }

    proptest! {
        #[test]
        fn unpack_undoes_pack(levels in proptest::collection::vec(-128i8..=127, 1..200), width in 0usize..4) {
            let bits = WIDTHS[width];
            let shape = [1, 1, levels.len() as u32];
            let bytes = pack(levels.iter().copied(), bits).unwrap();
            let back = unpack(&bytes, shape, bits, true).unwrap();
            let unsigned = unpack(&bytes, shape, bits, false).unwrap();
            let modulus = if bits == 1 { 1.0 } else { f32::from(bits).exp2() };
            prop_assert!(back.iter().zip(&unsigned).all(|(a, b)| (a - b).rem_euclid(modulus) == 0.0));
            prop_assert!(bits == 1 || unsigned.iter().all(|level| (0.0..modulus).contains(level)));
            for (&level, &value) in levels.iter().zip(&back) {
                let expected = match bits {
                    1 => if level >= 0 { 1.0 } else { -1.0 },
                    _ => f32::from((level << (8 - bits)) >> (8 - bits)),
                };
                prop_assert_eq!(value, expected);
            }
        }
    }
}
