//! The operations of a packed edge model: one file each, the list of them, and their shared parts in [`common`].
//!
//! [`operation`] defines what an operation consists of. To add one, write its file and name it in the list below under its
//! [`Role`]; if a piece is missing, it does not compile. Then add a line to the packer that makes one from an ONNX node. All
//! builds apply the same additions and multiplications to a row of real numbers in the same order, so that they give the
//! same bits. Loops are written so that compilers vectorise them: no branches, and no calls that a target lacks.

#[macro_use]
mod list;

mod add;
mod affine;
mod average_pool;
mod blur;
mod clip;
mod common;
mod concat;
mod conv;
mod conv_sign;
mod dense;
mod dequantise;
mod either;
mod input;
mod max_pool;
pub mod operation;
mod prelu;
mod quantise;
mod sign;

pub(crate) use common::Layer;
pub use common::{Cost, Earlier, Fields, Filter, Maps, values};
use operation::{
    Convolution as _, Elementwise as _, Fused as _, Gather as _, Operation as _, Quantiser as _,
    Role, Source as _,
};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::kernel::Backend;
use crate::tensor::{Data, LARGEST, MOST_ELEMENTS, Shape};

operations! {
    Source { input: Input }
    Convolution { conv: Conv }
    Fused { conv_sign: ConvSign }
    Gather {
        average_pool: AveragePool,
        max_pool: MaxPool,
        blur: Blur,
        either: Either,
        concat: Concat,
        dense: Dense,
        dequantise: Dequantise,
    }
    Elementwise { affine: Affine, add: Add, clip: Clip, prelu: Prelu }
    Quantiser { sign: Sign, quantise: Quantise }
}

impl Op {
    /// Reads an operation from `{"name": {…}}`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let named = value.as_object().filter(|map| map.len() == 1);
        let (word, fields) =
            named.and_then(|map| map.iter().next()).ok_or("it is not one name with its fields")?;
        Self::named(word, Fields(fields))
    }

    /// The indices of the operations whose results this one reads.
    pub fn inputs(&self) -> Vec<usize> {
        // A function of its own, so that it is not inlined for every operation.
        #[inline(never)]
        fn push(inputs: &mut Vec<usize>, input: usize) {
            inputs.push(input);
        }
        let mut inputs = vec![];
        self.clone().for_each_input(|input| push(&mut inputs, *input));
        inputs
    }

    /// The index of the operation that made the signs or levels of map `index`: itself, or what the pools before it read.
    pub fn quantiser(ops: &[Self], mut index: usize) -> usize {
        while let Self::MaxPool(pool) = &ops[index] {
            index = pool.x;
        }
        index
    }

    /// The shape of the result, given the shapes of earlier operations and the length of the data.
    ///
    /// # Errors
    /// What is wrong: an index, a shape, a length, or a size over the limits.
    pub fn shape(&self, earlier: &[Shape], data: usize) -> Result<Shape, String> {
        let shape = self.own_shape(&Earlier { shapes: earlier, data })?;
        let elements = shape.h as u64 * shape.w as u64 * shape.c as u64;
        if shape.c == 0 || shape.c > LARGEST as usize || elements > MOST_ELEMENTS {
            return Err(format!("its result of {shape} is empty or too large"));
        }
        Ok(shape)
    }
}

/// Cannot happen in the schedule of a checked model: a source after the input, or a quantiser as the head of a step.
fn out_of_role() -> ! {
    unreachable!("an operation was used outside its role")
}
