//! The operations of a packed edge model, and the shapes that follow from them.
//!
//! Maps lie in memory as H, W, C: a pixel's channels side by side, so that a binary
//! convolution reads whole words of signs.

use serde::Serialize;

use crate::conv::Conv;

/// A tensor in the data of a packed model: `len` bytes from `at`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Blob {
    /// Offset from the start of the data, a multiple of 64.
    pub at: u32,
    /// Length in bytes.
    pub len: u32,
}

/// One operation. `x`, `a` and `b` are indices of earlier operations.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The picture's bytes to 8-bit levels, through a table of 256 entries a channel.
    Input {
        /// Side of the square picture.
        size: u32,
        /// i8, 3 x 256: the level of every byte of every channel.
        table: Blob,
    },
    /// +1 where `x` is at least the channel's threshold, else -1.
    Sign {
        /// A real map.
        x: usize,
        /// f32, one a channel.
        threshold: Blob,
    },
    /// The nearest level, ties to even: `clamp(round(x / scale), low, high)`.
    Quantise {
        /// A real map.
        x: usize,
        /// What a level is worth.
        scale: f32,
        /// The lowest level.
        low: i8,
        /// The highest level.
        high: i8,
    },
    /// A convolution over signs or levels, then `acc * scale + bias` a channel.
    Conv {
        /// Signs or levels.
        x: usize,
        /// Kernel, stride and weights.
        conv: Conv,
        /// f32, one an output channel.
        scale: Blob,
        /// f32, one an output channel.
        bias: Blob,
    },
    /// A convolution whose batch-norm and sign are folded into whole-number thresholds:
    /// +1 where `(acc >= threshold) != flip`.
    ConvSign {
        /// Signs or levels.
        x: usize,
        /// Kernel, stride and weights.
        conv: Conv,
        /// i32, one an output channel.
        threshold: Blob,
        /// u8, one an output channel: 1 turns the comparison round.
        flip: Blob,
    },
    /// `x * scale + bias` a channel.
    Affine {
        /// A real map.
        x: usize,
        /// f32, one a channel.
        scale: Blob,
        /// f32, one a channel.
        bias: Blob,
    },
    /// `a + b`.
    Add {
        /// A real map.
        a: usize,
        /// A real map of the same shape.
        b: usize,
    },
    /// `x` where positive, else `x * slope` with a slope a channel; zeros make it a ReLU.
    Prelu {
        /// A real map.
        x: usize,
        /// f32, one a channel.
        slope: Blob,
    },
    /// The mean of windows of `k` x `k`, `stride` apart, without padding.
    AveragePool {
        /// A real map.
        x: usize,
        /// Side of the window.
        k: u32,
        /// Distance of windows.
        stride: u32,
    },
    /// The maximum of windows of `k` x `k`, `stride` apart, without padding.
    MaxPool {
        /// A real map.
        x: usize,
        /// Side of the window.
        k: u32,
        /// Distance of windows.
        stride: u32,
    },
    /// The map of the way that the sample takes: one of several of the same shape, of which only that one is computed.
    Either {
        /// A real map a way.
        of: Vec<usize>,
    },
    /// The channels of `a`, then those of `b`.
    Concat {
        /// A real map.
        a: usize,
        /// A real map of the same height and width.
        b: usize,
    },
    /// A linear layer over the whole map: `sum(x * w) * scale + bias`.
    Dense {
        /// A real map.
        x: usize,
        /// Number of outputs.
        outputs: u32,
        /// Bits a weight: 8 (i8) or 32 (f32).
        bits: u8,
        /// Inputs (in H, W, C order) x outputs.
        weights: Blob,
        /// f32, one an output.
        scale: Blob,
        /// f32, one an output.
        bias: Blob,
    },
}

/// What kind of numbers a map holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// f32.
    Real,
    /// Whole numbers of up to 8 bits.
    Level,
    /// +1 and -1.
    Sign,
}

/// Kind and size of an operation's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What it holds.
    pub kind: Kind,
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// Elements in all.
    pub fn len(self) -> usize {
        self.h * self.w * self.c
    }

    /// Never: every shape that passed [`Op::shape`] holds something.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// u64 words that hold a pixel's signs.
    pub fn words(self) -> usize {
        self.c.div_ceil(64)
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.h, self.w, self.c)
    }
}

/// The longest side, channel count and window that a model may have.
pub(crate) const LARGEST: u32 = 4096;
/// The most elements that one map may have.
const MOST_ELEMENTS: u64 = 1 << 24;

impl Op {
    /// Indices of the operations whose results this one reads.
    pub fn inputs(&self) -> Vec<usize> {
        let mut inputs = vec![];
        self.clone().for_each_input(|input| inputs.push(*input));
        inputs
    }

    /// The map that a convolution reads, and its kernel; none for other operations.
    pub fn conv(&self) -> Option<(usize, &Conv)> {
        match self {
            Self::Conv { x, conv, .. } | Self::ConvSign { x, conv, .. } => Some((*x, conv)),
            _ => None,
        }
    }

    /// Visits those indices, to change them.
    pub fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        match self {
            Self::Input { .. } => {}
            Self::Add { a, b } | Self::Concat { a, b } => {
                visit(a);
                visit(b);
            }
            Self::Either { of } => of.iter_mut().for_each(visit),
            Self::Sign { x, .. }
            | Self::Quantise { x, .. }
            | Self::Conv { x, .. }
            | Self::ConvSign { x, .. }
            | Self::Affine { x, .. }
            | Self::Prelu { x, .. }
            | Self::AveragePool { x, .. }
            | Self::MaxPool { x, .. }
            | Self::Dense { x, .. } => visit(x),
        }
    }

    /// The shape of the result, given those of earlier operations and the data's length.
    ///
    /// # Errors
    /// Says what does not fit: an index, a shape, a length, a size over the limits.
    #[expect(clippy::too_many_lines, reason = "one arm an operation, each short")]
    pub fn shape(&self, earlier: &[Shape], data: usize) -> Result<Shape, String> {
        let of = |index: usize| {
            earlier
                .get(index)
                .copied()
                .ok_or_else(|| format!("it reads operation {index}, which does not come before"))
        };
        let real = |index: usize| {
            of(index).and_then(|shape| match shape.kind {
                Kind::Real => Ok(shape),
                kind => Err(format!("it needs a real map, not one of {kind:?}")),
            })
        };
        // In u64, since usize has 32 bits in WebAssembly and a hostile model may say anything.
        let holds = |blob: Blob, bytes: u64, what: &str| {
            let end = u64::from(blob.at) + u64::from(blob.len);
            if !blob.at.is_multiple_of(64) || end > data as u64 {
                Err(format!("its {what} lie outside the data or out of line"))
            } else if u64::from(blob.len) != bytes {
                Err(format!("its {what} take {} bytes, where {bytes} are needed", blob.len))
            } else {
                Ok(())
            }
        };
        let shape = match self {
            Self::Input { size, table } => {
                if !(1..=1024).contains(size) || !earlier.is_empty() {
                    return Err("an input comes first and is 1 to 1024 pixels wide".into());
                }
                holds(*table, 768, "table")?;
                let size = *size as usize;
                Shape { kind: Kind::Level, h: size, w: size, c: 3 }
            }
            Self::Sign { x, threshold } => {
                let shape = real(*x)?;
                holds(*threshold, 4 * shape.c as u64, "thresholds")?;
                Shape { kind: Kind::Sign, ..shape }
            }
            Self::Quantise { x, scale, low, high } => {
                if !(*scale > 0.0 && scale.is_finite()) || low >= high {
                    return Err("its scale or range is not one".into());
                }
                Shape { kind: Kind::Level, ..real(*x)? }
            }
            Self::Conv { x, conv, scale, bias } => {
                let shape = conv.shape(of(*x)?, holds)?;
                holds(*scale, 4 * shape.c as u64, "scales")?;
                holds(*bias, 4 * shape.c as u64, "biases")?;
                shape
            }
            Self::ConvSign { x, conv, threshold, flip } => {
                let shape = conv.shape(of(*x)?, holds)?;
                holds(*threshold, 4 * shape.c as u64, "thresholds")?;
                holds(*flip, shape.c as u64, "flips")?;
                Shape { kind: Kind::Sign, ..shape }
            }
            Self::Affine { x, scale, bias } => {
                let shape = real(*x)?;
                holds(*scale, 4 * shape.c as u64, "scales")?;
                holds(*bias, 4 * shape.c as u64, "biases")?;
                shape
            }
            Self::Add { a, b } => {
                let (a, b) = (real(*a)?, real(*b)?);
                if a != b {
                    return Err(format!("it adds maps of different shapes, {a} and {b}"));
                }
                a
            }
            Self::Prelu { x, slope } => {
                let shape = real(*x)?;
                holds(*slope, 4 * shape.c as u64, "slopes")?;
                shape
            }
            Self::AveragePool { x, k, stride } | Self::MaxPool { x, k, stride } => {
                let shape = real(*x)?;
                let (h, w) = windows(shape, *k, *stride, 0)?;
                Shape { h, w, ..shape }
            }
            Self::Either { of: maps } => {
                let shapes = maps.iter().map(|&x| real(x)).collect::<Result<Vec<_>, _>>()?;
                match shapes[..] {
                    [first, _, ..] if shapes.iter().all(|shape| *shape == first) => first,
                    _ => return Err("it takes fewer than two maps, or of different shapes".into()),
                }
            }
            Self::Concat { a, b } => {
                let (a, b) = (real(*a)?, real(*b)?);
                if (a.h, a.w) != (b.h, b.w) {
                    return Err(format!("it joins maps of different sizes, {a} and {b}"));
                }
                Shape { c: a.c + b.c, ..a }
            }
            Self::Dense { x, outputs, bits, weights, scale, bias } => {
                let inputs = real(*x)?.len() as u64;
                let wide = u64::from(*outputs);
                if ![8, 32].contains(bits) {
                    return Err(format!("a linear layer of {bits} bits, where 8 and 32 are known"));
                }
                holds(*weights, inputs * wide * u64::from(bits / 8), "weights")?;
                holds(*scale, 4 * wide, "scales")?;
                holds(*bias, 4 * wide, "biases")?;
                Shape { kind: Kind::Real, h: 1, w: 1, c: *outputs as usize }
            }
        };
        let elements = shape.h as u64 * shape.w as u64 * shape.c as u64;
        if shape.c == 0 || shape.c > LARGEST as usize || elements > MOST_ELEMENTS {
            return Err(format!("its result of {shape} is empty or too large"));
        }
        Ok(shape)
    }
}

/// The height and width of what windows of `k`, `stride` apart, with `pad` around the map, give.
pub(crate) fn windows(x: Shape, k: u32, stride: u32, pad: u32) -> Result<(usize, usize), String> {
    let side = |length: usize| {
        let padded = length + 2 * pad as usize;
        if k == 0 || stride == 0 || k > 64 || stride > 64 || padded < k as usize {
            return Err(format!(
                "a window of {k}, stride {stride} does not fit a map of {}x{}",
                x.h, x.w
            ));
        }
        Ok((padded - k as usize) / stride as usize + 1)
    };
    Ok((side(x.h)?, side(x.w)?))
}
