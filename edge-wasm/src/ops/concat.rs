//! `concat`: two maps joined along their channels.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Gather, Operation};
use crate::tensor::{Data, Shape};

/// The channels of `a`, then those of `b`, for each pixel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Concat {
    /// The operation that gives the first map, of real numbers.
    pub a: usize,
    /// The operation that gives the second map, of the same height and width.
    pub b: usize,
}

impl Operation for Concat {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { a: of.number("a")?, b: of.number("b")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.a);
        visit(&mut self.b);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let (a, b) = (earlier.real(self.a)?, earlier.real(self.b)?);
        if (a.h, a.w) != (b.h, b.w) {
            return Err(format!("it joins maps of different sizes, {a} and {b}"));
        }
        Ok(Shape { c: a.c + b.c, ..a })
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // There are no numbers to check.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Gather for Concat {
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]) {
        let channels = (maps.shapes[self.a].c, maps.shapes[self.b].c);
        concat(row, maps.real_row(self.a, y), maps.real_row(self.b, y), channels);
    }
}

/// The channels of `a`, then those of `b`, pixel by pixel.
fn concat(row: &mut [f32], a: &[f32], b: &[f32], (ca, cb): (usize, usize)) {
    let pixels = a.chunks_exact(ca).zip(b.chunks_exact(cb));
    for (row, (a, b)) in row.chunks_exact_mut(ca + cb).zip(pixels) {
        row[..ca].copy_from_slice(a);
        row[ca..].copy_from_slice(b);
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn channels_are_joined_pixel_by_pixel() {
        let mut given = Given::new();
        let a = given.real([1, 2, 1], &[1.0, 2.0]);
        let b = given.real([1, 2, 2], &[3.0, 4.0, 5.0, 6.0]);
        assert_eq!(given.gathered(&Concat { a, b }), [1.0, 3.0, 4.0, 2.0, 5.0, 6.0]);
        let other = given.real([2, 1, 1], &[0.0; 2]);
        assert!(given.refusal(&Concat { a, b: other }).contains("1x2x1 and 2x1x1"));
    }
}
