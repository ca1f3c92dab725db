//! Decoding of JPEG, PNG and WebP files.

use std::fmt::Display;
use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageError, ImageFormat, ImageReader, Limits, RgbImage, RgbaImage};
use image_webp::{DecodingError, WebPDecoder};
use libjpeg_turbo_rs::{ComponentInfo, DecodeLimits, Decoder, JpegError, PixelFormat};

use super::header::{Header, Kind};
use super::{Crop, PictureError, check_size, fit};

/// The most memory per pixel that decoding takes, in bytes: coefficients of four channels, their planes, and the result.
const PIXEL: u64 = 16;
/// The most memory that a decoder takes besides, in bytes: an embedded colour profile, tables.
const BESIDE: u64 = 4 << 20;
/// The limit of scans in a progressive JPEG: each may cost a whole decoding. Cameras and programs write about ten.
const MOST_SCANS: usize = 100;

/// Decodes a JPEG, PNG or WebP file of at most `most` pixels to `size` x `size` RGB bytes. The format is taken from the
/// bytes, not from a name. The size in the header is checked before anything is allocated. Of an animation, the first
/// frame is taken.
///
/// # Errors
/// If the file is not a picture, is damaged, or is too large.
pub fn decode(file: &[u8], size: u32, most: u64) -> Result<Vec<u8>, PictureError> {
    decode_part(file, size, most, None)
}

/// As [`decode`], of a part of the upright picture.
///
/// # Errors
/// As [`decode`].
pub fn decode_part(
    file: &[u8],
    size: u32,
    most: u64,
    part: Option<Crop>,
) -> Result<Vec<u8>, PictureError> {
    let Header { kind, width, height, orientation, whole } = Header::read(file)?;
    if (width, height) != (0, 0) {
        check_size(width, height, most)?;
    }
    // Decoders fill what is missing with grey, and a truncated picture must not pass for a complete one.
    if !whole {
        return Err(damaged("it ends early"));
    }
    let memory = most.saturating_mul(PIXEL).saturating_add(BESIDE);
    let mut picture = match kind {
        Kind::Jpeg => jpeg(file, most, memory),
        Kind::Png => png(file, memory),
        Kind::Webp => webp(file, memory),
    }?;
    // As browsers do: phones often store an upright picture on its side.
    if orientation != Orientation::NoTransforms {
        picture.apply_orientation(orientation);
    }
    if let Some(part) = part {
        let [left, top, width, height] = part.of(picture.width(), picture.height());
        picture = picture.crop_imm(left, top, width, height);
    }
    let picture = picture.into_rgba8();
    let (width, height) = picture.dimensions();
    check_size(width, height, most)?;
    Ok(fit(&picture, width, height, size))
}

fn damaged(why: impl Display) -> PictureError {
    PictureError::Damaged(format!("{why}"))
}

/// Decodes a JPEG to the same levels as libjpeg-turbo, with which training and browsers decode.
fn jpeg(file: &[u8], most: u64, memory: u64) -> Result<DynamicImage, PictureError> {
    let refused = |error| match error {
        JpegError::LimitExceeded { .. } | JpegError::AllocationFailed { .. } => {
            PictureError::Memory
        }
        error => damaged(error),
    };
    let limits = DecodeLimits {
        max_pixels: most,
        max_scans: MOST_SCANS,
        max_memory: Some(memory),
        ..DecodeLimits::default()
    };
    let decoder = Decoder::new_with_limits(file, limits).map_err(refused)?;
    let frame = decoder.header();
    if decoder.is_arithmetic() || frame.is_lossless || frame.precision != 8 {
        return Err(damaged("its JPEG coding is not supported, in browsers either"));
    }
    // With other sampling, the decoder asks for pixels that do not exist, and panics.
    if !is_sampled_as_usual(&frame.components) {
        return Err(damaged("its channels have an unusual sampling"));
    }
    let decoder = decoder.with_output_format(PixelFormat::Rgb).with_block_smoothing(true);
    let picture = decoder.decode_image().map_err(refused)?;
    let pixels = RgbImage::from_raw(picture.width as u32, picture.height as u32, picture.data);
    pixels.map(DynamicImage::ImageRgb8).ok_or_else(|| damaged("its size contradicts its pixels"))
}

/// Whether the sampling factors are ones that programs write: 1, 2 or 4, none above the first channel's. Of four channels,
/// black must match the first, and the other two each other.
fn is_sampled_as_usual(channels: &[ComponentInfo]) -> bool {
    let sampling = channels.iter().map(|c| [c.horizontal_sampling, c.vertical_sampling]);
    let sampling: Vec<[u8; 2]> = sampling.collect();
    let usual = |of: &[u8; 2]| {
        of.iter().zip(sampling[0]).all(|(n, most)| *n <= most && [1, 2, 4].contains(n))
    };
    let four = match &sampling[..] {
        [first, one, other, black] => first == black && one == other,
        _ => true,
    };
    sampling.iter().all(usual) && four
}

fn png(file: &[u8], memory: u64) -> Result<DynamicImage, PictureError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(memory);
    let mut reader = ImageReader::with_format(Cursor::new(file), ImageFormat::Png);
    reader.limits(limits);
    reader.decode().map_err(|error| match error {
        ImageError::Limits(_) => PictureError::Memory,
        error => damaged(error),
    })
}

fn webp(file: &[u8], memory: u64) -> Result<DynamicImage, PictureError> {
    let refused = |error| match error {
        DecodingError::MemoryLimitExceeded | DecodingError::ImageTooLarge => PictureError::Memory,
        error => damaged(error),
    };
    let mut decoder = WebPDecoder::new(Cursor::new(file)).map_err(refused)?;
    decoder.set_memory_limit(usize::try_from(memory).unwrap_or(usize::MAX));
    let (width, height) = decoder.dimensions();
    let bytes = decoder.output_buffer_size().ok_or(PictureError::Memory)?;
    let mut pixels = vec![0; bytes];
    decoder.read_image(&mut pixels).map_err(refused)?;
    let picture = if decoder.has_alpha() {
        RgbaImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgba8)
    } else {
        RgbImage::from_raw(width, height, pixels).map(DynamicImage::ImageRgb8)
    };
    picture.ok_or_else(|| damaged("its size contradicts its pixels"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use allocation_counter::measure;
    use libjpeg_turbo_rs::{Subsampling, compress, compress_progressive};

    use super::*;
    use crate::device::picture::MOST_PIXELS;
    use crate::device::source;

    const GREY: u8 = 0;
    const RGB: u8 = 2;
    const PALETTE: u8 = 3;
    const RGBA: u8 = 6;

    /// PNG's checksum, bit by bit.
    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, &byte| {
            (0..8).fold(crc ^ u32::from(byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1)))
        })
    }

    fn chunk(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let named = [&kind[..], body].concat();
        let length = (body.len() as u32).to_be_bytes();
        [&length[..], &named, &crc32(&named).to_be_bytes()].concat()
    }

    /// A PNG with uncompressed rows, each of which begins with its filter byte.
    fn png(width: u32, height: u32, depth: u8, kind: u8, between: &[u8], rows: &[u8]) -> Vec<u8> {
        let sizes = [width.to_be_bytes(), height.to_be_bytes()].concat();
        let header = chunk(*b"IHDR", &[&sizes[..], &[depth, kind, 0, 0, 0]].concat());
        let [a, b] = rows.iter().fold([1_u32, 0], |[a, b], &byte| {
            let a = (a + u32::from(byte)) % 65_521;
            [a, (b + a) % 65_521]
        });
        let length = (rows.len() as u16).to_le_bytes();
        let stored = [&[1], &length[..], &length.map(|byte| !byte), rows].concat();
        let data = [&[0x78, 1], &stored[..], &(b << 16 | a).to_be_bytes()].concat();
        let parts = [header, between.to_vec(), chunk(*b"IDAT", &data), chunk(*b"IEND", &[])];
        [&b"\x89PNG\r\n\x1a\n"[..], &parts.concat()].concat()
    }

    fn jpeg(width: usize, height: usize, format: PixelFormat, pixels: &[u8]) -> Vec<u8> {
        compress(pixels, width, height, format, 100, Subsampling::S420).unwrap()
    }

    /// A 16x8 picture: black on the left, white on the right.
    fn halves() -> Vec<u8> {
        let pixels: Vec<u8> = (0..8 * 16).map(|at| if at % 16 < 8 { 0 } else { 255 }).collect();
        jpeg(16, 8, PixelFormat::Grayscale, &pixels)
    }

    fn near(rgb: &[u8], expected: [u8; 3]) {
        let far = |(got, expected): (&u8, &u8)| got.abs_diff(*expected) > 4;
        assert!(!rgb.iter().zip(&expected).any(far), "{rgb:?} for {expected:?}");
    }

    /// `tests/pictures/make.py` states what recipe and page read from the same tree.
    #[test]
    fn a_tree_of_pictures_is_read_as_recipe_and_page_read_it() {
        let at = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures");
        let expected = std::fs::read(at.join("expected.json")).unwrap();
        let expected: serde_json::Value = serde_json::from_slice(&expected).unwrap();
        let rows = expected["pictures"].as_object().unwrap();
        let found = source::pictures(&[at.join("tree")]);
        assert_eq!(found.left_out.to_string(), expected["left_out"].as_str().unwrap());
        assert_eq!(found.pictures.len(), rows.len());
        for path in found.pictures {
            let name = path.strip_prefix(at.join("tree")).unwrap().to_str().unwrap();
            let file = std::fs::read(&path).unwrap();
            let Some(row) = rows[name].as_str() else {
                let refused = decode(&file, 16, MOST_PIXELS).unwrap_err().word();
                assert!(["picture_damaged", "picture_unknown"].contains(&refused), "{name}");
                continue;
            };
            let row = hex::decode(row).unwrap();
            let (side, start) = (row.len() / 3, row.len() * 3);
            let rgb = decode(&file, side as u32, MOST_PIXELS).unwrap();
            assert_eq!(rgb[start..start + row.len()], row, "{name}");
        }
    }

    #[test]
    fn a_part_is_cut_out_of_the_upright_picture() {
        let part = |text: &str| {
            decode_part(&halves(), 4, MOST_PIXELS, Some(text.parse().unwrap())).unwrap()
        };
        near(&part("0,0,0.5,1"), [0; 3]);
        near(&part("0.5,0,0.5,1"), [255; 3]);
    }

    #[test]
    fn every_kind_of_png_gives_its_colours() {
        let at_16 = png(1, 1, 16, RGB, &[], &[0, 200, 9, 100, 9, 50, 9]);
        near(&decode(&at_16, 1, 1).unwrap(), [200, 100, 50]);
        let grey = png(1, 1, 8, GREY, &[], &[0, 77]);
        near(&decode(&grey, 1, 1).unwrap(), [77, 77, 77]);
        let one_bit = png(1, 1, 1, GREY, &[], &[0, 0x80]);
        near(&decode(&one_bit, 1, 1).unwrap(), [255, 255, 255]);
        let clear = png(1, 1, 8, RGBA, &[], &[0, 10, 20, 30, 0]);
        near(&decode(&clear, 1, 1).unwrap(), [255, 255, 255]);
        let colours = chunk(*b"PLTE", &[1, 2, 3, 250, 120, 60]);
        let palette = png(1, 1, 4, PALETTE, &colours, &[0, 0x10]);
        near(&decode(&palette, 1, 1).unwrap(), [250, 120, 60]);
    }

    #[test]
    fn every_kind_of_jpeg_gives_its_colours() {
        let grey = jpeg(8, 8, PixelFormat::Grayscale, &[90; 64]);
        near(&decode(&grey, 1, 64).unwrap(), [90, 90, 90]);
        let colour = jpeg(8, 8, PixelFormat::Rgb, &[200, 100, 50].repeat(64));
        near(&decode(&colour, 1, 64).unwrap(), [200, 100, 50]);
        // 8x8 red pixels in cyan, magenta, yellow and black, as Pillow writes them.
        let cmyk = hex::decode(
            "ffd8ffee000e41646f626500640000000000ffdb004300100b0c0e0c0a100e0d0e1211101318281a1816161831\
             23251d283a333d3c3933383740485c4e404457453738506d51575f626768673e4d71797064785c656763ffc000\
             140800080008044311004d11005911004b1100ffc40014000100000000000000000000000000000007ffc40014\
             100100000000000000000000000000000000ffda000e0443004d0059004b00003f00401f8fc80fffd9",
        );
        near(&decode(&cmyk.unwrap(), 1, 64).unwrap(), [255, 0, 0]);
    }

    #[test]
    fn a_picture_that_lies_on_its_side_is_set_upright() {
        let lying = halves();
        // Exif, big-endian, with one entry: orientation 6, turn clockwise by 90 degrees.
        let exif = b"\xff\xe1\0\x22Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
        let file = [&lying[..2], exif, &lying[2..]].concat();
        let upright = decode(&file, 8, 128).unwrap();
        near(&upright[..3], [0; 3]);
        near(&upright[upright.len() - 3..], [255; 3]);
        near(&upright[7 * 3..8 * 3], [0; 3]);
        let as_it_lies = decode(&lying, 8, 128).unwrap();
        near(&as_it_lies[7 * 3..8 * 3], [255; 3]);
    }

    #[test]
    fn a_size_over_the_bound_is_refused_by_its_header_before_memory_is_taken() {
        let size = |width, height, most| Err(PictureError::Size { width, height, most });
        for (width, height, most) in [(50_000, 50_000, MOST_PIXELS), (100, 100, 9_999)] {
            let bomb = png(width, height, 8, RGB, &[], &[0; 99]);
            let memory = measure(|| assert_eq!(decode(&bomb, 32, most), size(width, height, most)));
            assert!(memory.bytes_max < 1 << 20, "{memory:?}");
        }
        let beyond = png(0x7fff_ffff, 0x7fff_ffff, 8, RGB, &[], &[0; 99]);
        assert_eq!(decode(&beyond, 32, u64::MAX).unwrap_err().word(), "picture_size");
        let mut tall = halves();
        let frame = tall.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        tall[frame + 5..frame + 9].copy_from_slice(&[0xff; 4]);
        assert_eq!(decode(&tall, 32, MOST_PIXELS), size(65_535, 65_535, MOST_PIXELS));
    }

    #[test]
    fn a_photograph_takes_no_more_memory_than_is_said() {
        let side = 1024;
        let pixels: Vec<u8> = (0..side * side * 4).map(|at| ((at * 31) >> 7) as u8).collect();
        let photographs = [
            compress(&pixels, side, side, PixelFormat::Rgbx, 90, Subsampling::S420),
            compress_progressive(&pixels, side, side, PixelFormat::Rgbx, 90, Subsampling::S444),
        ];
        for photograph in photographs.map(Result::unwrap) {
            let memory = measure(|| drop(decode(&photograph, 32, MOST_PIXELS).unwrap()));
            assert!(memory.bytes_max < 20 * (side * side) as u64, "{memory:?}");
        }
    }

    #[test]
    fn a_chunk_that_inflates_without_end_takes_no_more_than_the_bound() {
        // A profile of zeros in stored blocks of 64 KiB: it would be 1 GiB, but is cut off after 8 MiB.
        let block = [&[0, 0xff, 0xff, 0, 0][..], &vec![0; 0xffff]].concat();
        let profile = [&b"p\0\0\x78\x01"[..], &block.repeat(128)].concat();
        let bomb = png(1, 1, 8, GREY, &chunk(*b"iCCP", &profile), &[0, 77]);
        let memory = measure(|| drop(decode(&bomb, 1, 1)));
        assert!(memory.bytes_max < 32 << 20, "{memory:?}");
    }

    #[test]
    fn what_is_cut_short_is_never_taken_for_whole() {
        let colours = chunk(*b"PLTE", &[1, 2, 3, 250, 120, 60]);
        let whole = [halves(), png(4, 2, 8, PALETTE, &colours, &[0, 0, 1, 0, 1, 0, 1, 1, 0, 0])];
        for file in whole {
            let right = decode(&file, 8, 128).unwrap();
            for end in 0..file.len() {
                match decode(&file[..end], 8, 128) {
                    // Only the end chunk is missing.
                    Ok(rgb) => assert!(rgb == right && end + 12 >= file.len(), "{end}"),
                    Err(PictureError::Unknown) => assert!(end < 8, "{end}"),
                    Err(error) => assert_eq!(error.word(), "picture_damaged", "{end}: {error}"),
                }
            }
        }
    }

    #[test]
    fn any_byte_may_be_wrong() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures/tree");
        // The chunks of a WebP state their lengths in 24 bits, and the decoder trusts them.
        let (most, beside) = (4096, 1 << 24);
        for path in source::pictures(&[tree]).pictures {
            let right = std::fs::read(&path).unwrap();
            for at in 0..right.len().min(2000) {
                for bits in [1 << (at % 8), 0xff] {
                    let mut wrong = right.clone();
                    wrong[at] ^= bits;
                    // Pixels or an error are both fine, but no panic, and no memory beyond the limit.
                    let memory = measure(|| {
                        if let Ok(rgb) = decode(&wrong, 8, most) {
                            assert_eq!(rgb.len(), 8 * 8 * 3);
                        }
                    });
                    assert!(memory.bytes_max < most * 20 + beside, "{path:?}, {at}: {memory:?}");
                }
            }
        }
    }

    /// Panics of the decoder that fuzzing found.
    #[test]
    fn channels_that_are_sampled_oddly_are_refused() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/pictures/tree");
        let right = std::fs::read(tree.join("odd/cmyk.jpg")).unwrap();
        let frame = right.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
        assert_eq!(right[frame + 9], 4);
        for sampling in [
            [0x11, 0x11, 0x11, 0x34],
            [0x11, 0x11, 0x13, 0x11],
            [0x24, 0x11, 0x11, 0x11],
            [0x42, 0x12, 0x11, 0x42],
            [0x22, 0x21, 0x11, 0x22],
        ] {
            let mut wrong = right.clone();
            for (channel, sampling) in sampling.into_iter().enumerate() {
                wrong[frame + 11 + 3 * channel] = sampling;
            }
            assert_eq!(decode(&wrong, 8, 4096).unwrap_err().word(), "picture_damaged");
        }
    }

    #[test]
    fn nothing_and_other_things_are_no_pictures() {
        for file in [&b""[..], b"GIF89a", b"\xff\xd8", b"<svg/>", b"BM", b"RIFF....WEBP"] {
            assert!(matches!(
                decode(file, 8, 128),
                Err(PictureError::Unknown | PictureError::Format(_) | PictureError::Damaged(_))
            ));
        }
    }
}
