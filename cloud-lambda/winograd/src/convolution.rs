//! The way of maps through a convolution: spread, multiply, gather.

#![expect(clippy::inline_always, reason = "loops must take on their caller's target features")]

use core::ops::Range;

use crate::lanes::{LANES, Lanes, blocks};
#[cfg(target_arch = "aarch64")]
use crate::processor::Neon;
use crate::processor::{Any, Backend, Kind, Processor};
#[cfg(target_arch = "x86_64")]
use crate::processor::{Avx2, Avx512};
use crate::product::product;
use crate::tile::{Four, Tile, Two, both};

/// Tiles that are computed together. Their values and sums should fit a core's second cache.
const TOGETHER: usize = 24;

/// The side of the squares of outputs that are computed at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Size {
    /// F(2×2, 3×3).
    Two,
    /// F(4×4, 3×3).
    Four,
}

impl Size {
    /// The faster size for `samples` maps of `height` by `width`.
    pub fn best(samples: usize, height: usize, width: usize) -> Self {
        let work = |size: Self| {
            let side = size.side();
            let tiles = samples * height.div_ceil(side) * width.div_ceil(side);
            // A group of tiles reads every weight, which takes as long as some products.
            (side + 2).pow(2) * (tiles + 8 * tiles.div_ceil(TOGETHER))
        };
        if work(Self::Four) < work(Self::Two) { Self::Four } else { Self::Two }
    }

    /// The largest difference from the exact result with so many input channels, in parts of the same convolution of absolute values.
    pub fn error(self, inputs: usize) -> f32 {
        let transforms = match self {
            Self::Two => 4.0,
            Self::Four => 48.0,
        };
        // Sums of up to 32 channels lose less than the transforms do.
        transforms * f32::EPSILON * (inputs as f32 / 32.0).max(1.0).sqrt()
    }

    fn side(self) -> usize {
        match self {
            Self::Two => 2,
            Self::Four => 4,
        }
    }
}

/// What is done with the sums of a convolution and its bias, in this order.
#[derive(Debug, Clone, Copy, Default)]
pub struct Finish<'a> {
    /// Added to the output, and of its shape.
    pub addend: Option<&'a [f32]>,
    /// Whether negative outputs become zero.
    pub relu: bool,
    /// Whether of each 2×2 outputs only the largest is written. Height and width must be even.
    pub pool: bool,
}

/// A convolution with 3×3 kernels, stride 1 and a border of one zero.
#[derive(Debug)]
pub struct Convolution {
    size: Size,
    inputs: usize,
    outputs: usize,
    /// U, by position, block of outputs, and input; zero for channels that fill a block up.
    weights: Vec<Lanes>,
    bias: Vec<Lanes>,
}

/// U = G g Gᵀ of all kernels, by position, block of outputs, and input.
fn transformed<T: Tile<IN, OUT>, const IN: usize, const OUT: usize>(
    kernels: &[f32],
    inputs: usize,
    outputs: usize,
) -> Vec<Lanes> {
    let (rows, columns) = (blocks(outputs), blocks(inputs) * LANES);
    let mut weights = vec![Lanes::ZERO; IN * IN * rows * columns];
    for block in 0..rows {
        for input in 0..inputs {
            let mut square = [[Lanes::ZERO; 3]; 3];
            for lane in 0..LANES.min(outputs - block * LANES) {
                let kernel = ((block * LANES + lane) * inputs + input) * 9;
                for (at, weight) in kernels[kernel..][..9].iter().enumerate() {
                    square[at / 3][at % 3].0[lane] = *weight;
                }
            }
            let square = both(&square, T::kernel);
            for (position, &weight) in square.as_flattened().iter().enumerate() {
                weights[(position * rows + block) * columns + input] = weight;
            }
        }
    }
    weights
}

/// The maps of one call, cut into tiles.
struct Grid {
    samples: usize,
    height: usize,
    width: usize,
    /// Side of a tile's square of outputs.
    side: usize,
    down: usize,
    across: usize,
}

impl Grid {
    /// The sample of a tile, and the first row and column of its outputs.
    fn place(&self, tile: usize) -> (usize, usize, usize) {
        let (sample, tile) = (tile / (self.down * self.across), tile % (self.down * self.across));
        (sample, tile / self.across * self.side, tile % self.across * self.side)
    }

    /// Calls `each` with lane, row and column in the tile, and place in the output, for all outputs of these channels that are inside
    /// the map, which is `shrink` times smaller.
    #[inline(always)]
    fn inside(
        &self,
        tile: usize,
        shrink: usize,
        outputs: usize,
        channels: Range<usize>,
        mut each: impl FnMut(usize, usize, usize, usize),
    ) {
        let (sample, top, left) = self.place(tile);
        let (height, width) = (self.height / shrink, self.width / shrink);
        let (top, left, side) = (top / shrink, left / shrink, self.side / shrink);
        for (lane, channel) in channels.enumerate() {
            for y in 0..side.min(height - top) {
                let row = ((sample * outputs + channel) * height + top + y) * width + left;
                for x in 0..side.min(width - left) {
                    each(lane, y, x, row + x);
                }
            }
        }
    }

    /// Width and height of a map with its border and all that tiles reach beyond it.
    fn bordered_size(&self) -> (usize, usize) {
        (self.across * self.side + 2, self.down * self.side + 2)
    }
}

impl Convolution {
    /// Transforms `kernels` (outputs, inputs, 3, 3). `bias` has a value for each output.
    ///
    /// # Panics
    /// If the number of kernels is not a multiple of the number of outputs.
    pub fn new(size: Size, kernels: &[f32], bias: &[f32]) -> Self {
        let (outputs, inputs) = (bias.len(), kernels.len() / (9 * bias.len()));
        assert_eq!(
            kernels.len(),
            9 * outputs * inputs,
            "kernels are 3x3, one for each output and input"
        );
        let weights = match size {
            Size::Two => transformed::<Two, 4, 2>(kernels, inputs, outputs),
            Size::Four => transformed::<Four, 6, 4>(kernels, inputs, outputs),
        };
        let bias = bias
            .chunks(LANES)
            .map(|bias| Lanes(core::array::from_fn(|lane| bias.get(lane).copied().unwrap_or(0.0))));
        Self { size, inputs, outputs, weights, bias: bias.collect() }
    }

    /// The bytes that the transformed kernels take, for tiles of both sizes.
    pub fn bytes_of_both(&self) -> usize {
        let positions = |size: Size| (size.side() + 2).pow(2);
        size_of_val(&*self.weights) / positions(self.size)
            * (positions(Size::Two) + positions(Size::Four))
    }

    /// The bytes of the kernels as they were.
    pub fn untransformed_bytes(&self) -> usize {
        9 * self.inputs * self.outputs * size_of::<f32>()
    }

    /// Computes `output` (samples, outputs, height, width) from `maps` (samples, inputs, height, width). If the finish pools,
    /// `output` has half the height and width.
    ///
    /// # Panics
    /// If the lengths of the slices do not fit together.
    pub fn run(&self, maps: &[f32], size: [usize; 2], finish: Finish, output: &mut [f32]) {
        self.run_on(Backend::fastest(), maps, size, finish, output);
    }

    /// [`Convolution::run`] on a chosen backend.
    ///
    /// # Panics
    /// If the lengths of the slices do not fit together.
    pub fn run_on(
        &self,
        backend: Backend,
        maps: &[f32],
        [height, width]: [usize; 2],
        finish: Finish,
        output: &mut [f32],
    ) {
        let samples = maps.len() / (self.inputs * height * width).max(1);
        assert_eq!(maps.len(), samples * self.inputs * height * width, "whole maps");
        let outputs = samples * self.outputs * height * width;
        assert!(finish.addend.is_none_or(|addend| addend.len() == outputs), "one addend each");
        let left = if finish.pool { outputs / 4 } else { outputs };
        assert!(
            !finish.pool || height % 2 + width % 2 == 0,
            "pooled maps have an even height and width"
        );
        assert_eq!(output.len(), left, "room for all outputs");
        if outputs == 0 {
            return;
        }
        let side = self.size.side();
        let (down, across) = (height.div_ceil(side), width.div_ceil(side));
        let grid = Grid { samples, height, width, side, down, across };
        match backend.0 {
            // SAFETY: a backend exists only for instructions that the processor has.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { self.avx512(&grid, maps, finish, output) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { self.avx2(&grid, maps, finish, output) },
            #[cfg(target_arch = "aarch64")]
            Kind::Neon => self.on::<Neon>(&grid, maps, finish, output),
            Kind::Any => self.on::<Any>(&grid, maps, finish, output),
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx512f,avx2,fma")]
    fn avx512(&self, grid: &Grid, maps: &[f32], finish: Finish, output: &mut [f32]) {
        self.on::<Avx512>(grid, maps, finish, output);
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,fma")]
    fn avx2(&self, grid: &Grid, maps: &[f32], finish: Finish, output: &mut [f32]) {
        self.on::<Avx2>(grid, maps, finish, output);
    }

    #[inline(always)]
    fn on<P: Processor>(&self, grid: &Grid, maps: &[f32], finish: Finish, output: &mut [f32]) {
        match self.size {
            Size::Two => self.tiled::<P, Two, 4, 2>(grid, maps, finish, output),
            Size::Four => self.tiled::<P, Four, 6, 4>(grid, maps, finish, output),
        }
    }

    #[inline(always)]
    fn tiled<P: Processor, T: Tile<IN, OUT>, const IN: usize, const OUT: usize>(
        &self,
        grid: &Grid,
        maps: &[f32],
        finish: Finish,
        output: &mut [f32],
    ) {
        let bordered = self.bordered(grid, maps);
        let tiles = grid.samples * grid.down * grid.across;
        // Parts and groups of about one size: of a few tiles they take nearly as long as full ones.
        let together = tiles.div_ceil(tiles.div_ceil(TOGETHER));
        let (inputs, outputs) = (blocks(self.inputs), blocks(self.outputs));
        let groups = together.div_ceil(P::ROWS);
        let rows = together.div_ceil(groups);
        let mut values = vec![Lanes::ZERO; IN * IN * groups * rows * inputs];
        let mut sums = vec![Lanes::ZERO; IN * IN * groups * rows * outputs];
        for first in (0..tiles).step_by(together) {
            let count = together.min(tiles - first);
            let at = |position: usize, tile: usize, block: usize, blocks: usize| {
                ((position * groups + tile / rows) * blocks + block) * rows + tile % rows
            };
            for tile in 0..count {
                let put =
                    |position, block, value| values[at(position, tile, block, inputs)] = value;
                self.spread::<T, IN, OUT>(grid, &bordered, first + tile, put);
            }
            let needed = count.div_ceil(rows) * rows;
            for (position, weights) in
                self.weights.chunks_exact(outputs * inputs * LANES).enumerate()
            {
                let values = &values[at(position, 0, 0, inputs)..][..needed * inputs];
                let sums = &mut sums[at(position, 0, 0, outputs)..][..needed * outputs];
                product::<P>(sums, values, weights, inputs, rows);
            }
            for tile in 0..count {
                let sum = |position, block| sums[at(position, tile, block, outputs)];
                self.gather::<T, IN, OUT>(grid, first + tile, sum, finish, output);
            }
        }
    }

    /// The maps in blocks of channels, each with its border: (samples, height, width, blocks).
    #[inline(always)]
    fn bordered(&self, grid: &Grid, maps: &[f32]) -> Vec<Lanes> {
        let (area, inputs) = (grid.height * grid.width, blocks(self.inputs));
        let (width, height) = grid.bordered_size();
        let mut bordered = vec![Lanes::ZERO; grid.samples * width * height * inputs];
        for (at, map) in maps.chunks_exact(area).enumerate() {
            let (sample, channel) = (at / self.inputs, at % self.inputs);
            for (y, row) in map.chunks_exact(grid.width).enumerate() {
                let first = ((sample * height + y + 1) * width + 1) * inputs + channel / LANES;
                for (lanes, &value) in bordered[first..].iter_mut().step_by(inputs).zip(row) {
                    lanes.0[channel % LANES] = value;
                }
            }
        }
        bordered
    }

    /// Transforms a tile's inputs: `put` takes position, block and value.
    #[inline(always)]
    fn spread<T: Tile<IN, OUT>, const IN: usize, const OUT: usize>(
        &self,
        grid: &Grid,
        bordered: &[Lanes],
        tile: usize,
        mut put: impl FnMut(usize, usize, Lanes),
    ) {
        let (sample, top, left) = grid.place(tile);
        let ((width, height), inputs) = (grid.bordered_size(), blocks(self.inputs));
        for block in 0..inputs {
            let mut square = [[Lanes::ZERO; IN]; IN];
            for (y, row) in square.iter_mut().enumerate() {
                let first = ((sample * height + top + y) * width + left) * inputs + block;
                for (x, value) in row.iter_mut().enumerate() {
                    *value = bordered[first + x * inputs];
                }
            }
            let square = both(&square, T::spread);
            for (position, &value) in square.as_flattened().iter().enumerate() {
                put(position, block, value);
            }
        }
    }

    /// Transforms a tile's sums, finishes them and writes those that are inside the map.
    #[inline(always)]
    fn gather<T: Tile<IN, OUT>, const IN: usize, const OUT: usize>(
        &self,
        grid: &Grid,
        tile: usize,
        sum: impl Fn(usize, usize) -> Lanes,
        finish: Finish,
        output: &mut [f32],
    ) {
        for (block, &bias) in self.bias.iter().enumerate() {
            let mut square = [[Lanes::ZERO; IN]; IN];
            for (y, row) in square.iter_mut().enumerate() {
                for (x, value) in row.iter_mut().enumerate() {
                    *value = sum(y * IN + x, block);
                }
            }
            let mut square = both(&square, T::gather).map(|row| row.map(|value| value + bias));
            let first = block * LANES..self.outputs.min((block + 1) * LANES);
            if let Some(addend) = finish.addend {
                grid.inside(tile, 1, self.outputs, first.clone(), |lane, y, x, at| {
                    square[y][x].0[lane] += addend[at];
                });
            }
            if finish.relu {
                square = square.map(|row| row.map(|value| value.max(Lanes::ZERO)));
            }
            if finish.pool {
                for (y, x) in (0..OUT * OUT / 4).map(|at| (at / (OUT / 2), at % (OUT / 2))) {
                    let pair = |y: usize| square[y][2 * x].max(square[y][2 * x + 1]);
                    square[y][x] = pair(2 * y).max(pair(2 * y + 1));
                }
            }
            let shrink = if finish.pool { 2 } else { 1 };
            grid.inside(tile, shrink, self.outputs, first, |lane, y, x, at| {
                output[at] = square[y][x].0[lane];
            });
        }
    }
}
