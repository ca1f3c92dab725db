//! Packing of the feature map at the split point.

use fogline::packed;

use crate::model::Model;
use crate::ops::{Maps, Op};

/// Packs the map in C, H, W order, as a frame holds it.
pub fn pack(model: &Model, maps: &Maps) -> Vec<u8> {
    let index = model.program.split;
    let shape = model.shapes[index];
    let pixels = shape.h * shape.w;
    // A byte is packed as the level with the same bits.
    let levels = (0..shape.len()).map(|i| maps.level(index, (i % pixels, i / pixels)) as i8);
    // Not `expect`: the text of an error that cannot happen would be part of every page's download.
    let quantiser = Op::quantiser(&model.program.ops, index);
    packed::pack(levels, model.program.ops[quantiser].bits())
        .unwrap_or_else(|_| unreachable!("1, 2, 4 and 8 bits are known"))
}
