//! Running a step, row by row.

use core::mem::take;

use super::schedule::Schedule;
use super::steps::Step;
use crate::model::Model;
use crate::ops::{Layer, Maps};
use crate::tensor::Kind;

/// The memory that a model runs in.
pub struct Rows {
    /// Convolutions with their weights laid out for the backend, by operation.
    pub layers: Vec<Option<Layer>>,
    /// Results, in the buffers that the schedule assigns.
    pub buffers: Vec<Vec<u64>>,
    /// One row of sums of the convolution that is running.
    pub sums: Vec<i32>,
    /// A row that is not stored after its step.
    pub passing: Vec<f32>,
}

/// A view of the results in `buffers`.
pub fn maps<'a>(
    model: &'a Model,
    schedule: &'a Schedule,
    buffers: &'a [Vec<u64>],
    way: u8,
) -> Maps<'a> {
    Maps { data: model.data(), shapes: &model.shapes, places: &schedule.places, buffers, way }
}

impl Rows {
    /// Runs step `index` for a sample that takes `way`.
    pub fn run(&mut self, model: &Model, schedule: &Schedule, index: usize, way: u8) {
        let Self { layers, buffers, sums, passing } = self;
        let Step { head, tail, result, .. } = &schedule.steps[index];
        let ops = &model.program.ops;
        let shape = model.shapes[*head];
        let row_len = shape.w * shape.c;
        // The buffer is taken out while it is written; the step reads from others.
        let mut stored = schedule.places[*result].map(|place| (place, take(&mut buffers[place])));
        for y in 0..shape.h {
            if let Some(layer) = &mut layers[*head] {
                let maps = maps(model, schedule, buffers, way);
                let sums = &mut sums[..row_len];
                if let (true, Some((_, map))) = (layer.is_fused(), &mut stored) {
                    let words = shape.w * shape.words();
                    layer.signs(y, &maps, sums, &mut map[y * words..][..words]);
                    continue;
                }
                layer.sums(y, &maps, sums);
            } else if let (true, Some((_, map))) = (shape.kind != Kind::Real, &mut stored) {
                let bytes = shape.row_bytes();
                let row = &mut bytemuck::cast_slice_mut(map)[y * bytes..][..bytes];
                ops[*head].levels(&maps(model, schedule, buffers, way), y, row);
                continue;
            }
            let row = match &mut stored {
                Some((_, map)) => &mut bytemuck::cast_slice_mut(map)[y * row_len..][..row_len],
                None => &mut passing[..row_len],
            };
            ops[*head].row(&maps(model, schedule, buffers, way), y, &sums[..row_len], row);
            let mut changed = *head;
            for &op in tail {
                if model.shapes[op].kind == Kind::Real {
                    ops[op].change(&maps(model, schedule, buffers, way), changed, y, row);
                    changed = op;
                } else if let Some(place) = schedule.places[op] {
                    ops[op].quantise(model.data(), model.shapes[op], y, row, &mut buffers[place]);
                }
            }
        }
        if let Some((place, map)) = stored {
            buffers[place] = map;
        }
    }
}
