//! `input`: the picture's bytes to 8-bit levels.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields};
use super::operation::{Operation, Source};
use crate::tensor::{Blob, Data, Kind, Shape};

/// The picture's bytes as 8-bit levels, through a table of 256 entries per channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Input {
    /// Side of the square picture, in pixels.
    pub size: u32,
    /// i8, 3 x 256: the level of each byte value, per channel.
    pub table: Blob,
}

impl Operation for Input {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self { size: of.number("size")?, table: of.blob("table")? })
    }

    fn for_each_input(&mut self, _: impl FnMut(&mut usize)) {}

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        if !(1..=1024).contains(&self.size) || !earlier.shapes.is_empty() {
            return Err("an input comes first and is 1 to 1024 pixels wide".into());
        }
        earlier.holds(self.table, 768, "table")?;
        let size = self.size as usize;
        Ok(Shape { kind: Kind::Level, h: size, w: size, c: 3 })
    }

    fn check(&self, _: &Data, _: &[Shape]) -> Result<(), String> {
        Ok(()) // Any level is valid.
    }

    fn cost(&self, _: &[Shape]) -> Option<Cost> {
        None
    }
}

impl Source for Input {
    fn fill(&self, data: &Data, rgb: &[u8], levels: &mut [i8]) {
        let table: &[i8] = data.tensor(self.table);
        for (levels, bytes) in levels.chunks_exact_mut(3).zip(rgb.chunks_exact(3)) {
            for (channel, (level, &byte)) in levels.iter_mut().zip(bytes).enumerate() {
                *level = table[channel * 256 + usize::from(byte)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn every_channel_has_a_table_of_its_own() {
        let mut given = Given::new();
        let table: Vec<i8> = (0..768_u32).map(|i| (i % 256 / 2 + i / 256) as i8).collect();
        let input = Input { size: 1, table: given.blob(&table) };
        assert_eq!(given.shape(&input).unwrap().len(), 3);
        let mut levels = [0; 3];
        input.fill(given.data(), &[200, 200, 7], &mut levels);
        assert_eq!(levels, [100, 101, 5]);
        given.levels([1, 1, 1], &[0]);
        assert!(given.refusal(&input).contains("comes first"));
    }
}
