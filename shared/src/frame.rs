//! The frame: how packed feature maps travel to the cloud, and how class scores come back.
//!
//! A frame is four bytes of magic, one byte of protocol version, and one bincode 2 body in its
//! standard configuration, which must end where the frame ends. Limits hold before anything is
//! allocated: bincode counts every announced length against about [`MAX_FRAME`] first.
//!
//! bincode is unmaintained since 2025 (RUSTSEC-2025-0141). Nothing outside this module knows
//! of it, and the version byte is the way out.

use core::fmt;

use bincode::config::{Configuration, Limit, LittleEndian, Varint};
use bincode::error::DecodeError;
use bincode::{Decode, Encode};

use crate::packed::{self, PackedError};

/// The version of the protocol that this crate speaks.
pub const VERSION: u8 = 1;
/// The media type of both frames.
pub const MEDIA_TYPE: &str = "application/vnd.fogline.frame";
/// The largest frame in bytes. Lambda takes 6 MB of event, base64 included; this leaves room.
pub const MAX_FRAME: usize = 1 << 20;
/// The most samples in one request.
pub const MAX_BATCH: usize = 256;

const REQUEST: [u8; 4] = *b"FOGQ";
const RESPONSE: [u8; 4] = *b"FOGA";
const HEADER: usize = 5;

/// Packed feature maps, and the pair of models they belong to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Request {
    /// [`crate::manifest::Manifest::pair_digest`] of the pair whose edge made the maps.
    pub pair: [u8; 32],
    /// The same on every retry of one request, and echoed in its answer and the logs.
    pub request_id: [u8; 16],
    /// One map a sample.
    pub tensors: Vec<Tensor>,
}

/// One sample's feature map at the split, packed as in [`crate::packed`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Tensor {
    /// Channels, height, width.
    pub shape: [u32; 3],
    /// Bits an element: 1, 2, 4 or 8.
    pub bits: u8,
    /// The elements.
    pub bytes: Vec<u8>,
}

/// The cloud's answer: class scores for every sample, in the request's order.
#[derive(Debug, Clone, PartialEq, Encode, Decode)]
pub struct Response {
    /// The request's id.
    pub request_id: [u8; 16],
    /// Logits, one a class.
    pub scores: Vec<Vec<f32>>,
}

/// Why bytes are not a frame. [`FrameError::word`] is the same word for machines, for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FrameError {
    /// The bytes end before the frame does.
    Truncated,
    /// The first four bytes are not those of the expected frame.
    Magic,
    /// The frame speaks another version of the protocol.
    Version(u8),
    /// A length in the frame, or the frame, is over the limit.
    TooLarge,
    /// Bytes follow the end of the frame.
    Trailing(usize),
    /// The body is not what bincode would have written.
    Malformed(String),
    /// No sample, or more than [`MAX_BATCH`].
    Batch(usize),
    /// The map of sample `sample` does not hold together.
    Tensor {
        /// Which sample, from 0.
        sample: usize,
        /// What is wrong with it.
        error: PackedError,
    },
    /// A score is not a finite number.
    Score,
}

impl FrameError {
    /// The machine word of this error.
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
            Self::Score => "frame_score",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the bytes end before the frame does"),
            Self::Magic => f.write_str("the bytes do not begin like this kind of frame"),
            Self::Version(v) => {
                write!(
                    f,
                    "the frame speaks version {v} of the protocol, this side version {VERSION}"
                )
            }
            Self::TooLarge => write!(f, "the frame, or a length in it, is over {MAX_FRAME} bytes"),
            Self::Trailing(n) => write!(f, "{n} bytes follow the end of the frame"),
            Self::Malformed(why) => write!(f, "the frame's body is malformed: {why}"),
            Self::Batch(n) => write!(f, "{n} samples, where 1 to {MAX_BATCH} are allowed"),
            Self::Tensor { sample, error } => write!(f, "sample {sample}: {error}"),
            Self::Score => f.write_str("a score is not a finite number"),
        }
    }
}

impl std::error::Error for FrameError {}

/// bincode counts what a body takes in memory: its bytes, and each sample's own fields beside them.
const DECODED: usize = MAX_FRAME + MAX_BATCH * size_of::<Tensor>();

type Config = Configuration<LittleEndian, Varint, Limit<DECODED>>;

const CONFIG: Config = bincode::config::standard().with_limit::<DECODED>();

fn encode(magic: [u8; 4], body: &impl Encode) -> Result<Vec<u8>, FrameError> {
    let body = bincode::encode_to_vec(body, CONFIG)
        .map_err(|_| FrameError::Malformed("it cannot be written".into()))?;
    if HEADER + body.len() > MAX_FRAME {
        return Err(FrameError::TooLarge);
    }
    Ok([&magic[..], &[VERSION], &body].concat())
}

fn decode<T: Decode<()>>(magic: [u8; 4], bytes: &[u8]) -> Result<T, FrameError> {
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
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let (value, read) =
        bincode::decode_from_slice::<T, _>(body, CONFIG).map_err(|error| match error {
            DecodeError::UnexpectedEnd { .. } => FrameError::Truncated,
            DecodeError::LimitExceeded => FrameError::TooLarge,
            // Not `{other:?}`: its texts would be a kilobyte of the page's engine.
            _ => FrameError::Malformed("its fields are not those of a frame".into()),
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
    /// The frame's bytes.
    ///
    /// # Errors
    /// When a limit is passed or a map does not hold together: what `decode` would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.check()?;
        encode(REQUEST, self)
    }

    /// Reads a frame, all of it.
    ///
    /// # Errors
    /// On anything but exactly one well-formed request within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let request: Self = decode(REQUEST, bytes)?;
        request.check()?;
        Ok(request)
    }

    /// Whether the number of samples is allowed and every map holds together.
    ///
    /// # Errors
    /// On what `decode` would refuse.
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
    /// The frame's bytes.
    ///
    /// # Errors
    /// When a limit is passed or a score is not finite: what `decode` would refuse.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        self.check()?;
        encode(RESPONSE, self)
    }

    /// Reads a frame, all of it.
    ///
    /// # Errors
    /// On anything but exactly one well-formed response within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let response: Self = decode(RESPONSE, bytes)?;
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
