//! The split map as it travels.

use fogline::packed;

use crate::model::Model;
use crate::ops::Maps;
use crate::tensor::Kind;

/// C, H, W order, packed.
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
    // Without the error's own text, which nobody could ever read, and which every page would download.
    packed.unwrap_or_else(|_| unreachable!("1, 2, 4 and 8 bits are known"))
}
