//! JPEG and PNG files.

use std::io::Cursor;

use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use super::{PictureError, check_size, fit};

/// How far before the end of the file a JPEG's end marker may lie.
const MOST_PADDING: usize = 4096;
/// The most bytes that a pixel takes while it is decoded: four channels of 16 bits, and 8 bits beside them.
const PIXEL: u64 = 12;
/// What a decoder takes beside the pixels: an embedded colour profile, tables.
const BESIDE: u64 = 4 << 20;

/// Decodes a JPEG or PNG file of at most `most` pixels to `size` x `size` RGB bytes, whatever its name says.
/// The size in the header is checked before anything is allocated.
///
/// # Errors
/// When it is no picture, a damaged one, or too large.
pub fn decode(file: &[u8], size: u32, most: u64) -> Result<Vec<u8>, PictureError> {
    let Ok(format @ (ImageFormat::Jpeg | ImageFormat::Png)) = image::guess_format(file) else {
        return Err(PictureError::Unknown);
    };
    // Decoders fill what is missing of a JPEG with grey; a cut picture must not pass for a whole one.
    let ends = |file: &[u8]| file.windows(2).rev().take(MOST_PADDING).any(|w| w == [0xff, 0xd9]);
    if format == ImageFormat::Jpeg && !ends(file) {
        return Err(PictureError::Damaged("it has no end marker".into()));
    }
    let mut limits = Limits::default();
    limits.max_alloc = Some(most.saturating_mul(PIXEL).saturating_add(BESIDE));
    let mut reader = ImageReader::with_format(Cursor::new(file), format);
    reader.limits(limits.clone());
    let mut decoder = reader.into_decoder().map_err(refused)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, most)?;
    let orientation = decoder.orientation().map_err(refused)?;
    decoder.set_limits(limits).map_err(refused)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(refused)?;
    // As browsers do: a telephone's upright picture is often stored lying on its side.
    picture.apply_orientation(orientation);
    let picture = picture.into_rgba8();
    let (width, height) = picture.dimensions();
    Ok(fit(&picture, width, height, size))
}

fn refused(error: ImageError) -> PictureError {
    match error {
        ImageError::Limits(_) => PictureError::Memory,
        error => PictureError::Damaged(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use allocation_counter::measure;
    use image::codecs::jpeg::JpegEncoder;
    use image::{ExtendedColorType, ImageEncoder};

    use super::*;
    use crate::device::picture::MOST_PIXELS;

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

    /// A PNG of rows that hold their filter's byte, stored and not compressed.
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

    fn jpeg(width: u32, height: u32, color: ExtendedColorType, pixels: &[u8]) -> Vec<u8> {
        let mut file = vec![];
        JpegEncoder::new_with_quality(&mut file, 100)
            .write_image(pixels, width, height, color)
            .unwrap();
        file
    }

    /// Black on the left, white on the right: 16x8.
    fn halves() -> Vec<u8> {
        let pixels: Vec<u8> = (0..8 * 16).map(|at| if at % 16 < 8 { 0 } else { 255 }).collect();
        jpeg(16, 8, ExtendedColorType::L8, &pixels)
    }

    fn near(rgb: &[u8], expected: [u8; 3]) {
        let far = |(got, expected): (&u8, &u8)| got.abs_diff(*expected) > 4;
        assert!(!rgb.iter().zip(&expected).any(far), "{rgb:?} for {expected:?}");
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
        let grey = jpeg(8, 8, ExtendedColorType::L8, &[90; 64]);
        near(&decode(&grey, 1, 64).unwrap(), [90, 90, 90]);
        let colour = jpeg(8, 8, ExtendedColorType::Rgb8, &[200, 100, 50].repeat(64));
        near(&decode(&colour, 1, 64).unwrap(), [200, 100, 50]);
        // Red in cyan, magenta, yellow and black, 8x8, as Pillow writes it.
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
        // Exif, big-endian, one entry: orientation 6, to be turned clockwise by a quarter.
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
    fn a_chunk_that_inflates_without_end_takes_no_more_than_the_bound() {
        // A profile of zeros, a gigabyte if it were whole, in stored blocks of 64 KiB cut off after 8 MiB.
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
                    // Nothing but the end's own chunk is missing.
                    Ok(rgb) => assert!(rgb == right && end + 12 >= file.len(), "{end}"),
                    Err(PictureError::Unknown) => assert!(end < 8, "{end}"),
                    Err(error) => assert_eq!(error.word(), "picture_damaged", "{end}: {error}"),
                }
            }
        }
    }

    #[test]
    fn any_bit_may_be_wrong() {
        let colours = chunk(*b"PLTE", &[1, 2, 3, 250, 120, 60]);
        for file in [halves(), png(4, 2, 8, PALETTE, &colours, &[0, 0, 1, 0, 1, 0, 1, 1, 0, 0])] {
            for bit in 0..file.len() * 8 {
                let mut wrong = file.clone();
                wrong[bit / 8] ^= 1 << (bit % 8);
                // Pixels or an error, both of which are fine: no panic.
                if let Ok(rgb) = decode(&wrong, 8, 4096) {
                    assert_eq!(rgb.len(), 8 * 8 * 3);
                }
            }
        }
    }

    #[test]
    fn nothing_and_other_things_are_no_pictures() {
        for file in [&b""[..], b"GIF89a", b"\xff\xd8", b"<svg/>", b"BM", b"RIFF....WEBP"] {
            assert!(matches!(
                decode(file, 8, 128),
                Err(PictureError::Unknown | PictureError::Damaged(_))
            ));
        }
    }
}
