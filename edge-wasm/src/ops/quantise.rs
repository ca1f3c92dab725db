//! `quantise`: real numbers to levels.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, is_zero};
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
    pub low: i16,
    /// The largest level of the result. Above 127, the levels are bytes.
    pub high: i16,
    /// The lowest bits that are dropped after rounding, as `Trunc` does: a level is `floor(round(x / scale) / 2^shift)`.
    #[serde(skip_serializing_if = "is_zero")]
    pub shift: u8,
    /// Whether levels from 0 take no bit for a sign in a frame.
    #[serde(skip_serializing_if = "is_zero")]
    pub unsigned: bool,
}

impl Operation for Quantise {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self {
            x: of.number("x")?,
            scale: of.real("scale")?,
            low: of.number("low")?,
            high: of.number("high")?,
            shift: of.or_zero("shift")?,
            unsigned: of.flag("unsigned")?,
        })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let range = if self.unsigned { 0..=255 } else { -128..=127 };
        let fits = range.contains(&self.low)
            && range.contains(&self.high)
            && self.low < self.high
            && self.shift <= 8;
        if !(self.scale > 0.0 && self.scale.is_finite() && fits) {
            return Err("its scale or range is invalid".into());
        }
        let kind = if self.high > 127 { Kind::Byte } else { Kind::Level };
        Ok(Shape { kind, ..earlier.real(self.x)? })
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
        // Below 0, one of the bits is the sign's.
        let sign = u8::from(!self.unsigned);
        let hold = |b: &u8| self.low >= -(1 << (b - 1)) && self.high < 1 << (b - sign);
        [2_u8, 4].into_iter().find(hold).unwrap_or(8)
    }

    fn quantise(&self, _: &Data, _: Shape, y: usize, row: &[f32], map: &mut [u64]) {
        let levels: &mut [i8] = bytemuck::cast_slice_mut(map);
        let levels = &mut levels[y * row.len()..][..row.len()];
        match self.shift {
            0 => nearest(levels, row, self.scale, self.low, self.high),
            _ => truncated(levels, row, self),
        }
    }
}

/// Adding this to a number below 2^22 leaves the nearest integer, ties to even, in the lowest bits of the sum.
const WHOLE: f32 = 12_582_912.0;

/// The nearest levels, ties to even, limited to `low..=high`.
fn nearest(levels: &mut [i8], row: &[f32], scale: f32, low: i16, high: i16) {
    let (low, high) = (f32::from(low), f32::from(high));
    for (level, x) in levels.iter_mut().zip(row) {
        let x = x / scale;
        let x = if x > low { x } else { low };
        let x = if x < high { x } else { high };
        // The lowest eight bits, which are a byte's as well.
        *level = (x + WHOLE).to_bits() as i8;
    }
}

/// The nearest integers without their lowest bits, limited to the levels.
fn truncated(levels: &mut [i8], row: &[f32], of: &Quantise) {
    let last = (1 << of.shift) - 1;
    let (low, high) = (i32::from(of.low) << of.shift, (i32::from(of.high) << of.shift) + last);
    let (low, high) = (low as f32, high as f32);
    for (level, x) in levels.iter_mut().zip(row) {
        let x = x / of.scale;
        let x = if x > low { x } else { low };
        let x = if x < high { x } else { high };
        let whole = (x + WHOLE).to_bits().cast_signed() - WHOLE.to_bits().cast_signed();
        *level = (whole >> of.shift) as i8;
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
        let quantise = Quantise { x, scale: 2.0, low: -8, high: 7, shift: 0, unsigned: false };
        let words = given.quantised(&quantise, x, 1);
        assert_eq!(bytemuck::cast_slice::<_, i8>(&words), [0, 2, 2, 0, -2, 7, -8, 1]);
        assert_eq!(quantise.bits(), 4);
        assert_eq!(Quantise { low: -9, ..quantise.clone() }.bits(), 8);
        assert!(
            given.refusal(&Quantise { scale: 0.0, ..quantise.clone() }).contains("scale or range")
        );
        // 0.5, 1.5, 2.5, -0.5, -1.5, 49.5, -49.5, 1.45: to the nearest, then halved and rounded down.
        let words = given.quantised(&Quantise { shift: 1, ..quantise.clone() }, x, 1);
        assert_eq!(bytemuck::cast_slice::<_, i8>(&words), [0, 1, 1, 0, -1, 7, -8, 0]);
        let bytes = Quantise { low: 0, high: 255, unsigned: true, scale: 0.25, ..quantise };
        assert_eq!(given.shape(&bytes).unwrap().kind, Kind::Byte);
        let words = given.quantised(&bytes, x, 1);
        assert_eq!(bytemuck::cast_slice::<_, u8>(&words), [4, 12, 20, 0, 0, 255, 0, 12]);
    }

    #[test]
    fn levels_from_0_up_need_no_bit_for_a_sign_in_a_frame() {
        let levels =
            |high, unsigned| Quantise { x: 0, scale: 1.0, low: 0, high, shift: 0, unsigned };
        let bits = [3, 15, 16, 255].map(|high| levels(high, true).bits());
        assert_eq!((bits, levels(15, false).bits()), ([2, 4, 8, 8], 8));
    }
}
