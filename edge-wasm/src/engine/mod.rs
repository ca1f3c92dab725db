//! Runs a packed model: up to an exit, and on from there if that exit is not sure.

mod places;
mod rows;
mod schedule;
mod split;
mod steps;

use rows::{Rows, maps};
use schedule::Schedule;
use steps::Step;

use crate::kernel::Backend;
use crate::model::Model;
use crate::ops::{Maps, Op};
use crate::tensor::Kind;

/// A model with the memory that it runs in. All of it is allocated at load: a run allocates only what it returns.
pub struct Engine {
    model: Model,
    backend: Backend,
    schedule: Schedule,
    rows: Rows,
    /// How many steps have run, and how many stops were reached.
    ran: usize,
    stopped: usize,
    /// The way that the run takes, if there are several.
    way: u8,
}

/// The place at which a run paused, with the result there.
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// At exit `index` (from 0), with its logits.
    Exit {
        /// The position among the exits, from 0.
        index: usize,
        /// One score per class before the softmax, and one more with `appeal`.
        logits: Vec<f32>,
    },
    /// At the split point, with the map packed for the frame.
    Split(Vec<u8>),
}

impl Engine {
    /// Lays out the weights of `model` for `backend`, and allocates memory for its results.
    pub fn new(model: Model, backend: Backend) -> Self {
        let schedule = Schedule::new(&model.program, &model.shapes);
        let ops = model.program.ops.iter();
        let layers = ops.map(|op| op.layer(model.data(), &model.shapes, backend)).collect();
        let buffers = schedule.buffers.iter().map(|&words| vec![0; words]).collect();
        let longest = model.shapes.iter().map(|shape| shape.w * shape.c).max().unwrap_or(0);
        let rows = Rows { layers, buffers, sums: vec![0; longest], passing: vec![0.0; longest] };
        Self { model, backend, schedule, rows, ran: 0, stopped: 0, way: 0 }
    }

    /// The backend of the convolutions.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The model that this engine runs.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Starts a run on a picture: RGB bytes, row by row.
    ///
    /// # Panics
    /// If the length of `rgb` is not `size * size * 3`.
    pub fn start(&mut self, rgb: &[u8]) {
        let place = self.schedule.places[0].expect("levels are stored");
        let levels: &mut [i8] = bytemuck::cast_slice_mut(&mut self.rows.buffers[place]);
        let levels = &mut levels[..self.model.shapes[0].len()];
        let pixels = self.model.size().pow(2);
        assert_eq!(rgb.len(), 3 * pixels, "the picture has another size than the model's input");
        self.model.program.ops[0].fill(self.model.data(), rgb, levels);
        (self.ran, self.stopped, self.way) = (1, 0, 0);
    }

    /// Takes this way from here on. A run starts on way 0.
    ///
    /// # Panics
    /// If the model has no such way.
    pub fn take(&mut self, way: u8) {
        assert!(way < self.model.program.ways(), "the model has no way {way}");
        self.way = way;
    }

    /// Runs to the next exit, or from the last exit to the split point.
    ///
    /// # Panics
    /// Before [`Engine::start`], and after the split point.
    pub fn go_on(&mut self) -> Stop {
        assert!(self.ran > 0, "there is no run to go on with: start one first");
        let on_the_way = |step: &Step, way| step.way.is_none_or(|own| own == way);
        let (stop, last) = loop {
            let stop = self.stopped;
            assert!(stop < self.schedule.stops.len(), "the run has reached the split");
            self.stopped += 1;
            let last = self.schedule.stops[stop];
            if on_the_way(&self.schedule.steps[last], self.way) {
                break (stop, last);
            }
        };
        while self.ran <= last {
            if on_the_way(&self.schedule.steps[self.ran], self.way) {
                self.rows.run(&self.model, &self.schedule, self.ran, self.way);
            }
            self.ran += 1;
        }
        match self.model.program.exits.get(stop) {
            Some(&exit) => Stop::Exit { index: stop, logits: self.maps().numbers(exit).to_vec() },
            None => Stop::Split(split::pack(&self.model, &self.maps())),
        }
    }

    /// The results of the run so far.
    fn maps(&self) -> Maps<'_> {
        maps(&self.model, &self.schedule, &self.rows.buffers, self.way)
    }

    /// Whether the levels of the packed map at the split may be negative.
    pub fn split_is_signed(&self) -> bool {
        self.model.split().kind != Kind::Byte
            && !matches!(self.split_quantiser(), Op::Quantise(op) if op.unsigned)
    }

    /// Bits per element of the packed map at the split.
    pub fn split_bits(&self) -> u8 {
        self.split_quantiser().bits()
    }

    fn split_quantiser(&self) -> &Op {
        let program = &self.model.program;
        &program.ops[Op::quantiser(&program.ops, program.split)]
    }
}
