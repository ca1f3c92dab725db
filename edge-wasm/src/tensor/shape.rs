//! The size of a map, and the numbers that it holds.

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

    /// Never: every shape that an operation may have holds something.
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
pub(crate) const MOST_ELEMENTS: u64 = 1 << 24;

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
