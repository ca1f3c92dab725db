//! Pools over real and over quantised maps, timed as the engine runs them.

use fogline_edge::ops::operation::Gather;
use fogline_edge::ops::{AveragePool, Dequantise, Maps, MaxPool};
use fogline_edge::tensor::{Data, Kind, Shape};
#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen::prelude::wasm_bindgen;

use crate::Random;

/// The channels, and the side of the result, of every pool: windows of 3x3, two apart.
const CHANNELS: usize = 128;
const SIDE: usize = 28;

/// The index of the levels and of the real numbers among the maps.
const LEVELS: usize = 0;
const REAL: usize = 1;

/// What a pool reads.
#[derive(Clone, Copy, PartialEq)]
enum Input {
    /// Real numbers, without padding.
    Plain,
    /// Real numbers, padded; the map is a pixel smaller, so that the result has the same size.
    Padded,
    /// Levels, without padding; their maxima are levels as well.
    Quantised,
    /// Levels, padded.
    QuantisedPadded,
}

/// A pool, with its maps.
#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
pub struct Pool {
    largest: bool,
    input: Input,
    data: Data,
    shapes: [Shape; 2],
    /// Levels and real numbers, in words.
    buffers: [Vec<u64>; 2],
    row: Vec<f32>,
}

#[cfg_attr(all(target_arch = "wasm32", target_os = "unknown"), wasm_bindgen)]
impl Pool {
    /// Pool `index`, over a random map; `None` past the end. The first half are maxima, the second means.
    pub fn of(index: usize, seed: u32) -> Option<Self> {
        let inputs = [Input::Plain, Input::Padded, Input::Quantised, Input::QuantisedPadded];
        let input = *inputs.get(index % inputs.len()).filter(|_| index < 2 * inputs.len())?;
        let padded = matches!(input, Input::Padded | Input::QuantisedPadded);
        let side = 2 * SIDE + usize::from(!padded);
        let mut random = Random::new(seed);
        let shape = Shape { kind: Kind::Level, h: side, w: side, c: CHANNELS };
        let levels = (0..shape.len() / 8).map(|_| random.bits()).collect();
        let mut pool = Self {
            largest: index < inputs.len(),
            input,
            data: Data::new(&[]),
            shapes: [shape, Shape { kind: Kind::Real, ..shape }],
            buffers: [levels, vec![0; shape.len() / 2]],
            row: vec![0.0; SIDE * CHANNELS],
        };
        pool.dequantise();
        Some(pool)
    }

    /// Pools the whole map `times` times.
    pub fn run(&mut self, times: u32) {
        let padded = matches!(self.input, Input::Padded | Input::QuantisedPadded);
        let quantised = matches!(self.input, Input::Quantised | Input::QuantisedPadded);
        let x = if quantised { LEVELS } else { REAL };
        let (k, stride, pad, beyond) = (3, 2, u32::from(padded), 0);
        let largest = MaxPool { x, k, stride, pad, beyond };
        let mean = AveragePool { x, k, stride, pad, beyond, zeros: false };
        let Self { data, shapes, buffers, row, .. } = self;
        let maps = Maps { data, shapes, places: &[Some(0), Some(1)], buffers, way: 0 };
        for _ in 0..times {
            for y in 0..SIDE {
                match (self.largest, quantised) {
                    (true, false) => largest.row(&maps, y, row),
                    (true, true) => {
                        let bytes = &mut bytemuck::cast_slice_mut(row)[..SIDE * CHANNELS];
                        largest.levels(&maps, y, bytes);
                    }
                    (false, _) => mean.row(&maps, y, row),
                }
                core::hint::black_box(&mut *row);
            }
        }
    }

    /// Name of the pool, such as `max pool 3x3 128 28x28, padded`.
    pub fn name(&self) -> String {
        let what = if self.largest { "max" } else { "average" };
        let input = match self.input {
            Input::Plain => "",
            Input::Padded => ", padded",
            Input::Quantised => ", levels",
            Input::QuantisedPadded => ", padded levels",
        };
        format!("{what} pool 3x3 {CHANNELS} {SIDE}x{SIDE}{input}")
    }
}

impl Pool {
    /// Makes real numbers of the levels.
    fn dequantise(&mut self) {
        let Self { data, shapes, buffers, .. } = self;
        let [levels, real] = buffers;
        let levels = core::slice::from_ref(&*levels);
        let maps = Maps { data, shapes, places: &[Some(0), None], buffers: levels, way: 0 };
        let rows = bytemuck::cast_slice_mut(real).chunks_exact_mut(shapes[REAL].w * CHANNELS);
        for (y, row) in rows.enumerate() {
            Dequantise { x: LEVELS }.row(&maps, y, row);
        }
    }
}
