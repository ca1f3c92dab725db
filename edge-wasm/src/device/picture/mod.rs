//! From pictures to the model's input: the same pixels on page and gateway.
//!
//! A picture is cropped to its central square and scaled with a triangle filter, which averages
//! when it shrinks. Transparent parts are put on white.

#[cfg(any(feature = "pictures", all(test, not(target_family = "wasm"))))]
mod crop;
#[cfg(any(feature = "pictures", all(test, not(target_family = "wasm"))))]
mod file;
#[cfg(any(feature = "pictures", all(test, not(target_family = "wasm"))))]
mod header;
#[cfg(all(test, not(target_family = "wasm")))]
mod photographs;
mod scale;

use core::fmt;

#[cfg(any(feature = "pictures", all(test, not(target_family = "wasm"))))]
pub use crop::Crop;
#[cfg(any(feature = "pictures", all(test, not(target_family = "wasm"))))]
pub use file::{decode, decode_part};

/// The default limit of a picture's pixels: 50 megapixels, as phones count them.
pub const MOST_PIXELS: u64 = 52_000_000;

/// Why something is not a picture that can be classified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureError {
    /// Not a picture, or of a format that is not known here.
    Unknown,
    /// A picture of the named format, which is not supported.
    Format(&'static str),
    /// A JPEG, PNG or WebP file that is truncated or damaged.
    Damaged(String),
    /// More pixels than are allowed, or a side of 0.
    Size {
        /// Pixels per row.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit of pixels.
        most: u64,
    },
    /// Decoding needs more memory than any picture within the limit should.
    Memory,
    /// The RGBA bytes are not `width * height * 4`.
    Bytes {
        /// The bytes that the size needs.
        need: u64,
        /// The bytes that were given.
        got: u64,
    },
}

impl PictureError {
    /// The stable error code, such as `picture_size`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown | Self::Format(_) => "picture_unknown",
            Self::Damaged(_) => "picture_damaged",
            Self::Size { .. } | Self::Memory | Self::Bytes { .. } => "picture_size",
        }
    }
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not a picture: give a JPEG, PNG or WebP file"),
            Self::Format(name) => write!(f, "a picture in {name}: give a JPEG, PNG or WebP file"),
            Self::Damaged(why) => write!(f, "the picture is cut short or damaged: {why}"),
            Self::Size { width, height, most } => {
                write!(f, "the picture has {width}x{height} pixels, but 1 to {most} are allowed")
            }
            Self::Memory => {
                f.write_str("the picture needs more memory than its pixels should take")
            }
            Self::Bytes { need, got } => {
                write!(f, "{got} bytes of RGBA, but the size needs {need}")
            }
        }
    }
}

impl std::error::Error for PictureError {}

fn check_size(width: u32, height: u32, most: u64) -> Result<(), PictureError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > most {
        return Err(PictureError::Size { width, height, most });
    }
    Ok(())
}

/// Crops and scales RGBA bytes to `size` x `size` RGB bytes.
///
/// # Errors
/// If the bytes do not match the size, or the size has a side of 0 or too many pixels.
pub fn from_rgba(rgba: &[u8], width: u32, height: u32, size: u32) -> Result<Vec<u8>, PictureError> {
    check_size(width, height, MOST_PIXELS)?;
    let need = u64::from(width) * u64::from(height) * 4;
    if rgba.len() as u64 != need {
        return Err(PictureError::Bytes { need, got: rgba.len() as u64 });
    }
    Ok(fit(rgba, width, height, size))
}

/// [`from_rgba`] after its checks.
fn fit(rgba: &[u8], width: u32, height: u32, size: u32) -> Vec<u8> {
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let pixels = rgba.as_chunks::<4>().0;
    let row = |y: u32, line: &mut [[u8; 3]]| {
        let start = (top + y) as usize * width as usize + left as usize;
        for (shown, &[r, g, b, alpha]) in line.iter_mut().zip(&pixels[start..]) {
            let on_white = |v: u8| {
                let (v, alpha) = (u32::from(v), u32::from(alpha));
                ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            };
            *shown = [r, g, b].map(on_white);
        }
    };
    scale::scale(side, size, row)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_size_passes_untouched_and_transparency_stands_on_white() {
        let rgba = [10, 20, 30, 255, 0, 0, 0, 0, 255, 0, 0, 128, 1, 2, 3, 255];
        let rgb = from_rgba(&rgba, 2, 2, 2).unwrap();
        assert_eq!(rgb, [10, 20, 30, 255, 255, 255, 255, 127, 127, 1, 2, 3]);
    }

    #[test]
    fn an_oblong_is_cut_to_its_middle() {
        let grey = |v: u8| [v, v, v, 255];
        let rgba: Vec<u8> = [9, 5, 5, 9].iter().flat_map(|&v| grey(v)).collect();
        assert_eq!(from_rgba(&rgba, 4, 1, 1), Ok(vec![5, 5, 5]));
        assert_eq!(from_rgba(&rgba, 1, 4, 1), Ok(vec![5, 5, 5]));
    }

    #[test]
    fn sizes_out_of_bounds_are_refused() {
        let size = |width, height| Err(PictureError::Size { width, height, most: MOST_PIXELS });
        assert_eq!(from_rgba(&[], 0, 5, 2), size(0, 5));
        assert_eq!(from_rgba(&[], 20_000, 20_000, 2), size(20_000, 20_000));
        assert_eq!(from_rgba(&[0; 7], 1, 2, 2), Err(PictureError::Bytes { need: 8, got: 7 }));
    }
}
