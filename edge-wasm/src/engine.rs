//! Runs a packed model: up to an exit, and on from there if that exit is not sure.

use core::mem::take;

use fogline::packed;

use crate::conv::Conv;
use crate::fog::Model;
use crate::kernel::{Backend, Geometry, LevelConv, SignConv, Thresholds};
use crate::op::{Blob, Kind, Op};
use crate::plan::{Plan, Step};
use crate::row;

/// A model with the memory that it runs in, all of it made at load: a run allocates only what it returns.
pub struct Engine {
    model: Model,
    backend: Backend,
    plan: Plan,
    /// Convolutions as the backend reads them, by operation.
    convs: Vec<Option<Layer>>,
    /// Where results lie, as the plan says.
    buffers: Vec<Vec<u64>>,
    /// Sums of a row of the convolution that runs.
    sums: Vec<i32>,
    /// A row that only passes through a step.
    passing: Vec<f32>,
    /// Steps that ran, and stops that were made.
    ran: usize,
    stopped: usize,
    /// Which way the run goes where there are several.
    way: u8,
}

/// A convolution and the operation that it reads.
struct Layer {
    x: usize,
    layout: Layout,
    /// Where its sums become signs at once.
    thresholds: Option<Thresholds>,
}

enum Layout {
    Signs(SignConv),
    Levels(LevelConv),
}

/// Where a run stands after [`Engine::go_on`].
#[derive(Debug, Clone, PartialEq)]
pub enum Stop {
    /// At exit `index` (from 0), with its logits.
    Exit {
        /// Which exit.
        index: usize,
        /// Its logits.
        logits: Vec<f32>,
    },
    /// At the split, with the map packed as it travels.
    Split(Vec<u8>),
}

impl Engine {
    /// Lays out the weights of `model` for `backend`, and makes room for its results.
    pub fn new(model: Model, backend: Backend) -> Self {
        let plan = Plan::new(&model.program, &model.shapes);
        let convs = model.program.ops.iter().map(|op| match op {
            Op::Conv { x, conv, .. } => Some(Layer::new(&model, backend, *x, conv, None)),
            Op::ConvSign { x, conv, threshold, flip } => {
                Some(Layer::new(&model, backend, *x, conv, Some((*threshold, *flip))))
            }
            _ => None,
        });
        let convs = convs.collect();
        let buffers = plan.buffers.iter().map(|&words| vec![0; words]).collect();
        let longest = model.shapes.iter().map(|shape| shape.w * shape.c).max().unwrap_or(0);
        let (sums, passing) = (vec![0; longest], vec![0.0; longest]);
        Self { model, backend, plan, convs, buffers, sums, passing, ran: 0, stopped: 0, way: 0 }
    }

    /// What the convolutions run on.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// The model that runs.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Takes a picture, RGB bytes row by row, and stands at the beginning.
    ///
    /// # Panics
    /// When `rgb` is not `size * size * 3` long.
    pub fn start(&mut self, rgb: &[u8]) {
        let Op::Input { table, .. } = self.model.program.ops[0] else {
            unreachable!("a checked model begins with its input")
        };
        let table: &[i8] = self.model.tensor(table);
        let place = self.plan.places[0].expect("levels are stored");
        let levels: &mut [i8] = cast_mut(&mut self.buffers[place]);
        let levels = &mut levels[..self.model.shapes[0].len()];
        assert_eq!(rgb.len(), levels.len(), "the picture has another size than the model's input");
        for (levels, bytes) in levels.chunks_exact_mut(3).zip(rgb.chunks_exact(3)) {
            for (channel, (level, &byte)) in levels.iter_mut().zip(bytes).enumerate() {
                *level = table[channel * 256 + usize::from(byte)];
            }
        }
        (self.ran, self.stopped, self.way) = (1, 0, 0);
    }

    /// Goes this way from here on, where there are several; a run begins with way 0.
    ///
    /// # Panics
    /// When the model has no such way.
    pub fn take(&mut self, way: u8) {
        assert!(way < self.model.program.ways(), "the model has no way {way}");
        self.way = way;
    }

    /// Runs to the next exit on its way, or from the last one to the split.
    ///
    /// # Panics
    /// Before the first start, and after the split: start again first.
    pub fn go_on(&mut self) -> Stop {
        assert!(self.ran > 0, "there is no run to go on with: start one first");
        let on_the_way = |step: &Step, way| step.way.is_none_or(|own| own == way);
        let (stop, last) = loop {
            let stop = self.stopped;
            assert!(stop < self.plan.stops.len(), "the run has reached the split");
            self.stopped += 1;
            let last = self.plan.stops[stop];
            if on_the_way(&self.plan.steps[last], self.way) {
                break (stop, last);
            }
        };
        while self.ran <= last {
            if on_the_way(&self.plan.steps[self.ran], self.way) {
                self.step();
            }
            self.ran += 1;
        }
        match self.model.program.exits.get(stop) {
            Some(&exit) => {
                let maps = Maps { model: &self.model, plan: &self.plan, buffers: &self.buffers };
                Stop::Exit { index: stop, logits: maps.numbers(exit).to_vec() }
            }
            None => Stop::Split(self.pack_split()),
        }
    }

    /// Runs the next step, row by row.
    fn step(&mut self) {
        let Self { model, plan, convs, buffers, sums, passing, ran, way, .. } = self;
        let Step { head, tail, result, .. } = &plan.steps[*ran];
        let shape = model.shapes[*head];
        let row_len = shape.w * shape.c;
        // A buffer is taken out while it is written: what a step reads lies in others.
        let mut stored = plan.places[*result].map(|place| (place, take(&mut buffers[place])));
        for y in 0..shape.h {
            if let Some(layer) = &mut convs[*head] {
                let (maps, sums) = (Maps { model, plan, buffers }, &mut sums[..row_len]);
                if let (Some(thresholds), Some((_, map))) = (&mut layer.thresholds, &mut stored) {
                    let words = shape.w * shape.words();
                    let signs = &mut map[y * words..][..words];
                    layer.layout.fused_row(y, layer.x, &maps, thresholds, sums, signs);
                    continue;
                }
                layer.layout.row(y, layer.x, &maps, sums);
            }
            let row = match &mut stored {
                Some((_, map)) => &mut cast_mut(map)[y * row_len..][..row_len],
                None => &mut passing[..row_len],
            };
            match &model.program.ops[*head] {
                Op::Either { of } => {
                    let taken = of[usize::from(*way)];
                    row.copy_from_slice(Maps { model, plan, buffers }.real_row(taken, y));
                }
                _ => Maps { model, plan, buffers }.head(*head, y, &sums[..row_len], row),
            }
            let mut changed = *head;
            for &op in tail {
                if model.shapes[op].kind == Kind::Real {
                    Maps { model, plan, buffers }.change(op, changed, y, row);
                    changed = op;
                } else if let Some(place) = plan.places[op] {
                    quantise(model, op, y, row, &mut buffers[place]);
                }
            }
        }
        if let Some((place, map)) = stored {
            buffers[place] = map;
        }
    }

    /// The split map as it travels: C, H, W order, packed.
    fn pack_split(&self) -> Vec<u8> {
        let index = self.model.program.split;
        let shape = self.model.shapes[index];
        let maps = Maps { model: &self.model, plan: &self.plan, buffers: &self.buffers };
        let pixels = shape.h * shape.w;
        let (bits, order) = (self.split_bits(), (0..shape.len()).map(|i| (i % pixels, i / pixels)));
        let packed = if shape.kind == Kind::Sign {
            let words = maps.signs(index);
            let sign = |(pixel, c)| match words[pixel * shape.words() + c / 64] >> (c % 64) & 1 {
                1 => 1,
                _ => -1,
            };
            packed::pack(order.map(sign), bits)
        } else {
            let levels: &[i8] = maps.numbers(index);
            packed::pack(order.map(|(pixel, c)| levels[pixel * shape.c + c]), bits)
        };
        packed.expect("1, 2, 4 and 8 bits are known")
    }

    /// Bits an element of the split takes on the wire.
    pub fn split_bits(&self) -> u8 {
        match self.model.program.ops[self.model.program.split] {
            Op::Quantise { low, high, .. } => [2_u8, 4]
                .into_iter()
                .find(|b| low >= -(1 << (b - 1)) && high < 1 << (b - 1))
                .unwrap_or(8),
            _ => 1,
        }
    }
}

impl Layer {
    fn new(
        model: &Model,
        backend: Backend,
        x: usize,
        conv: &Conv,
        thresholds: Option<(Blob, Blob)>,
    ) -> Self {
        let g = Geometry::new(model.shapes[x], conv);
        let layout = match conv.bits {
            1 => Layout::Signs(SignConv::new(backend, g, &conv.signs(model, g.x))),
            _ => Layout::Levels(LevelConv::new(backend, g, &conv.levels(model, g.x))),
        };
        let thresholds = thresholds.map(|(threshold, flip)| {
            Thresholds::new(&g, model.tensor(threshold), model.tensor(flip))
        });
        Self { x, layout, thresholds }
    }
}

impl Layout {
    /// Row `y` of the sums over the result of operation `x`.
    fn row(&mut self, y: usize, x: usize, maps: &Maps, sums: &mut [i32]) {
        match self {
            Self::Signs(conv) => conv.row(y, maps.signs(x), sums),
            Self::Levels(conv) => conv.row(y, maps.numbers(x), sums),
        }
    }

    /// The same row as signs.
    fn fused_row(
        &mut self,
        y: usize,
        x: usize,
        maps: &Maps,
        thresholds: &mut Thresholds,
        sums: &mut [i32],
        signs: &mut [u64],
    ) {
        match self {
            Self::Signs(conv) => conv.fused_row(y, maps.signs(x), thresholds, sums, signs),
            Self::Levels(conv) => {
                conv.row(y, maps.numbers(x), sums);
                thresholds.of_sums(sums, signs);
            }
        }
    }
}

/// The results that are there.
#[derive(Clone, Copy)]
struct Maps<'a> {
    model: &'a Model,
    plan: &'a Plan,
    buffers: &'a [Vec<u64>],
}

impl<'a> Maps<'a> {
    fn words(&self, op: usize) -> &'a [u64] {
        &self.buffers[self.plan.places[op].expect("what is read later is stored")]
    }

    fn signs(&self, op: usize) -> &'a [u64] {
        let shape = self.model.shapes[op];
        &self.words(op)[..shape.h * shape.w * shape.words()]
    }

    fn numbers<T: bytemuck::Pod>(&self, op: usize) -> &'a [T] {
        &bytemuck::cast_slice(self.words(op))[..self.model.shapes[op].len()]
    }

    fn real_row(&self, op: usize, y: usize) -> &'a [f32] {
        let row_len = self.model.shapes[op].w * self.model.shapes[op].c;
        &self.numbers(op)[y * row_len..][..row_len]
    }

    /// Row `y` of the operation that a step begins with; `sums` are its own, if it is a convolution.
    fn head(&self, op: usize, y: usize, sums: &[i32], row: &mut [f32]) {
        let model = self.model;
        match &model.program.ops[op] {
            Op::Conv { scale, bias, .. } => {
                row::from_sums(row, sums, model.tensor(*scale), model.tensor(*bias));
            }
            Op::AveragePool { x, k, stride } => {
                let (map, shape) = (self.numbers(*x), model.shapes[*x]);
                row::pool(row, y, map, shape, (*k, *stride), 0.0, |a, b| a + b);
                let count = (k * k) as f32;
                for sum in row {
                    *sum /= count;
                }
            }
            Op::MaxPool { x, k, stride } => {
                let (map, shape) = (self.numbers(*x), model.shapes[*x]);
                row::pool(row, y, map, shape, (*k, *stride), f32::NEG_INFINITY, |a, b| {
                    if b > a { b } else { a }
                });
            }
            Op::Concat { a, b } => {
                let channels = (model.shapes[*a].c, model.shapes[*b].c);
                row::concat(row, self.real_row(*a, y), self.real_row(*b, y), channels);
            }
            Op::Dense { x, bits, weights, scale, bias, .. } => {
                match bits {
                    8 => row::multiply(row, self.numbers(*x), model.tensor::<i8>(*weights)),
                    _ => row::multiply(row, self.numbers(*x), model.tensor::<f32>(*weights)),
                }
                row::affine(row, model.tensor(*scale), model.tensor(*bias));
            }
            Op::Affine { x, .. } | Op::Prelu { x, .. } | Op::Add { a: x, .. } => {
                row.copy_from_slice(self.real_row(*x, y));
                self.change(op, *x, y, row);
            }
            _ => unreachable!(
                "no step begins with a quantiser, and none that gives real rows with the input"
            ),
        }
    }

    /// Changes row `y` of the result of operation `from` into that of `op`.
    fn change(&self, op: usize, from: usize, y: usize, row: &mut [f32]) {
        let model = self.model;
        match &model.program.ops[op] {
            Op::Affine { scale, bias, .. } => {
                row::affine(row, model.tensor(*scale), model.tensor(*bias));
            }
            Op::Prelu { slope, .. } => row::prelu(row, model.tensor(*slope)),
            Op::Add { a, b } => row::add(row, self.real_row(if *a == from { *b } else { *a }, y)),
            _ => unreachable!("only these change a row in its place"),
        }
    }
}

/// Row `y` of real numbers to signs or levels.
fn quantise(model: &Model, op: usize, y: usize, row: &[f32], map: &mut [u64]) {
    match &model.program.ops[op] {
        Op::Sign { threshold, .. } => {
            let shape = model.shapes[op];
            let words = shape.w * shape.words();
            row::signs(&mut map[y * words..][..words], row, model.tensor(*threshold));
        }
        Op::Quantise { scale, low, high, .. } => {
            let levels = &mut cast_mut(map)[y * row.len()..][..row.len()];
            row::quantise(levels, row, *scale, *low, *high);
        }
        _ => unreachable!("only quantisers give other than real maps behind a step's head"),
    }
}

fn cast_mut<T: bytemuck::Pod>(words: &mut [u64]) -> &mut [T] {
    bytemuck::cast_slice_mut(words)
}
