//! Packing of the feature map at the split point.

use fogline::packed;

use crate::model::Model;
use crate::ops::Maps;
use crate::tensor::Kind;

/// Packs the map in C, H, W order, as a frame holds it.
pub fn pack(model: &Model, maps: &Maps) -> Vec<u8> {
    let index = model.program.split;
    let shape = model.shapes[index];
    let pixels = shape.h * shape.w;
    let order = (0..shape.len()).map(|i| (i % pixels, i / pixels));
    let bits = model.program.ops[index].bits();
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
    // Not `expect`: the text of an error that cannot happen would be part of every page's download.
    packed.unwrap_or_else(|_| unreachable!("1, 2, 4 and 8 bits are known"))
}
