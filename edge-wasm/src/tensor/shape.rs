//! The shape of a map, and its data type.

/// The data type of a map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Real numbers, as f32.
    Real,
    /// Integers of up to 8 bits, as i8.
    Level,
    /// Integers from 0 to 255, as u8.
    Byte,
    /// Signs, +1 and -1.
    Sign,
}

impl Kind {
    /// The largest size of its integers; 0 for real numbers.
    pub(crate) fn largest(self) -> u8 {
        match self {
            Self::Real => 0,
            Self::Level => 128,
            Self::Byte => 255,
            Self::Sign => 1,
        }
    }
}

/// The shape and data type of an operation's result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// What its numbers are: real, levels, bytes or signs.
    pub kind: Kind,
    /// Rows.
    pub h: usize,
    /// Pixels per row.
    pub w: usize,
    /// Channels.
    pub c: usize,
}

impl Shape {
    /// The number of elements: `h * w * c`.
    pub fn len(self) -> usize {
        self.h * self.w * self.c
    }

    /// Always false: a valid shape has elements.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// The bytes of a row.
    pub fn row_bytes(self) -> usize {
        match self.kind {
            Kind::Real => 4 * self.w * self.c,
            Kind::Level | Kind::Byte => self.w * self.c,
            Kind::Sign => 8 * self.w * self.words(),
        }
    }

    /// The number of u64 words for a pixel's signs.
    pub fn words(self) -> usize {
        self.c.div_ceil(64)
    }
}

impl core::fmt::Display for Shape {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}x{}x{}", self.h, self.w, self.c)
    }
}

/// The longest side of a window, and the largest distance between windows.
pub const MAX_WINDOW: u32 = 64;
/// The largest side, number of channels and window of a model.
pub(crate) const LARGEST: u32 = 4096;
/// The largest number of elements of a map.
pub(crate) const MOST_ELEMENTS: u64 = 1 << 24;

/// The height and width of the result of windows of `k` x `k`, `stride` apart, with padding `pad` around the map and `beyond`
/// more below it and on its right.
pub(crate) fn windows(
    x: Shape,
    k: u32,
    stride: u32,
    (pad, beyond): (u32, u32),
) -> Result<(usize, usize), String> {
    let side = |length: usize| {
        let padded = length + 2 * pad as usize + beyond as usize;
        if k == 0 || stride == 0 || k > MAX_WINDOW || stride > MAX_WINDOW || padded < k as usize {
            return Err(format!(
                "a window of {k}, stride {stride} does not fit a map of {}x{}",
                x.h, x.w
            ));
        }
        Ok((padded - k as usize) / stride as usize + 1)
    };
    Ok((side(x.h)?, side(x.w)?))
}
