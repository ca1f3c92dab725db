//! The frame: how packed feature maps travel to the cloud, and how class scores come back.
//!
//! A frame is four bytes of magic, one byte of protocol version, and one bincode 2 body in its
//! standard configuration. The body must end where the frame ends. Limits are checked before
//! anything is allocated: bincode counts every announced length against about [`MAX_FRAME`] first.
//!
//! Requests have two versions. In version 1, maps are packed; in version 2, the pair's coder has coded them ([`Coded`]). A device
//! sends version 2 if its pair has a coder and the frame becomes smaller, and the function answers both, in the same version of a response.
//!
//! bincode has been unmaintained since 2025 (RUSTSEC-2025-0141). Only this module uses it, and the
//! version byte allows for a replacement.

use core::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

use crate::packed::{self, PackedError};

mod coded;

pub use coded::{Arrived, Coded, request_id};

/// The protocol version of responses, and of requests with packed maps.
pub const VERSION: u8 = 1;
/// The protocol version of requests with coded maps.
pub const CODED: u8 = 2;
/// The media type of requests and responses.
pub const MEDIA_TYPE: &str = "application/vnd.fogline.frame";
/// The largest frame, in bytes. It fits Lambda's 6 MB event even as base64.
pub const MAX_FRAME: usize = 1 << 20;
/// The largest number of samples in one request.
pub const MAX_BATCH: usize = 256;

const REQUEST: [u8; 4] = *b"FOGQ";
const RESPONSE: [u8; 4] = *b"FOGA";
const HEADER: usize = 5;

/// Packed feature maps, with the pair of models that they belong to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// [`crate::manifest::Manifest::pair_digest`] of the pair whose edge made the maps.
    pub pair: [u8; 32],
    /// Stays the same on every retry of a request; the response and the logs repeat it.
    pub request_id: [u8; 16],
    /// One map per sample.
    pub tensors: Vec<Tensor>,
}

/// One sample's feature map at the split, packed as in [`crate::packed`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Tensor {
    /// Channels, height, width.
    pub shape: [u32; 3],
    /// Bits per element: 1, 2, 4 or 8.
    pub bits: u8,
    /// The packed elements.
    pub bytes: Vec<u8>,
}

/// The cloud's answer: class scores for every sample, in the request's order.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Response {
    /// The [`Request::request_id`] that this answers.
    pub request_id: [u8; 16],
    /// One logit per class, for each sample.
    pub scores: Vec<Vec<f32>>,
}

/// Why bytes are not a valid frame. [`FrameError::word`] gives each variant's stable error code.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The bytes end before the frame does.
    Truncated,
    /// The first four bytes are not the expected frame's magic.
    Magic,
    /// The frame has another protocol version, given here.
    Version(u8),
    /// The frame, or a length in it, is over the limit.
    TooLarge,
    /// This many bytes follow the end of the frame.
    Trailing(usize),
    /// The body is not what bincode would have written.
    Malformed(String),
    /// The number of samples, which is 0 or above [`MAX_BATCH`].
    Batch(usize),
    /// A sample's map has an invalid shape, bit width or length.
    Tensor {
        /// The sample's index, from 0.
        sample: usize,
        /// What is wrong with the map.
        error: PackedError,
    },
    /// A sample's coded map, by its index from 0, is none.
    Map(usize),
    /// A score is not a finite number.
    Score,
}

impl FrameError {
    /// The stable error code, such as `frame_magic`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Truncated => "frame_truncated",
            Self::Magic => "frame_magic",
            Self::Version(_) => "frame_version",
            Self::TooLarge => "frame_too_large",
            Self::Trailing(_) => "frame_trailing",
            Self::Malformed(_) => "frame_malformed",
            Self::Batch(_) => "frame_batch",
            Self::Tensor { .. } => "frame_tensor",
            Self::Map(_) => "frame_map",
            Self::Score => "frame_score",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the frame is cut short"),
            Self::Magic => f.write_str("the bytes are not this kind of frame"),
            Self::Version(v) => {
                write!(f, "the frame has protocol version {v}, which is not spoken here")
            }
            Self::TooLarge => write!(f, "the frame, or a length in it, is over {MAX_FRAME} bytes"),
            Self::Trailing(n) => write!(f, "{n} bytes follow the end of the frame"),
            Self::Malformed(why) => write!(f, "the frame's body is malformed: {why}"),
            Self::Batch(n) => write!(f, "{n} samples, but 1 to {MAX_BATCH} are allowed"),
            Self::Tensor { sample, error } => write!(f, "sample {sample}: {error}"),
            Self::Map(sample) => {
                write!(f, "sample {sample}: its bytes do not decode to exactly one map")
            }
            Self::Score => f.write_str("a score is not a finite number"),
        }
    }
}

impl std::error::Error for FrameError {}

/// What a decoded body may take in memory, which is what bincode counts: its bytes, and the fields of each sample.
const DECODED: usize = MAX_FRAME + MAX_BATCH * size_of::<Tensor>();

type Config = Configuration<LittleEndian, Varint, Limit<DECODED>>;

const CONFIG: Config = bincode::config::standard().with_limit::<DECODED>();

fn encode(magic: [u8; 4], version: u8, body: &impl Encode) -> Result<Vec<u8>, FrameError> {
    let body = bincode::encode_to_vec(body, CONFIG)
        .map_err(|_| FrameError::Malformed("it cannot be encoded".into()))?;
    if HEADER + body.len() > MAX_FRAME {
        return Err(FrameError::TooLarge);
    }
    Ok([&magic[..], &[version], &body].concat())
}

fn decode<T: Decode<()>>(magic: [u8; 4], of: u8, bytes: &[u8]) -> Result<T, FrameError> {
    if bytes.len() > MAX_FRAME {
        return Err(FrameError::TooLarge);
    }
    let (start, rest) = bytes.split_at(bytes.len().min(magic.len()));
    if start.len() < magic.len() && magic.starts_with(start) {
        return Err(FrameError::Truncated);
    }
    if start != magic {
        return Err(FrameError::Magic);
    }
    let (&version, body) = rest.split_first().ok_or(FrameError::Truncated)?;
    if version != of {
        return Err(FrameError::Version(version));
    }
    let (value, read) =
        bincode::decode_from_slice::<T, _>(body, CONFIG).map_err(|error| match error {
            DecodeError::UnexpectedEnd { .. } => FrameError::Truncated,
            DecodeError::LimitExceeded => FrameError::TooLarge,
            // Not `{other:?}`: its texts would add a kilobyte to the page's engine.
            _ => FrameError::Malformed("its fields are not a frame's".into()),
        })?;
    match body.len() - read {
        0 => Ok(value),
        extra => Err(FrameError::Trailing(extra)),
    }
}

fn check_batch(samples: usize) -> Result<(), FrameError> {
    if (1..=MAX_BATCH).contains(&samples) { Ok(()) } else { Err(FrameError::Batch(samples)) }
}

impl Request {
    /// Encodes the request as a frame.
    ///
    /// # Errors
    /// If a limit is exceeded or a map is invalid: whatever `decode` would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.check()?;
        encode(REQUEST, VERSION, self)
    }

    /// Decodes a frame, which must take all of `bytes`.
    ///
    /// # Errors
    /// If the bytes are not exactly one well-formed request within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let request: Self = decode(REQUEST, VERSION, bytes)?;
        request.check()?;
        Ok(request)
    }

    /// Checks the number of samples and the shape, bit width and length of every map.
    ///
    /// # Errors
    /// If `decode` would refuse the request.
    pub fn check(&self) -> Result<(), FrameError> {
        check_batch(self.tensors.len())?;
        for (sample, tensor) in self.tensors.iter().enumerate() {
            let refuse = |error| FrameError::Tensor { sample, error };
            let need = packed::packed_len(tensor.shape, tensor.bits).map_err(refuse)?;
            if tensor.bytes.len() != need {
                return Err(refuse(PackedError::Length { need, got: tensor.bytes.len() }));
            }
        }
        Ok(())
    }
}

impl Response {
    /// Encodes the response as a frame.
    ///
    /// # Errors
    /// If a limit is exceeded or a score is not finite: whatever `decode` would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.check()?;
        encode(RESPONSE, VERSION, self)
    }

    /// Decodes a frame, which must take all of `bytes`.
    ///
    /// # Errors
    /// If the bytes are not exactly one well-formed response within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let response: Self = decode(RESPONSE, VERSION, bytes)?;
        response.check()?;
        Ok(response)
    }

    fn check(&self) -> Result<(), FrameError> {
        check_batch(self.scores.len())?;
        if self.scores.iter().flatten().all(|score| score.is_finite()) {
            Ok(())
        } else {
            Err(FrameError::Score)
        }
    }
}
