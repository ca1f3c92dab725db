//! `average_pool`: the mean over windows.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps, pool};
use super::operation::{Gather, Operation};
use crate::tensor::{Data, Shape};

/// The mean over windows of `k` x `k`, `stride` apart, without padding, or over the whole map.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AveragePool {
    /// The operation that gives the input, a map of real numbers.
    pub x: usize,
    /// Side of the window; 0 for one window that is the whole map, of any size.
    pub k: u32,
    /// The distance between windows.
    pub stride: u32,
}

impl Operation for AveragePool {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { x: of.number("x")?, k: of.number("k")?, stride: of.number("stride")? })
    }

    fn for_each_input(&mut self, mut visit: impl FnMut(&mut usize)) {
        visit(&mut self.x);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let x = earlier.real(self.x)?;
        match self.k {
            0 => Ok(Shape { h: 1, w: 1, ..x }),
            k => pool::shape(x, k, self.stride),
        }
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // There are no numbers to check.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Gather for AveragePool {
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]) {
        let (map, shape) = (maps.numbers(self.x), maps.shapes[self.x]);
        let window = match self.k as usize {
            0 => (shape.h, shape.w),
            k => (k, k),
        };
        pool::row(row, y, map, shape, (window, self.stride), 0.0, |a, b| a + b);
        let count = (window.0 * window.1) as f32;
        for sum in row {
            *sum /= count;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn windows_are_averaged_by_channel() {
        let mut given = Given::new();
        let numbers: Vec<f32> = (0..18).map(|i| if i % 2 == 0 { i as f32 } else { -1.0 }).collect();
        let x = given.real([3, 3, 2], &numbers);
        let two = AveragePool { x, k: 2, stride: 1 };
        assert_eq!(given.gathered(&two), [4.0, -1.0, 6.0, -1.0, 10.0, -1.0, 12.0, -1.0]);
        assert_eq!(given.gathered(&AveragePool { k: 1, stride: 2, ..two.clone() }).len(), 8);
        assert!(given.refusal(&AveragePool { k: 4, ..two }).contains("does not fit a map of 3x3"));
    }

    #[test]
    fn a_window_of_0_is_the_whole_map() {
        let mut given = Given::new();
        let numbers: Vec<f32> =
            (0..400).map(|i| if i % 2 == 0 { i as f32 } else { -1.0 }).collect();
        let x = given.real([2, 100, 2], &numbers);
        assert_eq!(given.gathered(&AveragePool { x, k: 0, stride: 1 }), [199.0, -1.0]);
    }
}
