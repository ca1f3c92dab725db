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

use core::fmt;

use serde::Serialize;

use crate::check;
use crate::op::{Blob, Op, Shape};
use crate::wire;

#[cfg(target_endian = "big")]
compile_error!("tensors in edge.fog are used in place and are little-endian");

/// The newest format version, and what is written where a model needs it: for weights that are nested or shared, and for
/// ways. Others are of version 1, which edges in the field know.
pub const VERSION: u32 = 2;
const MAGIC: &[u8; 4] = b"FOGM";
const HEADER: usize = 48;
const LINE: usize = 64;
/// The largest packed model; the largest useful one is a hundredth of this.
const MAX_BYTES: usize = 64 << 20;
/// The longest program; 4096 operations take less.
const LONGEST: usize = 1 << 20;

/// What the model does, in order.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Program {
    /// The operations; each reads only earlier ones. What an exit needs comes before the exit.
    pub ops: Vec<Op>,
    /// The operations whose results are the exits' logits, rising.
    pub exits: Vec<usize>,
    /// The last operation: the map that travels.
    pub split: usize,
    /// Stretches of operations that only some samples pass, in order; all samples pass the others.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stretches: Vec<Stretch>,
}

/// The operations from `from` up to and without `to`, passed by the samples that take `way`.
///
/// What they give is read on the same way, or by [`Op::Either`]; an exit among them is met on that way alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Stretch {
    /// The way.
    pub way: u8,
    /// The first operation.
    pub from: usize,
    /// The first one behind it.
    pub to: usize,
}

impl Program {
    /// The way whose samples pass an operation; none where all do.
    pub fn way_of(&self, op: usize) -> Option<u8> {
        let around = |stretch: &&Stretch| (stretch.from..stretch.to).contains(&op);
        self.stretches.iter().find(around).map(|stretch| stretch.way)
    }

    /// How many ways there are; 1 where all samples go the same.
    pub fn ways(&self) -> u8 {
        self.stretches.iter().map(|stretch| stretch.way + 1).max().unwrap_or(1)
    }

    /// The oldest format version that knows all of it.
    fn version(&self) -> u32 {
        let newer = |op: &Op| op.conv().is_some_and(|(_, conv)| conv.nested + conv.share > 0);
        if self.stretches.is_empty() && !self.ops.iter().any(newer) { 1 } else { VERSION }
    }
}

/// A packed model, checked and ready to run.
#[derive(Debug, Clone)]
pub struct Model {
    /// SHA-256 of the QONNX file it was packed from.
    pub source: [u8; 32],
    /// What it does.
    pub program: Program,
    /// The shape of every operation's result.
    pub shapes: Vec<Shape>,
    data: Vec<u64>,
}

/// Why bytes are not a packed model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FogError {
    /// The bytes end early or go on too long.
    Length,
    /// Not the magic of a packed model.
    Magic,
    /// Packed for another version of Fogline.
    Version(u32),
    /// The program is not one; says why.
    Program(String),
    /// Operation `index` does not fit; says why.
    Op {
        /// Its index.
        index: usize,
        /// What is wrong.
        why: String,
    },
}

impl FogError {
    /// The machine word of this error.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Length => "fog_length",
            Self::Magic => "fog_magic",
            Self::Version(_) => "fog_version",
            Self::Program(_) | Self::Op { .. } => "fog_invalid",
        }
    }
}

impl fmt::Display for FogError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => f.write_str("the packed model is cut short, too long or too large"),
            Self::Magic => f.write_str("this is not a packed edge model (edge.fog)"),
            Self::Version(v) => write!(
                f,
                "the packed model has format {v}, this version of Fogline reads up to {VERSION}: pack it anew"
            ),
            Self::Program(why) => write!(f, "the packed model's program: {why}"),
            Self::Op { index, why } => write!(f, "operation {index} of the packed model: {why}"),
        }
    }
}

impl std::error::Error for FogError {}

fn lines(bytes: usize) -> usize {
    bytes.next_multiple_of(LINE)
}

impl Model {
    /// Reads and checks a packed model.
    ///
    /// # Errors
    /// When the bytes are not exactly one model whose every part fits.
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
        // In u64: a length near 2^32 would wrap where usize has 32 bits.
        let data_at = (HEADER as u64 + u64::from(word(40))).next_multiple_of(LINE as u64);
        if data_at + u64::from(word(44)) != bytes.len() as u64 {
            return Err(FogError::Length);
        }
        let (program_len, data_at) = (word(40) as usize, data_at as usize);
        if program_len > LONGEST {
            return Err(FogError::Length);
        }
        let program =
            wire::program(&bytes[HEADER..HEADER + program_len]).map_err(FogError::Program)?;
        let source = bytes[8..40].try_into().expect("32 bytes");
        Self::checked(program, &bytes[data_at..], source)
    }

    fn checked(program: Program, bytes: &[u8], source: [u8; 32]) -> Result<Self, FogError> {
        let shapes = check::program(&program, bytes.len())?;
        let mut data = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut data)[..bytes.len()].copy_from_slice(bytes);
        let model = Self { source, program, shapes, data };
        check::numbers(&model)?;
        Ok(model)
    }

    /// The bytes of a packed model.
    ///
    /// # Errors
    /// When the program does not hold together, or the data holds what no model may.
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

    /// A tensor of the data. Its place was checked when the model was parsed.
    pub fn tensor<T: bytemuck::Pod>(&self, blob: Blob) -> &[T] {
        let bytes: &[u8] = bytemuck::cast_slice(&self.data);
        bytemuck::cast_slice(&bytes[blob.at as usize..(blob.at + blob.len) as usize])
    }

    /// The input picture's side in pixels.
    pub fn size(&self) -> usize {
        self.shapes[0].w
    }

    /// Bytes that an engine takes for it at most, beside the file's; more than 256 MiB are refused.
    pub fn memory(&self) -> u64 {
        check::memory(&self.program, &self.shapes)
    }

    /// The shape of the map that travels.
    pub fn split(&self) -> Shape {
        self.shapes[self.program.split]
    }
}
