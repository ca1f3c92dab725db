//! A convolution with its weights laid out for a backend.

use super::filter::Filter;
use super::maps::Maps;
use crate::kernel::{Backend, LevelConv, SignConv, Thresholds};
use crate::tensor::{Blob, Data, Shape};

/// A convolution, its laid-out weights, and the operation that it reads.
pub struct Layer {
    x: usize,
    layout: Layout,
    /// The thresholds, if the sums become signs at once.
    thresholds: Option<Thresholds>,
}

enum Layout {
    Signs(SignConv),
    Levels(LevelConv),
}

impl Layer {
    /// A layer over the result of operation `x`, of the given shape.
    pub(in crate::ops) fn new(
        x: usize,
        shape: Shape,
        filter: &Filter,
        thresholds: Option<(Blob, Blob)>,
        data: &Data,
        backend: Backend,
    ) -> Self {
        let g = filter.geometry(shape);
        let layout = match filter.bits {
            1 => Layout::Signs(SignConv::new(backend, g, &filter.signs(data, shape))),
            _ => Layout::Levels(LevelConv::new(backend, g, &filter.levels(data, shape))),
        };
        let thresholds = thresholds.map(|(threshold, flip)| {
            Thresholds::new(&g, data.tensor(threshold), data.tensor(flip))
        });
        Self { x, layout, thresholds }
    }

    /// Computes row `y` of the sums.
    pub fn sums(&mut self, y: usize, maps: &Maps, sums: &mut [i32]) {
        match &mut self.layout {
            Layout::Signs(conv) => conv.row(y, maps.signs(self.x), sums),
            Layout::Levels(conv) => conv.row(y, maps.numbers(self.x), sums),
        }
    }

    /// Whether its rows are signs.
    pub fn is_fused(&self) -> bool {
        self.thresholds.is_some()
    }

    /// Computes row `y` as signs, for a fused layer. `sums` is scratch space for its sums.
    pub fn signs(&mut self, y: usize, maps: &Maps, sums: &mut [i32], signs: &mut [u64]) {
        let Some(thresholds) = &mut self.thresholds else { return };
        match &mut self.layout {
            Layout::Signs(conv) => conv.fused_row(y, maps.signs(self.x), thresholds, sums, signs),
            Layout::Levels(conv) => {
                conv.row(y, maps.numbers(self.x), sums);
                thresholds.of_sums(sums, signs);
            }
        }
    }
}
