//! Convolutions.

use fogline::packed;

use super::activation::QuantisedInput;
use super::lowering::Lowering;
use super::shape::Windows;
use super::value::{Base, Carried, Value, Weights, uniform};
use crate::constant::Constant;
use crate::onnx::NodeProto;
use fogline_edge::ops::{self, Blur, Conv, Filter, Op, Quantise};
use fogline_edge::tensor::{Blob, Kind};

impl Lowering<'_> {
    /// Input `index` of a node as quantised weights.
    fn weights(&self, node: &NodeProto, index: usize) -> Result<Weights, String> {
        match self.value(node, index)? {
            Value::Weights(weights) => Ok(weights),
            _ => Err("its weights are not constants".into()),
        }
    }

    /// `Conv` with quantised input and weights: a square kernel, equal pads and strides.
    pub(super) fn conv(&mut self, node: &NodeProto) -> Result<Value, String> {
        let value = self.value(node, 0)?;
        let shape = self.shape_of(&value).ok_or("its input is no map")?;
        if self.is_row(node, 0) {
            return Err("its input is flattened: convolve it before".into());
        }
        let weights = self.weights(node, 1);
        let dims = match (&weights, self.constant(node, 1)) {
            (Ok(weights), _) => weights.dims.clone(),
            (_, Ok(constant)) => constant.dims.clone(),
            _ => return Err("its weights are not constants".into()),
        };
        let &[_, inputs, k, wide] = &dims[..] else {
            return Err(format!("its weights have shape {dims:?}, not (out, in, k, k)"));
        };
        if dims.contains(&0) {
            return Err(format!("its weights of shape {dims:?} are empty"));
        }
        if k != wide {
            return Err(format!("its kernel of {k}x{wide} is not square"));
        }
        let (channels, groups) = (shape.c, node.int("group", 1));
        if usize::try_from(groups).ok().and_then(|groups| inputs.checked_mul(groups))
            != Some(channels)
        {
            return Err(format!(
                "its weights need {inputs} channels for each of {groups} groups, but its input has {channels}"
            ));
        }
        if node.ints("kernel_shape", &[k as i64; 2]) != [k as i64; 2] {
            return Err(format!("its kernel_shape is not that of its weights, {k}x{k}"));
        }
        let windows = Windows::new(node, shape, k as i64)?;
        if windows.beyond > 0 {
            return Err("it pads more below and on the right than above and on the left".into());
        }
        let Ok(weights) = weights else { return self.blur(node, &windows) };
        if let Value::Joined(parts) = &value {
            if groups != 1 {
                return Err("its input joins levels of several scales, which only a layer of one group can read: put a Quant node behind the Concat".into());
            }
            return self.convolve_joined(node, parts, &weights, &windows);
        }
        let Some(input) = self.quantised_input(&value, windows.pad > 0)? else {
            return Err(format!(
                "its input '{}' is not quantised: put BipolarQuant or Quant before it",
                node.input[0]
            ));
        };
        if self.bytes == Some(input.op) && groups == 1 && uniform(&input.scale, "").is_err() {
            return Err("the picture's channels have different standard deviations, so that its bytes are not levels of one scale: put a Quant node before it".into());
        }
        if self.optional(node, 2)?.is_some_and(|bias| bias.dims[..] != [weights.dims[0]]) {
            return Err(format!("its bias must have the shape [{}]", weights.dims[0]));
        }
        let bias = self.bias(node, weights.dims[0])?;
        Ok(Value::Real(self.convolve(input, weights, &windows, &bias)?))
    }

    /// A depthwise convolution with real weights, such as a blur pool's.
    fn blur(&mut self, node: &NodeProto, windows: &Windows) -> Result<Value, String> {
        let Constant { dims, values, .. } = self.constant(node, 1)?.clone();
        let (channels, taps) = (dims[0], dims[2] * dims[3]);
        let x = self.affine(node, 0)?;
        if dims[1] != 1 || channels != x.shape.c {
            return Err("its weights are not quantised: put BipolarQuant or Quant before them, or convolve each channel by itself".into());
        }
        let x = self.settle(x)?;
        let order = (0..taps * channels).map(|at| values[at % channels * taps + at / channels]);
        let weights: Vec<f32> = order.collect();
        let (weights, bias) = (self.blob(&weights), self.bias(node, channels)?);
        let bias = self.blob(&bias);
        let Windows { k, stride, pad, .. } = *windows;
        self.push_real(Blur { x, k, stride, pad, weights, bias })
    }

    /// The sums of a convolution over a quantised map, whose weights have the shape (out, in, k, k). They are carried, so that
    /// a batch-norm and a sign after it become thresholds.
    pub(super) fn convolve(
        &mut self,
        input: QuantisedInput,
        mut weights: Weights,
        &Windows { k, stride, pad, .. }: &Windows,
        bias: &[f32],
    ) -> Result<Carried, String> {
        let QuantisedInput { op: mut x, scale: worth, offset } = input;
        let (outputs, inputs) = (weights.dims[0], weights.dims[1]);
        let groups = self.shapes[x].c / inputs.max(1);
        let groups = if groups > 1 { groups as u32 } else { 0 };
        let mut signs = self.shapes[x].kind == Kind::Sign;
        if groups == 0 && signs && weights.bits != 1 {
            // Only kernels for levels know weights of several bits.
            let real = self.levels(x)?;
            x = self.push(Quantise {
                x: real,
                scale: 1.0,
                low: -1,
                high: 1,
                shift: 0,
                unsigned: false,
            })?;
            signs = false;
        }
        if groups == 0 && !signs && weights.bits == 1 {
            if weights.nested.is_some() {
                return Err(
                    "1-bit weights that are nested in levels are supported over signs only".into(),
                );
            }
            weights.bits = 2;
        }
        if groups > 0 && weights.nested.is_some() {
            return Err("nested weights in groups are not supported".into());
        }
        let mut share = 0;
        let stored = match (weights.nested.clone(), signs && groups == 0) {
            (Some((name, bits)), _) => {
                if let Some(&stored) = self.kernels.get(&name) {
                    stored
                } else {
                    let stored = self.level_bytes(&weights, bits)?;
                    *self.kernels.entry(name).or_insert(stored)
                }
            }
            (None, true) => match shared_signs(&weights, self.share) {
                Some(words) => {
                    share = self.share;
                    self.blob(&words)
                }
                None => self.sign_words(&weights),
            },
            (None, false) => self.level_bytes(&weights, weights.bits)?,
        };
        let filter = Filter {
            k,
            stride,
            pad,
            outputs: outputs as u32,
            bits: weights.bits,
            weights: stored,
            nested: weights.nested.as_ref().map_or(0, |(_, bits)| *bits),
            share,
            groups,
        };
        // A scale by input channel can be carried only where an output reads no other channel.
        let worth = if inputs == 1 && worth.len() == groups as usize {
            let each = outputs / worth.len();
            (0..outputs).map(|output| worth[output / each.max(1)]).collect()
        } else {
            vec![uniform(&worth, "a layer over several channels")?; outputs]
        };
        let scales = weights.scale.iter().zip(worth);
        let scale = scales.map(|(&scale, worth)| f64::from(scale) * f64::from(worth)).collect();
        let bias = bias.iter().map(|&bias| f64::from(bias));
        let bias = bias.zip(shifts(&weights, &offset)).map(|(bias, shift)| bias + shift).collect();
        // Checked here already: the operation is pushed at a later node, which an error would name instead.
        let numbers = Blob { at: 0, len: 4 * outputs as u32 };
        let conv = Conv { x, filter: filter.clone(), scale: numbers, bias: numbers };
        let shape = Op::from(conv).shape(&self.shapes, usize::MAX)?;
        Ok(Carried { base: Base::Sums { x, filter }, shape, scale, bias })
    }

    /// The bias of a layer, input 2: one number per output; zeros if it is missing.
    pub(super) fn bias(&self, node: &NodeProto, outputs: usize) -> Result<Vec<f32>, String> {
        match self.optional(node, 2)? {
            None => Ok(vec![0.0; outputs]),
            Some(Constant { dims, values, .. }) => match dims[..] {
                [] | [1] | [1, 1] => Ok(vec![values[0]; outputs]),
                [n] | [1, n] if n == outputs => Ok(values.clone()),
                _ => Err(format!("its bias has shape {dims:?}, not [{outputs}]")),
            },
        }
    }

    /// The stored weights: outputs, k, k, words.
    fn sign_words(&mut self, weights: &Weights) -> Blob {
        let [outputs, inputs, k] = [weights.dims[0], weights.dims[1], weights.dims[2]];
        let per_pixel = inputs.div_ceil(64);
        let mut words = vec![0_u64; outputs * k * k * per_pixel];
        for (index, _) in weights.levels.iter().enumerate().filter(|(_, level)| **level > 0) {
            let (output, input, tap) =
                (index / (inputs * k * k), index / (k * k) % inputs, index % (k * k));
            words[(output * k * k + tap) * per_pixel + input / 64] |= 1 << (input % 64);
        }
        self.blob(&words)
    }

    /// The stored weights: k, k, inputs, outputs.
    fn level_bytes(&mut self, weights: &Weights, bits: u8) -> Result<Blob, String> {
        let [outputs, inputs, k] = [weights.dims[0], weights.dims[1], weights.dims[2]];
        let mut levels = vec![0; weights.levels.len()];
        for (index, &level) in weights.levels.iter().enumerate() {
            let (output, input, tap) =
                (index / (inputs * k * k), index / (k * k) % inputs, index % (k * k));
            levels[(tap * inputs + input) * outputs + output] = level;
        }
        let bytes = packed::pack(levels.into_iter(), bits).map_err(|error| error.to_string())?;
        Ok(self.blob(&bytes))
    }
}

/// What the offsets of the input's channels add to each output, which reads those of its group.
fn shifts(weights: &Weights, offset: &[f64]) -> Vec<f64> {
    let [outputs, inputs] = [weights.dims[0], weights.dims[1]];
    if offset.iter().all(|&offset| offset == 0.0) {
        return vec![0.0; outputs];
    }
    let (groups, each) = (offset.len() / inputs, weights.levels.len() / outputs);
    let shift = |(output, (levels, scale)): (usize, (&[i8], &f32))| {
        let own = &offset[output * groups / outputs * inputs..][..inputs];
        let terms = levels
            .chunks_exact(each / inputs)
            .zip(own)
            .map(|(taps, offset)| taps.iter().map(|&level| f64::from(level)).sum::<f64>() * offset);
        terms.sum::<f64>() * f64::from(*scale)
    };
    weights.levels.chunks_exact(each).zip(&weights.scale).enumerate().map(shift).collect()
}

/// The signs that `share` weights each share by hashing, or `None` if weights that would share one differ.
fn shared_signs(weights: &Weights, share: u8) -> Option<Vec<u64>> {
    let count = weights.levels.len();
    if share < 2 || !count.is_multiple_of(usize::from(share)) {
        return None;
    }
    let mut signs: Vec<Option<bool>> = vec![None; count / usize::from(share)];
    for (value, &level) in ops::values(count, share).zip(&weights.levels) {
        if *signs[value].get_or_insert(level > 0) != (level > 0) {
            return None;
        }
    }
    let mut words = vec![0_u64; signs.len().div_ceil(64)];
    for (at, _) in signs.iter().enumerate().filter(|(_, sign)| **sign == Some(true)) {
        words[at / 64] |= 1 << (at % 64);
    }
    Some(words)
}
