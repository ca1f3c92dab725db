//! A convolution with its weights laid out for a backend.

use super::filter::Filter;
use super::maps::Maps;
use crate::kernel::{Backend, DepthConv, Geometry, LevelConv, SignConv, Thresholds};
use crate::tensor::{Blob, Data, Kind, Shape};

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
    Depth(DepthConv),
    Groups(Groups),
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
        let layout = if filter.groups() == 1 {
            match filter.bits {
                1 => Layout::Signs(SignConv::new(backend, g, &filter.signs(data, shape))),
                _ => Layout::Levels(LevelConv::new(backend, g, &filter.levels(data, shape))),
            }
        } else {
            let weights = filter.levels(data, shape);
            if (filter.groups(), g.outputs) == (shape.c, shape.c) {
                Layout::Depth(DepthConv::new(backend, g, &weights))
            } else {
                Layout::Groups(Groups::new(g, filter.groups(), &weights, backend))
            }
        };
        let thresholds = thresholds.map(|(threshold, flip)| {
            Thresholds::new(&g, data.tensor(threshold), data.tensor(flip))
        });
        Self { x, layout, thresholds }
    }

    /// Computes row `y` of the sums. Row 0 must be computed first.
    pub fn sums(&mut self, y: usize, maps: &Maps, sums: &mut [i32]) {
        let (x, kind) = (self.x, maps.shapes[self.x].kind);
        match (&mut self.layout, kind) {
            (Layout::Signs(conv), _) => conv.row(y, maps.signs(x), sums),
            (Layout::Levels(conv), Kind::Byte) => conv.row(y, maps.numbers::<u8>(x), sums),
            (Layout::Levels(conv), _) => conv.row(y, maps.numbers::<i8>(x), sums),
            (Layout::Depth(conv), kind) => {
                match kind {
                    _ if y > 0 => {}
                    Kind::Sign => conv.fill_signs(maps.signs(x)),
                    _ => conv.fill(maps.numbers(x)),
                }
                conv.row(y, sums);
            }
            (Layout::Groups(groups), _) => groups.row(y, x, maps, sums),
        }
    }

    /// Whether its rows are signs.
    pub fn is_fused(&self) -> bool {
        self.thresholds.is_some()
    }

    /// Computes row `y` as signs, for a fused layer. `sums` is scratch space for its sums.
    pub fn signs(&mut self, y: usize, maps: &Maps, sums: &mut [i32], signs: &mut [u64]) {
        if let (Layout::Signs(conv), Some(thresholds)) = (&mut self.layout, &mut self.thresholds) {
            return conv.fused_row(y, maps.signs(self.x), thresholds, sums, signs);
        }
        self.sums(y, maps, sums);
        if let Some(thresholds) = &mut self.thresholds {
            thresholds.of_sums(sums, signs);
        }
    }
}

/// A convolution in groups of channels: one convolution over levels for each, on its channels alone.
struct Groups {
    each: Vec<(LevelConv, Vec<i16>)>,
    /// Channels of a group's input and output.
    channels: (usize, usize),
    /// A row of one group's sums.
    part: Vec<i32>,
}

impl Groups {
    /// Lays out `weights` (k, k, inputs of a group, outputs) for `backend`.
    fn new(g: Geometry, groups: usize, weights: &[i8], backend: Backend) -> Self {
        let (inputs, outputs) = (g.x.c / groups, g.outputs / groups);
        // Bytes, so that their kernels read any level.
        let x = Shape { kind: Kind::Byte, c: inputs, ..g.x };
        let each = (0..groups).map(|group| {
            let own = weights.chunks_exact(g.outputs);
            let own = own.flat_map(|all| &all[group * outputs..][..outputs]).copied();
            let conv =
                LevelConv::new(backend, Geometry { x, outputs, ..g }, &own.collect::<Vec<_>>());
            (conv, vec![0; x.len()])
        });
        Self { each: each.collect(), channels: (inputs, outputs), part: vec![0; g.out.1 * outputs] }
    }

    /// Computes row `y` of the sums over operation `x`.
    fn row(&mut self, y: usize, x: usize, maps: &Maps, sums: &mut [i32]) {
        let ((inputs, outputs), groups) = (self.channels, self.each.len());
        for (group, (conv, map)) in self.each.iter_mut().enumerate() {
            if y == 0 {
                let at = |i: usize| (i / inputs, group * inputs + i % inputs);
                for (i, level) in map.iter_mut().enumerate() {
                    *level = maps.level(x, at(i));
                }
            }
            conv.row(y, map, &mut self.part);
            let pixels =
                sums.chunks_exact_mut(outputs * groups).zip(self.part.chunks_exact(outputs));
            for (all, own) in pixels {
                all[group * outputs..][..outputs].copy_from_slice(own);
            }
        }
    }
}
