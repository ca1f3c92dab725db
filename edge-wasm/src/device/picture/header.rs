//! Format, size and orientation of a picture, and whether its file is complete, from its bytes.
//!
//! The page (`web-demo/worker/header.js`) and the recipe (`fogline_recipe/header.py`) follow the same rules;
//! docs/pictures.md states them.

use image::metadata::Orientation;

use super::PictureError;

/// Brands in the first box of an ISO file, and the format's name.
const BRANDS: [(&[u8], &str); 9] = [
    (b"avif", "AVIF"),
    (b"avis", "AVIF"),
    (b"heic", "HEIC"),
    (b"heim", "HEIC"),
    (b"heis", "HEIC"),
    (b"heix", "HEIC"),
    (b"hevc", "HEIC"),
    (b"mif1", "HEIC"),
    (b"msf1", "HEIC"),
];
/// The first bytes of other formats, and their names.
const OTHERS: [(&[u8], &str); 8] = [
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"<svg", "SVG"),
    (b"<?xml", "SVG"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
];

/// A format that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Jpeg,
    Png,
    Webp,
}

/// What a picture's file states about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    pub kind: Kind,
    /// Width as stored, in pixels; 0 if the file ends before it.
    pub width: u32,
    pub height: u32,
    /// The turn that sets the picture upright: from the first non-empty Exif before the pixels of a JPEG or PNG.
    pub orientation: Orientation,
    /// Whether the file contains the end of its picture. Bytes after it do not matter.
    pub whole: bool,
}

impl Header {
    /// Reads the header of a JPEG, PNG or WebP file.
    ///
    /// # Errors
    /// If the first bytes are not those of a supported format.
    pub fn read(file: &[u8]) -> Result<Self, PictureError> {
        match file {
            [0xff, 0xd8, 0xff, ..] => Ok(jpeg(file)),
            [b'\x89', b'P', b'N', b'G', b'\r', b'\n', b'\x1a', b'\n', ..] => Ok(png(file)),
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(webp(file)),
            _ => Err(named(file).map_or(PictureError::Unknown, PictureError::Format)),
        }
    }

    fn of(kind: Kind) -> Self {
        let orientation = Orientation::NoTransforms;
        Self { kind, width: 0, height: 0, orientation, whole: false }
    }
}

/// The name of the file's format, if it is a known one that is not supported.
fn named(file: &[u8]) -> Option<&'static str> {
    if file.get(4..8) == Some(b"ftyp") {
        let brand = file.get(8..12)?;
        return BRANDS.iter().find(|(known, _)| *known == brand).map(|(_, name)| *name);
    }
    OTHERS.iter().find(|(start, _)| file.starts_with(start)).map(|(_, name)| *name)
}

fn array<const N: usize>(file: &[u8], at: usize) -> Option<[u8; N]> {
    file.get(at..)?.first_chunk().copied()
}

fn jpeg(file: &[u8]) -> Header {
    let mut header = Header::of(Kind::Jpeg);
    let word = |at| array(file, at).map(u16::from_be_bytes);
    let mut exif = None;
    let mut at = 2;
    while let Some([first, marker]) = array(file, at) {
        match (first, marker) {
            // A fill byte.
            (0xff, 0xff) => at += 1,
            (0xff, 0xd9) => {
                header.whole = true;
                break;
            }
            // A stuffed zero, or a marker without a segment.
            (0xff, 0x00 | 0x01 | 0xd0..=0xd8) => at += 2,
            // Skip the segment as a whole: a thumbnail in it has an end marker of its own.
            (0xff, _) => {
                let Some(length) = word(at + 2).map(usize::from) else { break };
                let end = at + 2 + length.max(2);
                match marker {
                    0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf => {
                        if let (Some(height), Some(width)) = (word(at + 5), word(at + 7)) {
                            (header.width, header.height) = (width.into(), height.into());
                        }
                    }
                    0xe1 if exif.is_none() => {
                        let body = file.get(at + 4..end);
                        let block = body.and_then(|body| body.strip_prefix(b"Exif\0\0"));
                        exif = block.filter(|block| !block.is_empty());
                    }
                    // Exif after the pixels does not count.
                    0xda => exif = exif.or(Some(&[])),
                    _ => {}
                }
                at = end;
            }
            // Pixels, or padding between segments: go to the next marker.
            _ => match file[at..].iter().position(|&byte| byte == 0xff) {
                Some(more) => at += more,
                None => break,
            },
        }
    }
    header.orientation = turned(exif);
    header
}

fn png(file: &[u8]) -> Header {
    let mut header = Header::of(Kind::Png);
    let long = |at| array(file, at).map(u32::from_be_bytes);
    let mut exif = None;
    let mut at = 8;
    while let (Some(length), Some(name)) = (long(at), array::<4>(file, at + 4)) {
        // Including the checksum after the body.
        let body = at + 8;
        let Some(end) = body.checked_add(length as usize).and_then(|end| end.checked_add(4)) else {
            break;
        };
        if end > file.len() {
            break;
        }
        match &name {
            b"IHDR" if length >= 8 => {
                header.width = long(body).unwrap_or_default();
                header.height = long(body + 4).unwrap_or_default();
            }
            b"eXIf" if exif.is_none() => exif = Some(&file[body..end - 4]),
            b"IDAT" => exif = exif.or(Some(&[])),
            b"IEND" => {
                header.whole = true;
                break;
            }
            _ => {}
        }
        at = end;
    }
    header.orientation = turned(exif);
    header
}

fn webp(file: &[u8]) -> Header {
    let mut header = Header::of(Kind::Webp);
    if file.len() < 30 {
        return header;
    }
    let uint24 = |at| array(file, at).map(|[a, b, c]| u32::from_le_bytes([a, b, c, 0]));
    let sides = match array::<4>(file, 12).as_ref() {
        Some(b"VP8 ") => array(file, 26).map(|[a, b, c, d]| {
            [[a, b], [c, d]].map(|side| u32::from(u16::from_le_bytes(side) & 0x3fff))
        }),
        Some(b"VP8L") => {
            let sides = array(file, 21).map(u32::from_le_bytes);
            sides.map(|both| [both, both >> 14].map(|side| (side & 0x3fff) + 1))
        }
        Some(b"VP8X") => uint24(24).zip(uint24(27)).map(|(width, height)| [width + 1, height + 1]),
        _ => None,
    };
    // Browsers do not turn WebP pictures.
    if let (Some([width, height]), Some(length)) = (sides, array(file, 4).map(u32::from_le_bytes)) {
        (header.width, header.height) = (width, height);
        header.whole = u64::from(length) + 8 <= file.len() as u64;
    }
    header
}

/// The orientation in Exif's TIFF block; no turn if it is missing or invalid.
fn turned(exif: Option<&[u8]>) -> Orientation {
    exif.and_then(Orientation::from_exif_chunk).unwrap_or(Orientation::NoTransforms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_formats_are_named() {
        let refused = |file: &[u8]| Header::read(file).unwrap_err();
        assert_eq!(refused(b"\0\0\0\x18ftypheic...."), PictureError::Format("HEIC"));
        assert_eq!(refused(b"\0\0\0\x18ftypavif...."), PictureError::Format("AVIF"));
        assert_eq!(refused(b"GIF89a"), PictureError::Format("GIF"));
        assert_eq!(refused(b"<svg/>"), PictureError::Format("SVG"));
        for file in [&b""[..], b"\xff\xd8", b"RIFF....WAVE", b"\0\0\0\x18ftypisom", b"notes"] {
            assert_eq!(refused(file), PictureError::Unknown);
        }
    }

    #[test]
    fn a_webp_says_its_size_in_three_ways() {
        let file = |kind: &[u8], fields: &[u8]| {
            let mut file = [b"RIFF\x16\0\0\0WEBP", kind, &[0; 14]].concat();
            file[30 - fields.len()..].copy_from_slice(fields);
            file
        };
        let lossy = file(b"VP8 ", &[0x20, 0x40, 0x10, 0]);
        let lossless = file(b"VP8L", &[31, 0xc0, 3, 0, 0, 0, 0, 0, 0]);
        let extended = file(b"VP8X", &[31, 0, 0, 15, 0, 0]);
        for file in [lossy, lossless, extended] {
            let header = Header::read(&file).unwrap();
            assert_eq!((header.width, header.height, header.whole), (32, 16, true));
            assert!(!Header::read(&file[..29]).unwrap().whole);
        }
    }
}
