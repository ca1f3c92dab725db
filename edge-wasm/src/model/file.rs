//! `edge.fog`, the packed edge model.
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | magic `FOGM` |
//! | 4..8 | format version, u32, 1 or 2 |
//! | 8..40 | SHA-256 of the QONNX file it was packed from |
//! | 40..44 | length of the program, u32 |
//! | 44..48 | length of the data, u32 |
//! | 48.. | the program: JSON of [`Program`], then spaces up to a multiple of 64 |
//! | then | the data: tensors, each at a multiple of 64, so that a loader may map them |
//!
//! Numbers are little-endian. Everything that the program says is checked before it runs.

use std::sync::Arc;

use fogline::coding::Coder;

use super::error::FogError;
use super::limits;
use super::program::{Program, VERSION};
use super::read;
use crate::tensor::{Data, Shape};

#[cfg(target_endian = "big")]
compile_error!("tensors in edge.fog are used in place and are little-endian");

const MAGIC: &[u8; 4] = b"FOGM";
const HEADER: usize = 48;
const LINE: usize = 64;
/// The size limit of a packed model, in bytes; the largest useful one is a hundredth of it.
const MAX_BYTES: usize = 64 << 20;
/// The length limit of a program, in bytes; 4096 operations need less.
const LONGEST: usize = 1 << 20;

/// A packed model, checked and ready to run.
#[derive(Debug, Clone)]
pub struct Model {
    /// SHA-256 of the QONNX file it was packed from.
    pub source: [u8; 32],
    /// The operations and their order.
    pub program: Program,
    /// The shape of each operation's result.
    pub shapes: Vec<Shape>,
    data: Data,
    /// Shared with requests that are in progress.
    coder: Option<Arc<Coder>>,
}

fn lines(bytes: usize) -> usize {
    bytes.next_multiple_of(LINE)
}

impl Model {
    /// Parses and checks a packed model.
    ///
    /// # Errors
    /// If the bytes are not exactly one valid model.
    pub fn parse(bytes: &[u8]) -> Result<Self, FogError> {
        if bytes.len() < HEADER || bytes.len() > MAX_BYTES {
            return Err(if bytes.starts_with(MAGIC) || MAGIC.starts_with(bytes) {
                FogError::Length
            } else {
                FogError::Magic
            });
        }
        if !bytes.starts_with(MAGIC) {
            return Err(FogError::Magic);
        }
        let word =
            |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
        if !(1..=VERSION).contains(&word(4)) {
            return Err(FogError::Version(word(4)));
        }
        // In u64: a length near 2^32 would overflow a usize of 32 bits.
        let data_at = (HEADER as u64 + u64::from(word(40))).next_multiple_of(LINE as u64);
        if data_at + u64::from(word(44)) != bytes.len() as u64 {
            return Err(FogError::Length);
        }
        let (program_len, data_at) = (word(40) as usize, data_at as usize);
        if program_len > LONGEST {
            return Err(FogError::Length);
        }
        let program =
            read::program(&bytes[HEADER..HEADER + program_len]).map_err(FogError::Program)?;
        let source = bytes[8..40].try_into().expect("32 bytes");
        Self::checked(program, &bytes[data_at..], source)
    }

    fn checked(program: Program, bytes: &[u8], source: [u8; 32]) -> Result<Self, FogError> {
        let shapes = limits::program(&program, bytes.len())?;
        let data = Data::new(bytes);
        limits::numbers(&program, &data, &shapes)?;
        let coder = limits::coder(&program, &data, &shapes)?.map(Arc::new);
        Ok(Self { source, program, shapes, data, coder })
    }

    /// Encodes a packed model.
    ///
    /// # Errors
    /// If the program or its data are invalid.
    pub fn write(program: &Program, data: &[u8], source: [u8; 32]) -> Result<Vec<u8>, FogError> {
        Self::checked(program.clone(), data, source)?;
        let text =
            serde_json::to_vec(program).map_err(|error| FogError::Program(error.to_string()))?;
        let mut bytes = Vec::with_capacity(lines(HEADER + text.len()) + data.len());
        bytes.extend(MAGIC);
        bytes.extend(program.version().to_le_bytes());
        bytes.extend(source);
        bytes.extend((text.len() as u32).to_le_bytes());
        bytes.extend((data.len() as u32).to_le_bytes());
        bytes.extend(&text);
        bytes.resize(lines(bytes.len()), b' ');
        bytes.extend(data);
        if bytes.len() > MAX_BYTES { Err(FogError::Length) } else { Ok(bytes) }
    }

    /// The tensors that operations refer to.
    pub fn data(&self) -> &Data {
        &self.data
    }

    /// The coder of the split's maps, if the pair has one.
    pub fn coder(&self) -> Option<&Arc<Coder>> {
        self.coder.as_ref()
    }

    /// The side of the input picture, in pixels.
    pub fn size(&self) -> usize {
        self.shapes[0].w
    }

    /// The memory, in bytes, that an engine allocates for this model at most, besides the file's; over 256 MiB is refused.
    pub fn memory(&self) -> u64 {
        limits::memory(&self.program, &self.shapes)
    }

    /// The shape of the map at the split point.
    pub fn split(&self) -> Shape {
        self.shapes[self.program.split]
    }
}
