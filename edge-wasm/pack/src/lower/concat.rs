//! Maps side by side along their channels.

use super::activation::QuantisedInput;
use super::lowering::Lowering;
use super::quant::fit_byte;
use super::shape::Windows;
use super::value::{Value, Weights, uniform};
use crate::onnx::NodeProto;
use fogline_edge::ops::{Add, Concat};

/// As many channels as the engine allows.
const MOST_CHANNELS: usize = 4096;

impl Lowering<'_> {
    /// `Concat` of two or more maps along their channels. Levels of one scale stay levels.
    pub(super) fn concat(&mut self, node: &NodeProto) -> Result<Value, String> {
        let row = |index| self.is_row(node, index);
        let channels = if row(0) { -1 } else { -3 };
        if ![1, channels].contains(&node.int("axis", 0)) || node.input.is_empty() {
            return Err("only maps of the same size can be joined, along their channels".into());
        }
        if (1..node.input.len()).any(|index| row(index) != row(0)) {
            return Err("some of its maps are flattened: flatten all or none before it".into());
        }
        let mut quantised = Some(vec![]);
        for index in 0..node.input.len() {
            quantised = match (quantised, self.value(node, index)?) {
                (Some(parts), Value::Quantised { op, scale }) => {
                    Some([parts, vec![(op, scale)]].concat())
                }
                (Some(parts), Value::Joined(more)) => Some([parts, more].concat()),
                _ => None,
            };
        }
        let Some(parts) = quantised else {
            let maps = (0..node.input.len()).map(|index| self.real(node, index));
            let maps: Vec<usize> = maps.collect::<Result<_, _>>()?;
            let joined = self.join(&maps)?;
            return Ok(Value::Real(self.identity(joined)));
        };
        let scales: Vec<f32> = parts.iter().flat_map(|(_, scale)| scale.clone()).collect();
        if scales.len() > MOST_CHANNELS {
            return Err(format!("it gives a map of {} channels, which is too many", scales.len()));
        }
        let maps: Vec<usize> = parts.iter().map(|(map, _)| *map).collect();
        let (low, high) = self.range_of(&maps);
        if uniform(&scales, "").is_err() || !fit_byte(low.into(), high.into()) {
            let first = self.shapes[parts[0].0];
            return match parts
                .iter()
                .map(|(map, _)| self.shapes[*map])
                .find(|map| (map.h, map.w) != (first.h, first.w))
            {
                Some(other) => {
                    Err(format!("it joins maps of different sizes, {first} and {other}"))
                }
                None => Ok(Value::Joined(parts)),
            };
        }
        let levels = maps.iter().map(|&map| self.levels(map)).collect::<Result<Vec<_>, _>>()?;
        let joined = self.join(&levels)?;
        Ok(Value::Quantised { op: self.quantise_levels(joined, &maps)?, scale: scales })
    }

    /// The real maps, side by side.
    fn join(&mut self, maps: &[usize]) -> Result<usize, String> {
        let (&first, rest) = maps.split_first().ok_or("it joins nothing")?;
        rest.iter().try_fold(first, |a, &b| self.push(Concat { a, b }))
    }

    /// The real numbers of quantised maps, side by side.
    pub(super) fn joined(&mut self, parts: &[(usize, Vec<f32>)]) -> Result<usize, String> {
        let mut maps = vec![];
        for (map, scale) in parts {
            let real = self.dequantise(*map, scale)?;
            maps.push(self.settle(real)?);
        }
        self.join(&maps)
    }

    /// A convolution over quantised maps of several scales: the sum of one over each.
    pub(super) fn convolve_joined(
        &mut self,
        node: &NodeProto,
        parts: &[(usize, Vec<f32>)],
        weights: &Weights,
        windows: &Windows,
    ) -> Result<Value, String> {
        let &[outputs, inputs, k, _] = &weights.dims[..] else {
            return Err(format!("weights of shape {:?} are not supported", weights.dims));
        };
        if weights.nested.is_some() {
            return Err("nested weights over maps of several scales are not supported".into());
        }
        let mut sum = None;
        let mut first = 0;
        for (op, scale) in parts {
            let own = scale.len();
            let levels = weights.levels.chunks_exact(inputs * k * k);
            let levels = levels.flat_map(|all| &all[first * k * k..(first + own) * k * k]);
            let levels = levels.copied().collect();
            let part = Weights { dims: vec![outputs, own, k, k], levels, ..weights.clone() };
            let input = QuantisedInput { op: *op, scale: scale.clone(), offset: vec![0.0; own] };
            // The bias is added once.
            let bias = if first == 0 { self.bias(node, outputs)? } else { vec![0.0; outputs] };
            let sums = self.convolve(input, part, windows, &bias)?;
            let b = self.settle(sums)?;
            sum = Some(match sum {
                Some(a) => self.push(Add { a, b })?,
                None => b,
            });
            first += own;
        }
        let sum = sum.ok_or("it has no input")?;
        Ok(Value::Real(self.identity(sum)))
    }
}
