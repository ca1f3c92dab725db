//! Runs a packed model: up to an exit, and on from there if that exit is not sure.

use fogline::packed;

use crate::fog::Model;
use crate::kernel::{self, Backend, Geometry};
use crate::op::{Conv, Kind, Op, Shape};

/// A model with the memory that it runs in: every operation's result has its place, made once.
pub struct Engine {
    model: Model,
    backend: Backend,
    /// The result of every operation.
    maps: Vec<Map>,
    /// Weights of fewer than 8 bits, one level a byte, by operation; empty for the others.
    levels: Vec<Vec<i8>>,
    /// Sums of the convolution that runs.
    acc: Vec<i32>,
    next: usize,
}

/// A result; the kind is that of its [`Shape`].
enum Map {
    Real(Vec<f32>),
    Level(Vec<i8>),
    Sign(Vec<u64>),
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
    /// Makes room for all results of `model`.
    pub fn new(model: Model, backend: Backend) -> Self {
        let maps = model
            .shapes
            .iter()
            .map(|shape| match shape.kind {
                Kind::Real => Map::Real(vec![0.0; shape.len()]),
                Kind::Level => Map::Level(vec![0; shape.len()]),
                Kind::Sign => Map::Sign(vec![0; shape.h * shape.w * shape.words()]),
            })
            .collect();
        let mut acc = 0;
        let levels = model
            .program
            .ops
            .iter()
            .map(|op| match op {
                Op::Conv { x, conv, .. } | Op::ConvSign { x, conv, .. } => {
                    let g = Geometry::new(model.shapes[*x], conv);
                    acc = acc.max(g.len());
                    unpack_weights(&model, conv, g.k * g.k * g.x.c * g.outputs)
                }
                _ => vec![],
            })
            .collect();
        Self { model, backend, maps, levels, acc: vec![0; acc], next: 0 }
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
        let Map::Level(levels) = &mut self.maps[0] else { unreachable!("an input gives levels") };
        assert_eq!(rgb.len(), levels.len(), "the picture has another size than the model's input");
        for (i, (level, &byte)) in levels.iter_mut().zip(rgb).enumerate() {
            *level = table[(i % 3) * 256 + usize::from(byte)];
        }
        self.next = 1;
    }

    /// Runs to the next exit, or from the last exit to the split.
    ///
    /// # Panics
    /// After the split: start again first.
    pub fn go_on(&mut self) -> Stop {
        loop {
            let index = self.next;
            assert!(index < self.maps.len(), "the run has reached the split");
            self.next += 1;
            self.run(index);
            if let Some(exit) = self.model.program.exits.iter().position(|&e| e == index) {
                return Stop::Exit { index: exit, logits: self.real(index).to_vec() };
            }
            if index == self.model.program.split {
                return Stop::Split(self.pack_split());
            }
        }
    }

    fn real(&self, index: usize) -> &[f32] {
        match &self.maps[index] {
            Map::Real(map) => map,
            _ => unreachable!("a checked model reads real maps where it needs them"),
        }
    }

    fn run(&mut self, index: usize) {
        // The result is taken out while it is written: an operation reads only earlier ones.
        let mut out = core::mem::replace(&mut self.maps[index], Map::Real(vec![]));
        let op = &self.model.program.ops[index];
        match (op, &mut out) {
            (Op::Conv { x, conv, scale, bias }, Map::Real(out)) => {
                let (x, conv) = (*x, conv.clone());
                let (scale, bias) = (*scale, *bias);
                let len = self.convolve(index, x, &conv);
                affine(
                    out,
                    self.acc[..len].iter().map(|&sum| sum as f32),
                    self.model.tensor(scale),
                    self.model.tensor(bias),
                );
            }
            (Op::ConvSign { x, conv, threshold, flip }, Map::Sign(out)) => {
                let (x, conv) = (*x, conv.clone());
                let (threshold, flip) = (*threshold, *flip);
                let len = self.convolve(index, x, &conv);
                let threshold: &[i32] = self.model.tensor(threshold);
                let flip: &[u8] = self.model.tensor(flip);
                pack_signs(out, &self.acc[..len], threshold.len(), |c, &sum| {
                    (sum >= threshold[c]) != (flip[c] == 1)
                });
            }
            (Op::Sign { x, threshold }, Map::Sign(out)) => {
                let threshold: &[f32] = self.model.tensor(*threshold);
                pack_signs(out, self.real(*x), threshold.len(), |c, &x| x >= threshold[c]);
            }
            (Op::Quantise { x, scale, low, high }, Map::Level(out)) => {
                for (level, x) in out.iter_mut().zip(self.real(*x)) {
                    let nearest = (x / scale).round_ties_even();
                    *level = nearest.clamp(f32::from(*low), f32::from(*high)) as i8;
                }
            }
            (Op::Affine { x, scale, bias }, Map::Real(out)) => affine(
                out,
                self.real(*x).iter().copied(),
                self.model.tensor(*scale),
                self.model.tensor(*bias),
            ),
            (Op::Add { a, b }, Map::Real(out)) => {
                for ((out, a), b) in out.iter_mut().zip(self.real(*a)).zip(self.real(*b)) {
                    *out = a + b;
                }
            }
            (Op::Prelu { x, slope }, Map::Real(out)) => {
                let slope: &[f32] = self.model.tensor(*slope);
                let x = self.real(*x);
                for (out, x) in out.chunks_exact_mut(slope.len()).zip(x.chunks_exact(slope.len())) {
                    for ((out, &x), slope) in out.iter_mut().zip(x).zip(slope) {
                        *out = if x > 0.0 { x } else { x * slope };
                    }
                }
            }
            (Op::AveragePool { x, k, stride }, Map::Real(out)) => {
                let count = (k * k) as f32;
                pool(out, self.real(*x), self.model.shapes[*x], (*k, *stride), 0.0, |a, b| a + b);
                for sum in out.iter_mut() {
                    *sum /= count;
                }
            }
            (Op::MaxPool { x, k, stride }, Map::Real(out)) => {
                let least = f32::NEG_INFINITY;
                pool(out, self.real(*x), self.model.shapes[*x], (*k, *stride), least, f32::max);
            }
            (Op::Concat { a, b }, Map::Real(out)) => {
                let (ca, cb) = (self.model.shapes[*a].c, self.model.shapes[*b].c);
                let pixels = self.real(*a).chunks_exact(ca).zip(self.real(*b).chunks_exact(cb));
                for (out, (a, b)) in out.chunks_exact_mut(ca + cb).zip(pixels) {
                    out[..ca].copy_from_slice(a);
                    out[ca..].copy_from_slice(b);
                }
            }
            (Op::Dense { x, bits, weights, scale, bias, .. }, Map::Real(out)) => {
                let x = self.real(*x);
                if *bits == 8 {
                    multiply(out, x, self.model.tensor::<i8>(*weights));
                } else {
                    multiply(out, x, self.model.tensor::<f32>(*weights));
                }
                let (scale, bias) =
                    (self.model.tensor::<f32>(*scale), self.model.tensor::<f32>(*bias));
                for ((sum, scale), bias) in out.iter_mut().zip(scale).zip(bias) {
                    *sum = *sum * scale + bias;
                }
            }
            _ => unreachable!("a checked model's results have the kind of their operation"),
        }
        self.maps[index] = out;
    }

    /// Convolves into `acc`; returns how much of it is the result.
    fn convolve(&mut self, index: usize, x: usize, conv: &Conv) -> usize {
        let g = Geometry::new(self.model.shapes[x], conv);
        let acc = &mut self.acc[..g.len()];
        match &self.maps[x] {
            Map::Sign(x) => {
                kernel::conv_signs(self.backend, &g, x, self.model.tensor(conv.weights), acc);
            }
            Map::Level(x) if conv.bits == 8 => {
                kernel::conv_levels(self.backend, &g, x, self.model.tensor(conv.weights), acc);
            }
            Map::Level(x) => kernel::conv_levels(self.backend, &g, x, &self.levels[index], acc),
            Map::Real(_) => unreachable!("a checked model convolves signs and levels alone"),
        }
        g.len()
    }

    /// The split map as it travels: C, H, W order, packed.
    fn pack_split(&self) -> Vec<u8> {
        let index = self.model.program.split;
        let shape = self.model.shapes[index];
        let pixels = shape.h * shape.w;
        let in_order = |level: &dyn Fn(usize, usize) -> i8| -> Vec<i8> {
            (0..shape.len()).map(|i| level(i % pixels, i / pixels)).collect()
        };
        let (levels, bits) = match &self.maps[index] {
            Map::Sign(words) => {
                let sign = |pixel: usize, c: usize| {
                    let word = words[pixel * shape.words() + c / 64];
                    if word >> (c % 64) & 1 == 1 { 1 } else { -1 }
                };
                (in_order(&sign), 1)
            }
            Map::Level(levels) => {
                let level = |pixel: usize, c: usize| levels[pixel * shape.c + c];
                (in_order(&level), self.split_bits())
            }
            Map::Real(_) => unreachable!("a checked model's split is signs or levels"),
        };
        packed::pack(&levels, bits).expect("1, 2, 4 and 8 bits are known")
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

fn unpack_weights(model: &Model, conv: &Conv, count: usize) -> Vec<i8> {
    if conv.bits == 1 || conv.bits == 8 {
        return vec![];
    }
    let levels = packed::unpack(model.tensor(conv.weights), [1, 1, count as u32], conv.bits);
    levels.expect("a checked model's weights have their length").iter().map(|&l| l as i8).collect()
}

fn affine(out: &mut [f32], mut x: impl Iterator<Item = f32>, scale: &[f32], bias: &[f32]) {
    for pixel in out.chunks_exact_mut(scale.len()) {
        for (((out, x), scale), bias) in pixel.iter_mut().zip(&mut x).zip(scale).zip(bias) {
            *out = x * scale + bias;
        }
    }
}

/// `out[o] = sum over i of x[i] * weights[i, o]`, in the order of i, so that every build adds alike.
fn multiply<W: Copy + Into<f32>>(out: &mut [f32], x: &[f32], weights: &[W]) {
    out.fill(0.0);
    for (&x, w) in x.iter().zip(weights.chunks_exact(out.len())) {
        for (sum, &w) in out.iter_mut().zip(w) {
            *sum += x * w.into();
        }
    }
}

fn pack_signs<T>(out: &mut [u64], x: &[T], channels: usize, positive: impl Fn(usize, &T) -> bool) {
    let words = channels.div_ceil(64);
    for (out, x) in out.chunks_exact_mut(words).zip(x.chunks_exact(channels)) {
        for (word, (start, x)) in out.iter_mut().zip(x.chunks(64).enumerate()) {
            *word = x
                .iter()
                .enumerate()
                .fold(0, |word, (bit, x)| word | u64::from(positive(start * 64 + bit, x)) << bit);
        }
    }
}

fn pool(
    out: &mut [f32],
    x: &[f32],
    shape: Shape,
    (k, stride): (u32, u32),
    first: f32,
    join: impl Fn(f32, f32) -> f32,
) {
    let (k, stride) = (k as usize, stride as usize);
    let width = (shape.w - k) / stride + 1;
    out.fill(first);
    for (index, out) in out.chunks_exact_mut(shape.c).enumerate() {
        let (top, left) = (index / width * stride, index % width * stride);
        for y in top..top + k {
            for pixel in x[(y * shape.w + left) * shape.c..][..k * shape.c].chunks_exact(shape.c) {
                for (out, &x) in out.iter_mut().zip(pixel) {
                    *out = join(*out, x);
                }
            }
        }
    }
}
