//! `clip`: numbers limited to a range.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Elementwise, Operation};
use crate::tensor::{Data, Shape};

/// `low` where `x` is lower, `high` where it is higher, else `x`. With 0 and 6 it is a ReLU6.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Clip {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// The smallest result.
    pub low: f32,
    /// The largest result.
    pub high: f32,
}

impl Operation for Clip {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { x: of.number("x")?, low: of.real("low")?, high: of.real("high")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        if !(self.low <= self.high && self.low.is_finite() && self.high.is_finite()) {
            return Err("its bounds are invalid".into());
        }
        earlier.real(self.x)
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // Its bounds were checked with its shape.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Elementwise for Clip {
    fn x(&self) -> usize {
        self.x
    }

    fn change(&self, _: &Maps, _: usize, _: usize, row: &mut [f32]) {
        let (low, high) = (self.low, self.high);
        for x in row {
            let above = if *x > low { *x } else { low };
            *x = if above < high { above } else { high };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn what_lies_outside_becomes_the_bound() {
        let mut given = Given::new();
        let x = given.real([1, 3, 2], &[-9.0, -1.5, 0.0, 5.9, 6.0, f32::INFINITY]);
        let clip = Clip { x, low: -1.5, high: 6.0 };
        assert_eq!(given.changed(&clip, x), [-1.5, -1.5, 0.0, 5.9, 6.0, 6.0]);
        let turned = Clip { low: 6.0, high: -1.5, ..clip };
        assert_eq!(given.shape(&turned), Err("its bounds are invalid".into()));
    }
}
