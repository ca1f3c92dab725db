//! `either`: the map of the sample's way.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, Maps};
use super::operation::{Gather, Operation};
use crate::tensor::{Data, Shape};

/// The map of the way that the sample takes: one of several maps of the same shape, of which only that one is computed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Either {
    /// A real map for each way.
    pub of: Vec<usize>,
}

impl Operation for Either {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { of: of.indices("of")? })
    }

    fn for_each_input(&mut self, visit: impl FnMut(&mut usize)) {
        self.of.iter_mut().for_each(visit);
    }

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        let (mut first, mut alike) = (None, self.of.len() > 1);
        for &x in &self.of {
            let shape = earlier.real(x)?;
            alike &= *first.get_or_insert(shape) == shape;
        }
        match first {
            Some(first) if alike => Ok(first),
            _ => Err("it needs at least two maps of the same shape".into()),
        }
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // There are no numbers to check.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Gather for Either {
    fn row(&self, maps: &Maps, y: usize, row: &mut [f32]) {
        row.copy_from_slice(maps.real_row(self.of[usize::from(maps.way)], y));
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn the_way_chooses_the_map() {
        let mut given = Given::new();
        let of = vec![given.real([1, 1, 1], &[1.0]), given.real([1, 1, 1], &[2.0])];
        let either = Either { of };
        for (way, number) in [(0, 1.0), (1, 2.0)] {
            given.way = way;
            assert_eq!(given.gathered(&either), [number]);
        }
        assert!(given.refusal(&Either { of: vec![0] }).contains("at least two maps"));
    }
}
