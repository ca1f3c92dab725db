//! Pictures to what the model takes: the same pixels on page and gateway.
//!
//! A picture is cut to its central square and scaled with a triangle filter, which averages
//! when it shrinks. Transparent parts stand on white.

use core::fmt;

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// The most pixels that a picture may have.
pub const MOST_PIXELS: u64 = 40_000_000;

/// How far before the end of the file a JPEG's end marker may lie.
#[cfg(feature = "gateway")]
const MOST_PADDING: usize = 4096;

/// Why something is not a picture that can be classified.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PictureError {
    /// Neither JPEG nor PNG.
    Unknown,
    /// Begins like a picture, but is cut short or damaged.
    Damaged(String),
    /// Has more than [`MOST_PIXELS`], or a side of 0.
    Size {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The RGBA bytes are not `width * height * 4`.
    Bytes {
        /// Bytes that the size calls for.
        need: u64,
        /// Bytes that are there.
        got: u64,
    },
}

impl PictureError {
    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Unknown => "picture_unknown",
            Self::Damaged(_) => "picture_damaged",
            Self::Size { .. } | Self::Bytes { .. } => "picture_size",
        }
    }
}

impl fmt::Display for PictureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("not a picture: give a JPEG or PNG file"),
            Self::Damaged(why) => write!(f, "the picture is cut short or damaged: {why}"),
            Self::Size { width, height } => write!(
                f,
                "a picture of {width}x{height} pixels, where 1 to {MOST_PIXELS} pixels are allowed"
            ),
            Self::Bytes { need, got } => {
                write!(f, "{got} bytes of RGBA, where the size calls for {need}")
            }
        }
    }
}

impl std::error::Error for PictureError {}

fn check_size(width: u32, height: u32) -> Result<(), PictureError> {
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > MOST_PIXELS {
        return Err(PictureError::Size { width, height });
    }
    Ok(())
}

/// Cuts and scales RGBA bytes to `size` x `size` RGB bytes.
///
/// # Errors
/// When the bytes do not match the size, or the size is out of bounds.
pub fn from_rgba(rgba: &[u8], width: u32, height: u32, size: u32) -> Result<Vec<u8>, PictureError> {
    check_size(width, height)?;
    let need = u64::from(width) * u64::from(height) * 4;
    if rgba.len() as u64 != need {
        return Err(PictureError::Bytes { need, got: rgba.len() as u64 });
    }
    let side = width.min(height);
    let (left, top) = ((width - side) / 2, (height - side) / 2);
    let square = RgbImage::from_fn(side, side, |x, y| {
        let at = ((u64::from(top + y) * u64::from(width) + u64::from(left + x)) * 4) as usize;
        let [r, g, b, alpha] = rgba[at..at + 4].try_into().expect("four bytes");
        let on_white = |v: u8| {
            let (v, alpha) = (u32::from(v), u32::from(alpha));
            ((v * alpha + 255 * (255 - alpha) + 127) / 255) as u8
        };
        Rgb([r, g, b].map(on_white))
    });
    if side == size {
        return Ok(square.into_raw());
    }
    Ok(imageops::resize(&square, size, size, FilterType::Triangle).into_raw())
}

/// Decodes a JPEG or PNG file to `size` x `size` RGB bytes. The size in the header is checked
/// before anything is allocated.
///
/// # Errors
/// When it is no picture, a damaged one, or too large.
#[cfg(feature = "gateway")]
pub fn decode(file: &[u8], size: u32) -> Result<Vec<u8>, PictureError> {
    use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};
    use std::io::Cursor;

    let damaged = |error: image::ImageError| PictureError::Damaged(error.to_string());
    let Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) = image::guess_format(file) else {
        return Err(PictureError::Unknown);
    };
    // Decoders fill what is missing of a JPEG with grey; a cut picture must not pass for a whole one.
    let ends = |file: &[u8]| file.windows(2).rev().take(MOST_PADDING).any(|w| w == [0xff, 0xd9]);
    if format == ImageFormat::Jpeg && !ends(file) {
        return Err(PictureError::Damaged("it has no end marker".into()));
    }
    let mut decoder =
        ImageReader::with_format(Cursor::new(file), format).into_decoder().map_err(damaged)?;
    check_size(decoder.dimensions().0, decoder.dimensions().1)?;
    let orientation = decoder.orientation().map_err(damaged)?;
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_PIXELS * 12);
    decoder.set_limits(limits).map_err(damaged)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    // As browsers do: a telephone's upright picture is often stored lying on its side.
    picture.apply_orientation(orientation);
    let picture = picture.into_rgba8();
    let (width, height) = picture.dimensions();
    from_rgba(&picture, width, height, size)
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
        let size = |width, height| Err(PictureError::Size { width, height });
        assert_eq!(from_rgba(&[], 0, 5, 2), size(0, 5));
        assert_eq!(from_rgba(&[], 20_000, 20_000, 2), size(20_000, 20_000));
        assert_eq!(from_rgba(&[0; 7], 1, 2, 2), Err(PictureError::Bytes { need: 8, got: 7 }));
    }
}
