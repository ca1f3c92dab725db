//! What the packer knows about a tensor of the graph.

use std::collections::BTreeMap;

use super::quant::Grid;
use fogline_edge::ops::Filter;
use fogline_edge::tensor::Shape;

/// A tensor of the graph, as far as it is computed.
#[derive(Clone)]
pub enum Value {
    /// Real numbers, not computed yet.
    Real(Carried),
    /// Signs or levels from an operation, each worth its channel's scale.
    Quantised { op: usize, scale: Vec<f32> },
    /// Real numbers to be rounded to integers of these levels, as `QuantizeLinear` gives them.
    Integers(Carried, Grid),
    /// Quantised maps of several scales, side by side along their channels.
    Joined(Vec<(usize, Vec<f32>)>),
    /// A map of more than one pixel that its next reader sees as one row.
    Flat(Box<Value>),
    /// Quantised constants, which only layers can read.
    Weights(Weights),
    /// The same with inputs first, for a linear layer. The fields are as without the transposition.
    Transposed(Weights),
    /// 1 for samples that take this way, else 0.
    Way(usize),
    /// The maps of some of the ways, by index, each multiplied by its [`Value::Way`].
    Ways(BTreeMap<usize, usize>),
}

/// `base * scale + bias` per channel, not computed yet.
#[derive(Clone)]
pub struct Carried {
    /// Where the numbers come from.
    pub base: Base,
    /// The shape of the map.
    pub shape: Shape,
    /// One factor per channel, applied first.
    pub scale: Vec<f64>,
    /// One term per channel, added last.
    pub bias: Vec<f64>,
}

/// The numbers to which a carried scale and bias apply.
#[derive(Clone)]
pub enum Base {
    /// The graph's input, which has no operation until it is quantised.
    Picture,
    /// The result of an operation that gives real numbers.
    Op(usize),
    /// The integer sums of a convolution.
    Sums { x: usize, filter: Filter },
}

/// Quantised weights: levels (signs are levels of 1 bit), and the value of a level per output channel.
#[derive(Clone)]
pub struct Weights {
    /// The shape in ONNX's order, outputs first.
    pub dims: Vec<usize>,
    /// The levels in ONNX's order.
    pub levels: Vec<i8>,
    /// Bits per weight: 1, 2, 4 or 8.
    pub bits: u8,
    /// The value of a level, one per output channel.
    pub scale: Vec<f32>,
    /// If these weights are the highest bits of shared levels: those levels' tensor and bits. `levels` then holds them.
    pub nested: Option<(String, u8)>,
}

impl Carried {
    /// The numbers of `base`, which has this shape, as they are.
    pub fn of(base: Base, shape: Shape) -> Self {
        Self { base, shape, scale: vec![1.0; shape.c], bias: vec![0.0; shape.c] }
    }

    /// Whether its numbers are those of its base.
    pub fn is_identity(&self) -> bool {
        self.scale.iter().all(|&s| s == 1.0) && self.bias.iter().all(|&b| b == 0.0)
    }
}

/// The scale of all channels, if it is the same.
///
/// # Errors
/// If channels differ, which `what` cannot represent.
pub fn uniform(scale: &[f32], what: &str) -> Result<f32, String> {
    match scale {
        [first, rest @ ..] if rest.iter().all(|scale| scale == first) => Ok(*first),
        _ => Err(format!("{what} needs one scale for all channels of its quantised input")),
    }
}

impl Value {
    /// Refuses scales and biases that f32 cannot represent. Each constant is finite, but what is made of them need not be, and
    /// a threshold would hide this: that of NaN is 0.
    pub fn is_finite(&self) -> Result<(), String> {
        let Self::Real(Carried { scale, bias, .. }) = self else { return Ok(()) };
        for (channel, (&scale, &bias)) in scale.iter().zip(bias).enumerate() {
            if !(scale as f32).is_finite() || !(bias as f32).is_finite() {
                return Err(format!("channel {channel} becomes x * {scale} + {bias} here"));
            }
        }
        Ok(())
    }
}
