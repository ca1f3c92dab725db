//! Version 2 of a request: the pair's coder has coded the maps.

use bincode::{Decode, Encode};

use super::{
    CODED, FrameError, HEADER, MAX_FRAME, REQUEST, Request, Tensor, check_batch, decode, encode,
};
use crate::coding::Coder;

/// A request with coded maps. Shape and bits are the pair's.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Coded {
    /// The first bytes of the digest of the pair whose edge made the maps.
    pub pair: [u8; 8],
    /// As in [`Request`].
    pub request_id: [u8; 16],
    /// One coded map per sample.
    pub maps: Vec<Vec<u8>>,
}

/// A request of either version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Arrived {
    /// Version 1.
    Packed(Request),
    /// Version 2.
    Coded(Coded),
}

impl Coded {
    /// Codes the maps of a request.
    ///
    /// # Panics
    /// If a map has another length than the coder's.
    pub fn of(request: &Request, coder: &Coder) -> Self {
        let pair = core::array::from_fn(|at| request.pair[at]);
        let maps = request.tensors.iter().map(|tensor| coder.encode(&tensor.bytes)).collect();
        Self { pair, request_id: request.request_id, maps }
    }

    /// Encodes the request as a frame.
    ///
    /// # Errors
    /// If a limit is exceeded.
    pub fn encode(&self) -> Result<Vec<u8>, FrameError> {
        check_batch(self.maps.len())?;
        encode(REQUEST, CODED, self)
    }

    /// Decodes a frame, which must take all of `bytes`. The maps are decoded by [`Self::request`].
    ///
    /// # Errors
    /// If the bytes are not exactly one well-formed request within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        let request: Self = decode(REQUEST, CODED, bytes)?;
        check_batch(request.maps.len())?;
        Ok(request)
    }

    /// The request with packed maps, for the pair with the digest `pair`, whose coder it is. Each map takes the memory of the
    /// pair's, however long its code is.
    ///
    /// # Errors
    /// If the packed maps would not fit a frame, or the first sample whose code is not exactly one map.
    pub fn request(&self, pair: [u8; 32], coder: &Coder) -> Result<Request, FrameError> {
        if self.maps.len() * coder.packed_len() > MAX_FRAME {
            return Err(FrameError::TooLarge);
        }
        let (shape, bits) = (coder.shape(), coder.bits());
        let tensor = |(sample, map): (usize, &Vec<u8>)| {
            let bytes = coder.decode(map).map_err(|_| FrameError::Map(sample))?;
            Ok(Tensor { shape, bits, bytes })
        };
        let tensors = self.maps.iter().enumerate().map(tensor).collect::<Result<_, _>>()?;
        Ok(Request { pair, request_id: self.request_id, tensors })
    }
}

impl Arrived {
    /// Decodes a frame of either version.
    ///
    /// # Errors
    /// If the bytes are not exactly one well-formed request within the limits.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        match bytes.get(REQUEST.len()) {
            Some(&CODED) => Coded::decode(bytes).map(Self::Coded),
            _ => Request::decode(bytes).map(Self::Packed),
        }
    }

    /// What the pair's digest starts with.
    pub fn pair(&self) -> &[u8] {
        match self {
            Self::Packed(request) => &request.pair,
            Self::Coded(coded) => &coded.pair,
        }
    }

    /// The request's id.
    pub fn request_id(&self) -> [u8; 16] {
        match self {
            Self::Packed(request) => request.request_id,
            Self::Coded(coded) => coded.request_id,
        }
    }

    /// The number of samples.
    pub fn samples(&self) -> usize {
        match self {
            Self::Packed(request) => request.tensors.len(),
            Self::Coded(coded) => coded.maps.len(),
        }
    }
}

/// The id of an encoded request of either version, without decoding its maps. `None` if the frame is too short to have one.
pub fn request_id(frame: &[u8]) -> Option<[u8; 16]> {
    let pair = if *frame.get(REQUEST.len())? == CODED { 8 } else { 32 };
    frame.get(HEADER + pair..)?.first_chunk().copied()
}

impl Request {
    /// Encodes the request as it is sent: with coded maps if the pair has a coder, and it makes the frame smaller.
    ///
    /// # Errors
    /// As for [`Self::encode`].
    pub fn encode_with(&self, coder: Option<&Coder>) -> Result<Vec<u8>, FrameError> {
        let packed = self.encode()?;
        let coded = coder.map(|coder| Coded::of(self, coder).encode()).transpose();
        Ok(coded.ok().flatten().filter(|coded| coded.len() < packed.len()).unwrap_or(packed))
    }
}
