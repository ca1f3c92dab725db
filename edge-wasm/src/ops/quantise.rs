//! `quantise`: real numbers to levels.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields};
use super::operation::{Operation, Quantiser};
use crate::tensor::{Data, Kind, Shape};

/// The nearest level, ties to even: `clamp(round(x / scale), low, high)`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Quantise {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// The value of one level.
    pub scale: f32,
    /// The smallest level of the result.
    pub low: i8,
    /// The largest level of the result.
    pub high: i8,
}

impl Operation for Quantise {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self {
            x: of.number("x")?,
            scale: of.real("scale")?,
            low: of.number("low")?,
            high: of.number("high")?,
        })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        if !(self.scale > 0.0 && self.scale.is_finite()) || self.low >= self.high {
            return Err("its scale or range is invalid".into());
        }
        Ok(Shape { kind: Kind::Level, ..earlier.real(self.x)? })
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // Its scale was checked with its shape.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Quantiser for Quantise {
    fn bits(&self) -> u8 {
        let hold = |b: &u8| self.low >= -(1 << (b - 1)) && self.high < 1 << (b - 1);
        [2_u8, 4].into_iter().find(hold).unwrap_or(8)
    }

    fn quantise(&self, _: &Data, _: Shape, y: usize, row: &[f32], map: &mut [u64]) {
        let levels: &mut [i8] = bytemuck::cast_slice_mut(map);
        let levels = &mut levels[y * row.len()..][..row.len()];
        nearest(levels, row, self.scale, self.low, self.high);
    }
}

/// Adding this to a number below 2^22 leaves the nearest integer, ties to even, in the lowest bits of the sum.
const WHOLE: f32 = 12_582_912.0;

/// The nearest levels, ties to even, limited to `low..=high`.
fn nearest(levels: &mut [i8], row: &[f32], scale: f32, low: i8, high: i8) {
    let (low, high) = (f32::from(low), f32::from(high));
    for (level, x) in levels.iter_mut().zip(row) {
        let x = x / scale;
        let x = if x > low { x } else { low };
        let x = if x < high { x } else { high };
        *level = (x + WHOLE).to_bits() as i8;
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn ties_go_to_even_and_all_else_to_the_nearest_level() {
        let mut given = Given::new();
        let x = given.real([1, 4, 2], &[1.0, 3.0, 5.0, -1.0, -3.0, 99.0, -99.0, 2.9]);
        let quantise = Quantise { x, scale: 2.0, low: -8, high: 7 };
        let words = given.quantised(&quantise, x, 1);
        assert_eq!(bytemuck::cast_slice::<_, i8>(&words), [0, 2, 2, 0, -2, 7, -8, 1]);
        assert_eq!(quantise.bits(), 4);
        assert_eq!(Quantise { low: -9, ..quantise.clone() }.bits(), 8);
        assert!(given.refusal(&Quantise { scale: 0.0, ..quantise }).contains("scale or range"));
    }
}
