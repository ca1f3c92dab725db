//! Inputs for the tests of operations: maps and tensors.

use core::fmt::Debug;

use serde::Serialize;

use super::super::operation::{Elementwise, Gather, Operation, Quantiser};
use super::earlier::Earlier;
use super::fields::Fields;
use super::maps::Maps;
use crate::tensor::{Blob, Data, Kind, Shape};

/// An operation that can be written to a packed model.
pub trait Written: PartialEq + Debug + Sized {
    /// Writes the operation's fields and reads them again.
    fn read_back(&self) -> Result<Self, String>;
}

impl<O: Operation + Serialize + PartialEq + Debug> Written for O {
    fn read_back(&self) -> Result<Self, String> {
        Self::read(Fields(&serde_json::to_value(self).map_err(|error| error.to_string())?))
    }
}

/// The inputs of an operation: earlier maps, and data.
pub struct Given {
    bytes: Vec<u8>,
    data: Data,
    shapes: Vec<Shape>,
    places: Vec<Option<usize>>,
    buffers: Vec<Vec<u64>>,
    pub way: u8,
}

impl Given {
    /// No maps and no data.
    pub fn new() -> Self {
        let (shapes, places, buffers) = (vec![], vec![], vec![]);
        Self { bytes: vec![], data: Data::new(&[]), shapes, places, buffers, way: 0 }
    }

    /// Adds a map of real numbers and returns its index.
    pub fn real(&mut self, [h, w, c]: [usize; 3], numbers: &[f32]) -> usize {
        self.map(Shape { kind: Kind::Real, h, w, c }, bytemuck::cast_slice(numbers))
    }

    /// Adds a map of levels and returns its index.
    pub fn levels(&mut self, [h, w, c]: [usize; 3], levels: &[i8]) -> usize {
        self.map(Shape { kind: Kind::Level, h, w, c }, bytemuck::cast_slice(levels))
    }

    /// Adds a map of bytes and returns its index.
    pub fn bytes(&mut self, [h, w, c]: [usize; 3], bytes: &[u8]) -> usize {
        self.map(Shape { kind: Kind::Byte, h, w, c }, bytes)
    }

    /// Adds a map of signs, in words, and returns its index.
    pub fn signs(&mut self, [h, w, c]: [usize; 3], words: &[u64]) -> usize {
        self.map(Shape { kind: Kind::Sign, h, w, c }, bytemuck::cast_slice(words))
    }

    fn map(&mut self, shape: Shape, bytes: &[u8]) -> usize {
        let mut buffer = vec![0_u64; bytes.len().div_ceil(8)];
        bytemuck::cast_slice_mut(&mut buffer)[..bytes.len()].copy_from_slice(bytes);
        self.shapes.push(shape);
        self.places.push(Some(self.buffers.len()));
        self.buffers.push(buffer);
        self.shapes.len() - 1
    }

    /// Adds a tensor and returns its place.
    pub fn blob<T: bytemuck::Pod>(&mut self, values: &[T]) -> Blob {
        let at = self.bytes.len().next_multiple_of(64);
        self.bytes.resize(at, 0);
        self.bytes.extend(bytemuck::cast_slice::<T, u8>(values));
        self.data = Data::new(&self.bytes);
        Blob { at: at as u32, len: (self.bytes.len() - at) as u32 }
    }

    pub fn data(&self) -> &Data {
        &self.data
    }

    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    pub fn maps(&self) -> Maps<'_> {
        let Self { data, shapes, places, buffers, way, .. } = self;
        Maps { data, shapes, places, buffers, way: *way }
    }

    /// The shape of an operation's result. Also checks that its fields survive writing and reading.
    pub fn shape(&self, op: &(impl Operation + Written)) -> Result<Shape, String> {
        assert_eq!(op.read_back().as_ref(), Ok(op));
        op.shape(&Earlier { shapes: &self.shapes, data: self.bytes.len() })
    }

    /// The error of an operation that must be refused.
    pub fn refusal(&self, op: &(impl Operation + Written)) -> String {
        let checked = self.shape(op).and_then(|_| op.check(&self.data, &self.shapes));
        checked.expect_err("it is not refused")
    }

    /// The result of a gathering operation.
    pub fn gathered(&self, op: &(impl Gather + Written)) -> Vec<f32> {
        self.rows(op, |y, row| op.row(&self.maps(), y, row))
    }

    /// The bytes of a result that stays quantised.
    pub fn kept(&self, op: &(impl Gather + Written)) -> Vec<u8> {
        let shape = self.shape(op).unwrap();
        let mut all = vec![0_u64; (shape.h * shape.row_bytes()).div_ceil(8)];
        let bytes = &mut bytemuck::cast_slice_mut(&mut all)[..shape.h * shape.row_bytes()];
        let rows = bytes.chunks_exact_mut(shape.row_bytes());
        rows.enumerate().for_each(|(y, row)| op.levels(&self.maps(), y, row));
        bytes.to_vec()
    }

    /// The result of an element-wise operation on `from`.
    pub fn changed(&self, op: &(impl Elementwise + Written), from: usize) -> Vec<f32> {
        self.rows(op, |y, row| {
            row.copy_from_slice(self.maps().real_row(from, y));
            op.change(&self.maps(), from, y, row);
        })
    }

    fn rows(
        &self,
        op: &(impl Operation + Written),
        mut write: impl FnMut(usize, &mut [f32]),
    ) -> Vec<f32> {
        let shape = self.shape(op).unwrap();
        op.check(&self.data, &self.shapes).unwrap();
        let mut all = vec![f32::NAN; shape.len()];
        all.chunks_exact_mut(shape.w * shape.c).enumerate().for_each(|(y, row)| write(y, row));
        all
    }

    /// The words of a quantiser's result on `from`.
    pub fn quantised(
        &self,
        op: &(impl Quantiser + Written),
        from: usize,
        words: usize,
    ) -> Vec<u64> {
        let shape = self.shape(op).unwrap();
        let mut map = vec![0; words];
        for y in 0..shape.h {
            op.quantise(&self.data, shape, y, self.maps().real_row(from, y), &mut map);
        }
        map
    }
}
