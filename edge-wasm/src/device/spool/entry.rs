//! The file of a spooled sample: magic, version, the SHA-256 of the rest, the picture's name, the frame.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use fogline::frame::{FrameError, MAX_FRAME, Request, Tensor};
use fogline::manifest::sha256_hex;

const MAGIC: [u8; 5] = *b"FOGS\x01";
/// The hexadecimal digits of a SHA-256.
const DIGEST: usize = 64;
/// The size limit of a file, in bytes: a frame, and a name as long as any system allows.
const MOST: usize = MAX_FRAME + (1 << 16);

/// The contents of a file.
pub(super) struct Entry {
    pub(super) picture: String,
    pub(super) pair: [u8; 32],
    pub(super) tensor: Tensor,
}

/// Why a file has no usable contents.
#[derive(Debug)]
pub(super) enum Unread {
    Io(io::Error),
    Damaged(&'static str),
}

/// Encodes a file.
pub(super) fn write(picture: &str, request: &Request) -> Result<Vec<u8>, FrameError> {
    let length = (picture.len() as u32).to_le_bytes();
    let body = [&length[..], picture.as_bytes(), &request.encode()?].concat();
    Ok([&MAGIC[..], sha256_hex(&body).as_bytes(), &body].concat())
}

impl Entry {
    pub(super) fn read(path: &Path) -> Result<Self, Unread> {
        let mut bytes = vec![];
        let file = File::open(path).map_err(Unread::Io)?;
        file.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(Unread::Io)?;
        Self::parse(&bytes).map_err(Unread::Damaged)
    }

    /// Decodes a file, which must be exactly as it was written.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let cut = "the file is cut short";
        if bytes.len() > MOST {
            return Err("it is larger than any frame");
        }
        let rest = bytes.strip_prefix(&MAGIC).ok_or("it is not a spooled frame")?;
        let (digest, body) = rest.split_at_checked(DIGEST).ok_or(cut)?;
        if digest != sha256_hex(body).as_bytes() {
            return Err("its SHA-256 does not match");
        }
        let (length, rest) = body.split_first_chunk().ok_or(cut)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (picture, frame) = rest.split_at_checked(length).ok_or(cut)?;
        let picture = str::from_utf8(picture).map_err(|_| "its picture's name is not UTF-8")?;
        let Request { pair, mut tensors, .. } =
            Request::decode(frame).map_err(|_| "this version cannot decode its frame")?;
        let tensor = tensors.pop().filter(|_| tensors.is_empty()).ok_or("it needs one sample")?;
        Ok(Self { picture: picture.to_owned(), pair, tensor })
    }
}
