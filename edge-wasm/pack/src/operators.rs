//! The operators that the packer accepts, as the documentation lists them.

/// Operators that are accepted alike, and what of them is. docs/bring-your-own-model.md has this table, which a test of xtask
/// compares.
pub const OPERATORS: [(&[&str], &str); 18] = [
    (
        &["Quant", "IntQuant", "BipolarQuant"],
        "over the picture (once), weights and activations: 2 to 8 bits, or signs. Zero point 0, rounding mode \
         `ROUND`. Weights have one scale, or one per output in the shape (outputs, 1, …), and at most 7 bits if they \
         are unsigned. Activations have one scale; before a depthwise convolution also one per channel, in the shape \
         (1, C, 1, 1). Over a quantised map, too. A 1-D constant such as a bias: `Quant` of 2 to 32 bits",
    ),
    (
        &["QuantizeLinear", "DequantizeLinear"],
        "the same in the formats QDQ and QCDQ, with a `Clip` between them or not: zero points of 0, of `int8` or `uint8`",
    ),
    (&["Trunc"], "of version 2, with six inputs: zero point 0, rounding mode `FLOOR`"),
    (
        &["Conv"],
        "over a quantised map, with quantised weights, in one group, in several, or depthwise. Square kernel, equal \
         strides, no dilation; padding equal on all sides, as `pads` or `auto_pad`, and smaller than the kernel. Over \
         the picture's own bytes: without padding, or if the mean is 0. With weights in full precision only \
         depthwise, such as a blur pool",
    ),
    (
        &["Gemm", "MatMul"],
        "over a flattened map, real or quantised; weights in full precision, or quantised with one scale or one per \
         output; bias of one number or one per output. If map and weights are quantised, the layer runs in low bits",
    ),
    (
        &["BatchNormalization", "Dropout"],
        "in eval mode. A batch-norm is folded into the layer before it or the thresholds behind it",
    ),
    (
        &["Add", "Sub", "Mul", "Div"],
        "by a constant: one number, or one per channel in the shape ([1,] C, 1, 1); after flattening, ([1,] C). On \
         the picture, they normalise it: the manifest then needs a mean of 0 and a standard deviation of 1",
    ),
    (&["Add"], "of two maps of the same shape, real or quantised"),
    (
        &["Concat"],
        "along channels, real or quantised. If quantised maps have different scales, a `Conv` or a quantiser must read it",
    ),
    (
        &["Relu", "LeakyRelu", "PRelu", "Clip"],
        "a slope or bound for all channels; `PRelu` also one per channel",
    ),
    (
        &["MaxPool", "AveragePool"],
        "real or quantised maps; square windows of up to 64, equal strides; padding smaller than the window, equal on \
         all sides or larger below and on the right; `ceil_mode` where it adds as much below as on the right and \
         padding does not count",
    ),
    (
        &["GlobalAveragePool", "ReduceMean"],
        "over height and width, [2, 3], of maps of any size; axes as attribute or input; `keepdims` 0 or 1",
    ),
    (
        &["Flatten", "Reshape", "Squeeze"],
        "to one row per picture; the shape may be computed from `Shape`. What changes each number alone may follow \
         before the linear layer",
    ),
    (&["Unsqueeze", "Slice", "Pad", "Reshape"], "where they leave all numbers as they are"),
    (&["Identity", "Cast"], "anywhere"),
    (&["Transpose"], "of constants"),
    (
        &["Shape", "Sqrt", "Pow", "Reciprocal", "Neg", "Abs"],
        "of constants. Any node above whose inputs are all constants is computed when packing",
    ),
    (
        &["Gather"],
        "of constants; and of the input that chooses among ways of several bit widths, as the recipe's USDN exports it",
    ),
];

/// The table as Markdown.
pub fn table() -> String {
    let rows = OPERATORS.iter().map(|(operators, accepted)| {
        let names: Vec<String> = operators.iter().map(|name| format!("`{name}`")).collect();
        format!("| {} | {accepted} |\n", names.join(", "))
    });
    ["| nodes | what is accepted |\n|---|---|\n".into()].into_iter().chain(rows).collect()
}
