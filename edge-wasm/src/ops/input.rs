//! `input`: the picture's bytes to 8-bit levels.

use serde::Serialize;

use super::common::{Cost, Earlier, Fields, is_zero};
use super::operation::{Operation, Source};
use crate::tensor::{Blob, Data, Kind, Shape};

/// The picture's bytes as 8-bit levels, through a table of 256 entries per channel, of which there are three or one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Input {
    /// Side of the square picture, in pixels.
    pub size: u32,
    /// i8 or u8, 3 x 256: the level of each byte value, per channel. With 256 entries, the picture is made grey first.
    pub table: Blob,
    /// Whether the levels are bytes.
    #[serde(skip_serializing_if = "is_zero")]
    pub unsigned: bool,
}

impl Operation for Input {
    fn read(of: Fields) -> Result<Self, String> {
        Ok(Self {
            size: of.number("size")?,
            table: of.blob("table")?,
            unsigned: of.flag("unsigned")?,
        })
    }

    fn for_each_input(&mut self, _: impl FnMut(&mut usize)) {}

    fn shape(&self, earlier: &Earlier) -> Result<Shape, String> {
        if !(1..=1024).contains(&self.size) || !earlier.shapes.is_empty() {
            return Err("an input comes first and is 1 to 1024 pixels wide".into());
        }
        let c = if self.table.len == 256 { 1 } else { 3 };
        earlier.holds(self.table, 256 * c as u64, "table")?;
        let size = self.size as usize;
        let kind = if self.unsigned { Kind::Byte } else { Kind::Level };
        Ok(Shape { kind, h: size, w: size, c })
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
        if table.len() == 256 {
            for (level, rgb) in levels.iter_mut().zip(rgb.as_chunks().0) {
                *level = table[usize::from(grey(*rgb))];
            }
            return;
        }
        for (levels, bytes) in levels.chunks_exact_mut(3).zip(rgb.chunks_exact(3)) {
            for (channel, (level, &byte)) in levels.iter_mut().zip(bytes).enumerate() {
                *level = table[channel * 256 + usize::from(byte)];
            }
        }
    }
}

/// The luma of a pixel (ITU-R BT.601), to the nearest integer as Pillow's `convert("L")` computes it.
fn grey(rgb: [u8; 3]) -> u8 {
    let [r, g, b] = rgb.map(u32::from);
    ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
}

#[cfg(test)]
mod tests {
    use super::super::common::given::Given;
    use super::*;

    #[test]
    fn every_channel_has_a_table_of_its_own() {
        let mut given = Given::new();
        let table: Vec<i8> = (0..768_u32).map(|i| (i % 256 / 2 + i / 256) as i8).collect();
        let input = Input { size: 1, table: given.blob(&table), unsigned: false };
        assert_eq!(given.shape(&input).unwrap().len(), 3);
        let mut levels = [0; 3];
        input.fill(given.data(), &[200, 200, 7], &mut levels);
        assert_eq!(levels, [100, 101, 5]);
        let table: Vec<u8> = (0..=255).collect();
        let grey = Input { size: 2, table: given.blob(&table), unsigned: true };
        assert_eq!(given.shape(&grey), Ok(Shape { kind: Kind::Byte, h: 2, w: 2, c: 1 }));
        let mut levels = [0; 4];
        let rgb = [255, 255, 255, 255, 0, 0, 0, 255, 0, 0, 0, 255];
        grey.fill(given.data(), &rgb, &mut levels);
        assert_eq!(levels.map(|level| level as u8), [255, 76, 150, 29]);
        given.levels([1, 1, 1], &[0]);
        assert!(given.refusal(&input).contains("comes first"));
    }
}
