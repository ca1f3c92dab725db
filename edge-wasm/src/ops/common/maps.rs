//! The results that are available to an operation.

use crate::tensor::{Data, Kind, Shape};

/// The results of a run so far.
#[derive(Clone, Copy)]
pub struct Maps<'a> {
    /// The model's tensors.
    pub data: &'a Data,
    /// The shape of every operation's result.
    pub shapes: &'a [Shape],
    /// The index of each result's buffer; `None` if the result is never stored.
    pub places: &'a [Option<usize>],
    /// The memory that `places` refers to, in u64 words.
    pub buffers: &'a [Vec<u64>],
    /// The way that the run takes.
    pub way: u8,
}

impl<'a> Maps<'a> {
    fn words(&self, op: usize) -> &'a [u64] {
        &self.buffers[self.places[op].expect("what is read later is stored")]
    }

    /// A map of signs: H, W, words.
    pub fn signs(&self, op: usize) -> &'a [u64] {
        let shape = self.shapes[op];
        &self.words(op)[..shape.h * shape.w * shape.words()]
    }

    /// A map of real numbers (f32), levels (i8) or bytes (u8): H, W, C.
    pub fn numbers<T: bytemuck::Pod>(&self, op: usize) -> &'a [T] {
        &bytemuck::cast_slice(self.words(op))[..self.shapes[op].len()]
    }

    /// The level at a pixel's channel, of a map of levels, bytes or signs.
    pub fn level(&self, op: usize, (pixel, c): (usize, usize)) -> i16 {
        let shape = self.shapes[op];
        match shape.kind {
            Kind::Sign if self.signs(op)[pixel * shape.words() + c / 64] >> (c % 64) & 1 == 1 => 1,
            Kind::Sign => -1,
            Kind::Byte => self.numbers::<u8>(op)[pixel * shape.c + c].into(),
            _ => self.numbers::<i8>(op)[pixel * shape.c + c].into(),
        }
    }

    /// Row `y` of a map of real numbers.
    pub fn real_row(&self, op: usize, y: usize) -> &'a [f32] {
        let row_len = self.shapes[op].w * self.shapes[op].c;
        &self.numbers(op)[y * row_len..][..row_len]
    }
}
