//! What the packer knows of a tensor of the graph.

use std::collections::BTreeMap;

use fogline_edge::ops::Filter;
use fogline_edge::tensor::Shape;

#[derive(Clone)]
pub enum Value {
    Picture,
    Real(Carried),
    /// Signs or levels that an operation gives, each worth `scale`.
    Quantised {
        op: usize,
        scale: f32,
    },
    /// A real map whose next reader takes it as one row.
    Flat(usize),
    Weights(Weights),
    /// 1 for the samples that take this way, else 0.
    Way(usize),
    /// The maps of some of the ways, by their index, each times its [`Value::Way`].
    Ways(BTreeMap<usize, usize>),
}

/// `base * scale + bias` a channel, not computed yet.
#[derive(Clone)]
pub struct Carried {
    pub base: Base,
    pub shape: Shape,
    pub scale: Vec<f64>,
    pub bias: Vec<f64>,
}

#[derive(Clone)]
pub enum Base {
    Op(usize),
    /// The whole-number sums of a convolution.
    Sums {
        x: usize,
        filter: Filter,
    },
}

/// Quantised weights: levels (signs are levels of 1 bit) and what one is worth, an output channel.
#[derive(Clone)]
pub struct Weights {
    pub dims: Vec<usize>,
    pub levels: Vec<i8>,
    pub bits: u8,
    pub scale: Vec<f32>,
    /// The tensor and the bits of the levels that these weights are the highest bits of; `levels` are those.
    pub nested: Option<(String, u8)>,
}

impl Value {
    /// Refuses factors and terms that f32 has no number for. Constants are finite each, what is made of them need
    /// not be, and a threshold would hide it: that of NaN is 0.
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
