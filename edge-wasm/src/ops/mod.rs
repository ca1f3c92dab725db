//! The operations of a packed edge model: a file each, the list of them, and what they have in [`common`].
//!
//! [`operation`] says what an operation consists of. Whoever adds one writes its file, names it in the list below under the
//! [`Role`] that it has: without a piece of it, that does not compile. A line of the packer then makes one of an ONNX node. Rows
//! of real numbers meet the operations in the order in which these add and multiply everywhere, so that every build gives the
//! same bits. Their loops are written so that compilers turn them into vectors: no branch, no call that a target lacks.

#[macro_use]
mod list;

mod add;
mod affine;
mod average_pool;
mod clip;
mod common;
mod concat;
mod conv;
mod conv_sign;
mod dense;
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
        either: Either,
        concat: Concat,
        dense: Dense,
    }
    Elementwise { affine: Affine, add: Add, clip: Clip, prelu: Prelu }
    Quantiser { sign: Sign, quantise: Quantise }
}

impl Op {
    /// Reads `{"word": {…}}`.
    ///
    /// # Errors
    /// Says what is no operation in it.
    pub(crate) fn read(value: &Value) -> Result<Self, String> {
        let named = value.as_object().filter(|map| map.len() == 1);
        let (word, fields) =
            named.and_then(|map| map.iter().next()).ok_or("it is not one name with its fields")?;
        Self::named(word, Fields(fields))
    }

    /// Indices of the operations whose results this one reads.
    pub fn inputs(&self) -> Vec<usize> {
        // Called, not copied into the visit of every operation.
        #[inline(never)]
        fn push(inputs: &mut Vec<usize>, input: usize) {
            inputs.push(input);
        }
        let mut inputs = vec![];
        self.clone().for_each_input(|input| push(&mut inputs, *input));
        inputs
    }

    /// The shape of the result, given those of earlier operations and the data's length.
    ///
    /// # Errors
    /// Says what does not fit: an index, a shape, a length, a size over the limits.
    pub fn shape(&self, earlier: &[Shape], data: usize) -> Result<Shape, String> {
        let shape = self.own_shape(&Earlier { shapes: earlier, data })?;
        let elements = shape.h as u64 * shape.w as u64 * shape.c as u64;
        if shape.c == 0 || shape.c > LARGEST as usize || elements > MOST_ELEMENTS {
            return Err(format!("its result of {shape} is empty or too large"));
        }
        Ok(shape)
    }
}

/// What no schedule of a checked model leads to: a source behind the input, a quantiser at the head of a step.
fn out_of_role() -> ! {
    unreachable!("an operation is asked for what its role does not give")
}
