//! The picture formats that are an alternative to a feature map.

use anyhow::{Result, anyhow};
use libjpeg_turbo_rs::{PixelFormat, Subsampling, compress};
use serde::{Deserialize, Serialize};

/// What a picture is sent as.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Format {
    #[serde(rename = "JPEG")]
    Jpeg,
    #[serde(rename = "WebP")]
    Webp,
    /// The dataset's own JPEG, unchanged.
    #[serde(rename = "own JPEG")]
    Own,
}

impl Format {
    /// Those that encode at a quality.
    pub const CODECS: [Self; 2] = [Self::Jpeg, Self::Webp];

    pub fn name(self) -> &'static str {
        match self {
            Self::Jpeg => "JPEG",
            Self::Webp => "WebP",
            Self::Own => "own JPEG",
        }
    }

    /// Encodes `size` x `size` RGB pixels, with half the resolution of colours and otherwise the library's defaults.
    pub fn encode(self, rgb: &[u8], size: u32, quality: u8) -> Result<Vec<u8>> {
        match self {
            Self::Webp => {
                let encoder = webp::Encoder::from_rgb(rgb, size, size);
                let file = encoder.encode_simple(false, f32::from(quality));
                Ok(file.map_err(|why| anyhow!("libwebp: {why:?}"))?.to_vec())
            }
            Self::Jpeg | Self::Own => {
                let side = size as usize;
                Ok(compress(rgb, side, side, PixelFormat::Rgb, quality, Subsampling::S420)?)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use fogline_edge::device::picture::{MOST_PIXELS, decode};

    use super::*;

    const SIZE: u32 = 48;

    /// A soft gradient with a bright disc: smooth areas and an edge, as in photographs.
    fn picture() -> Vec<u8> {
        let pixel = |x: u32, y: u32| {
            let disc = if (x - 24).pow(2) + (y - 24).pow(2) < 200 { 80 } else { 0 };
            [(3 * x + disc) as u8, (2 * y + x + disc) as u8, (2 * x + disc) as u8]
        };
        let at = |i: u32| pixel(24 + i % SIZE / 2, 24 + i / SIZE / 2);
        (0..SIZE * SIZE).flat_map(at).collect()
    }

    #[test]
    fn a_higher_quality_takes_more_bytes_and_is_nearer_to_the_picture() {
        let rgb = picture();
        for format in Format::CODECS {
            let [low, middle, high] = [5, 50, 95].map(|quality| {
                let file = format.encode(&rgb, SIZE, quality).unwrap();
                let decoded = decode(&file, SIZE, MOST_PIXELS).unwrap();
                let off = rgb.iter().zip(&decoded).map(|(a, b)| f64::from(a.abs_diff(*b)));
                (file.len(), off.sum::<f64>() / rgb.len() as f64)
            });
            assert!(
                low.0 < middle.0 && middle.0 < high.0,
                "{format:?} {low:?} {middle:?} {high:?}"
            );
            assert!(
                low.1 > middle.1 && middle.1 > high.1,
                "{format:?} {low:?} {middle:?} {high:?}"
            );
            assert!(high.1 < 2.5, "{format:?}: {} levels off on the mean", high.1);
        }
    }
}
