//! `add`: the sum of two maps.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Elementwise, Operation};
use crate::tensor::{Data, Shape};

/// The sum `a + b`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Add {
    /// The operation that gives the first map, of real numbers.
    pub a: usize,
    /// The operation that gives the second map, of the same shape.
    pub b: usize,
}

impl Operation for Add {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { a: of.number("a")?, b: of.number("b")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.a);
        visit(&mut self.b);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let (a, b) = (earlier.real(self.a)?, earlier.real(self.b)?);
        if a != b {
            return Err(format!("it adds maps of different shapes, {a} and {b}"));
        }
        Ok(a)
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // There are no numbers to check.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Elementwise for Add {
    fn x(&self) -> usize {
        self.a
    }

    fn change(&self, maps: &Maps, from: usize, y: usize, row: &mut [f32]) {
        let other = if self.a == from { self.b } else { self.a };
        for (x, other) in row.iter_mut().zip(maps.real_row(other, y)) {
            *x += other;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn whichever_map_is_at_hand_the_other_is_added() {
        let mut given = Given::new();
        let a = given.real([2, 1, 1], &[1.0, 2.0]);
        let b = given.real([2, 1, 1], &[10.0, 20.0]);
        for from in [a, b] {
            assert_eq!(given.changed(&Add { a, b }, from), [11.0, 22.0]);
        }
        let other = given.real([1, 2, 1], &[0.0; 2]);
        assert!(given.refusal(&Add { a, b: other }).contains("2x1x1 and 1x2x1"));
    }
}
