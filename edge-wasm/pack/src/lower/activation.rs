//! Quantisers over maps and over the picture.

use super::affine::per_channel;
use super::lowering::Lowering;
use super::quant::{Grid, fit_byte, range, threshold};
use super::value::{Base, Carried, Value};
use crate::constant::Constant;
use crate::onnx::NodeProto;
use fogline_edge::ops::{ConvSign, Input, Op, Quantise, Sign};
use fogline_edge::tensor::Kind;

/// The input of a layer: signs or levels, and what one level of each channel is worth.
pub struct QuantisedInput {
    /// The operation that gives the map.
    pub op: usize,
    /// The value of a level, by channel.
    pub scale: Vec<f32>,
    /// What is added to each channel.
    pub offset: Vec<f64>,
}

impl Lowering<'_> {
    /// The signs of a map, each worth its channel's `scale`: integer thresholds straight after a convolution, else real ones.
    pub(super) fn signs_of(
        &mut self,
        map: Carried,
        scale: &Constant,
        row: bool,
    ) -> Result<Value, String> {
        let worth = worths(scale, &map, row)?;
        let before = map.clone();
        let is_shifted_only = map.scale.iter().all(|&s| s == 1.0);
        let keeps_signs =
            map.scale.iter().all(|&s| s > 0.0) && map.bias.iter().all(|&bias| bias == 0.0);
        let Carried { base, shape, scale, bias } = map;
        let op =
            match base {
                Base::Picture => {
                    return self.picture(&before, worth, false, |value, _| {
                        if value >= 0.0 { 1.0 } else { -1.0 }
                    });
                }
                Base::Sums { x, filter } => {
                    let (threshold, flip): (Vec<i32>, Vec<u8>) =
                        scale.iter().zip(&bias).map(|(&s, &b)| threshold(s, b)).unzip();
                    let (threshold, flip) = (self.blob(&threshold), self.blob(&flip));
                    self.push(ConvSign { x, filter, threshold, flip })?
                }
                // x + b >= 0 exactly if x >= -b, also in floating point.
                Base::Op(x) if is_shifted_only || keeps_signs => {
                    let negated: Vec<f64> = bias.iter().map(|b| -b).collect();
                    let threshold = self.floats(&negated);
                    self.push(Sign { x, threshold })?
                }
                base @ Base::Op(_) => {
                    let x = self.settle(Carried { base, shape, scale, bias })?;
                    self.sign(x)?
                }
            };
        self.before.insert(op, before);
        Ok(Value::Quantised { op, scale: worth })
    }

    /// The nearest levels of a map or of the picture, whose bytes become a table.
    pub(super) fn levels_of(
        &mut self,
        mut map: Carried,
        grid: &Grid,
        row: bool,
    ) -> Result<Value, String> {
        let worth = worths(&grid.scale, &map, row)?;
        let unsigned = grid.high > 127.0;
        if let Base::Picture = map.base {
            return self.picture(&map, worth, unsigned, |value, scale| grid.level(value, scale));
        }
        let scale = match worth[..] {
            [first, ref rest @ ..] if rest.iter().all(|scale| *scale == first) => first,
            // Channels that differ are divided by their scales first.
            _ => {
                for ((scale, bias), worth) in map.scale.iter_mut().zip(&mut map.bias).zip(&worth) {
                    (*scale, *bias) = (*scale / f64::from(*worth), *bias / f64::from(*worth));
                }
                1.0
            }
        };
        let before = map.clone();
        let x = self.settle(map)?;
        let (low, high) = (grid.low as i16, grid.high as i16);
        let op = self.push(Quantise { x, scale, low, high, shift: 0, unsigned })?;
        self.before.insert(op, before);
        Ok(Value::Quantised { op, scale: worth })
    }

    /// The picture's bytes as levels, normalised as the manifest states and then as the graph does.
    fn picture(
        &mut self,
        picture: &Carried,
        worth: Vec<f32>,
        unsigned: bool,
        level: impl Fn(f32, f32) -> f32,
    ) -> Result<Value, String> {
        let (factors, offsets) = self.normalisation(picture)?;
        let mut table = vec![];
        for ((factor, offset), worth) in factors.iter().zip(offsets).zip(&worth) {
            table.extend((0..256).map(|byte| {
                let value = f64::from(byte) / 255.0 * factor + offset;
                // The lowest eight bits, which are a byte's as well.
                level(value as f32, *worth) as i16 as u8
            }));
        }
        Ok(Value::Quantised { op: self.input(&table, unsigned)?, scale: worth })
    }

    /// The first operation, which looks a picture's bytes up in a table.
    fn input(&mut self, table: &[u8], unsigned: bool) -> Result<usize, String> {
        if !self.out.ops.is_empty() {
            return Err("the picture is quantised twice, or read as its bytes as well: let all layers read one quantiser".into());
        }
        let (size, table) = (self.input.size, self.blob(table));
        self.push(Input { size, table, unsigned })
    }

    /// What becomes of the picture's values of 0 to 1, as the manifest and then the graph normalise it: a factor and a term per
    /// channel.
    ///
    /// # Errors
    /// If both normalise it, or differently by channel where it is grey.
    fn normalisation(&self, picture: &Carried) -> Result<(Vec<f64>, Vec<f64>), String> {
        let (mean, std) = (self.input.mean, self.input.std);
        if !picture.is_identity() && (mean, std) != ([0.0; 3], [1.0; 3]) {
            return Err(format!(
                "the graph normalises the picture, and the manifest does so before it, with mean {mean:?} and std {std:?}: state mean [0, 0, 0] and std [1, 1, 1]"
            ));
        }
        if picture.shape.c == 1 && (mean != [mean[0]; 3] || std != [std[0]; 3]) {
            return Err(format!(
                "the picture is grey, so mean and std of the manifest must be the same for all channels, not {mean:?} and {std:?}"
            ));
        }
        let of_graph = picture.scale.iter().zip(&picture.bias).zip(mean.iter().zip(&std));
        Ok(of_graph
            .map(|((scale, bias), (mean, std))| {
                let (mean, std) = (f64::from(*mean), f64::from(*std));
                (scale / std, bias - mean / std * scale)
            })
            .unzip())
    }

    /// `Trunc` (QONNX, version 2): the nearest multiples of a scale without their lowest bits.
    pub(super) fn trunc(&mut self, node: &NodeProto) -> Result<Value, String> {
        if node.input.len() != 6 {
            return Err("it has no scale of its output: export it with a newer Brevitas".into());
        }
        if node.text("rounding_mode", "FLOOR") != "FLOOR" {
            return Err("its rounding mode is not supported: use FLOOR".into());
        }
        let number = |index, what| self.number(node, index, what, None);
        let (scale, zero, after) =
            (number(1, "scale")?, number(2, "zero point")?, number(4, "output scale")?);
        let bits = number(5, "output bit width")?;
        let shift = (after / scale).log2().round();
        if !(2.0..=8.0).contains(&bits) || bits.fract() != 0.0 {
            return Err(format!("{bits} bits are not supported: use 2 to 8"));
        }
        if zero != 0.0 || !(0.0..=8.0).contains(&shift) || !(scale > 0.0 && after > 0.0) {
            return Err(format!(
                "a zero point of {zero} or scales of {scale} before and {after} behind it are not supported"
            ));
        }
        let (low, high) = range(node, bits);
        if !fit_byte(low, high) {
            return Err(format!("levels from {low} to {high} do not fit 8 bits"));
        }
        let x = self.affine(node, 0)?;
        let worth = vec![after; x.shape.c];
        let x = self.settle(x)?;
        let (low, high, shift) = (low as i16, high as i16, shift as u8);
        let unsigned = high > 127;
        let op = self.push(Quantise { x, scale, low, high, shift, unsigned })?;
        Ok(Value::Quantised { op, scale: worth })
    }

    /// A layer's input as signs or levels; `None` if it is of other real numbers. A picture that no quantiser has read is
    /// levels already, its bytes. `pads` is whether the layer pads it with zeros.
    ///
    /// # Errors
    /// If the picture's normalisation keeps its bytes from being levels.
    pub(super) fn quantised_input(
        &mut self,
        value: &Value,
        pads: bool,
    ) -> Result<Option<QuantisedInput>, String> {
        match value {
            Value::Quantised { op, scale } => {
                let offset = vec![0.0; scale.len()];
                Ok(Some(QuantisedInput { op: *op, scale: scale.clone(), offset }))
            }
            Value::Real(picture) if matches!(picture.base, Base::Picture) => {
                let (factors, offset) = self.normalisation(picture)?;
                if pads && offset.iter().any(|&offset| offset != 0.0) {
                    return Err("it pads a picture whose mean is not 0, where no byte stands for the padding: put a Quant node before it".into());
                }
                let scale: Vec<f32> =
                    factors.iter().map(|factor| (factor / 255.0) as f32).collect();
                let bytes = factors.iter().flat_map(|_| 0..=255_u8).collect::<Vec<u8>>();
                let op = match self.bytes {
                    Some(op) => op,
                    None => self.input(&bytes, true)?,
                };
                self.bytes = Some(op);
                Ok(Some(QuantisedInput { op, scale, offset }))
            }
            _ => Ok(None),
        }
    }

    /// Operation `x`'s signs, of real numbers.
    fn sign(&mut self, x: usize) -> Result<usize, String> {
        let threshold = self.floats(&vec![0.0; self.shapes[x].c]);
        self.push(Sign { x, threshold })
    }

    /// The real numbers `x` quantised as those that were carried into `quantiser` are.
    pub(super) fn quantise_like(&mut self, quantiser: usize, x: usize) -> Result<usize, String> {
        match self.out.ops[quantiser].clone() {
            Op::Quantise(quantise) => self.push(Quantise { x, ..quantise }),
            _ => self.sign(x),
        }
    }

    /// The levels of a quantised map as real numbers, without their scale.
    pub(super) fn levels(&mut self, map: usize) -> Result<usize, String> {
        let ones = vec![1.0; self.shapes[map].c];
        let levels = self.dequantise(map, &ones)?;
        self.settle(levels)
    }

    /// The lowest and the highest level of any of these quantised maps.
    pub(super) fn range_of(&self, maps: &[usize]) -> (i16, i16) {
        let ranges = maps.iter().map(|&map| {
            match (&self.out.ops[Op::quantiser(&self.out.ops, map)], self.shapes[map].kind) {
                (Op::Quantise(op), _) => (op.low, op.high),
                (_, Kind::Byte) => (0, 255),
                (_, Kind::Sign) => (-1, 1),
                _ => (-128, 127),
            }
        });
        ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))).unwrap_or((-1, 1))
    }

    /// The levels `x`, which are real numbers, as a quantised map that holds all levels of `maps`.
    pub(super) fn quantise_levels(&mut self, x: usize, maps: &[usize]) -> Result<usize, String> {
        let (low, high) = self.range_of(maps);
        if maps.iter().all(|&map| self.shapes[map].kind == Kind::Sign) {
            return self.sign(x);
        }
        self.push(Quantise { x, scale: 1.0, low, high, shift: 0, unsigned: high > 127 })
    }
}

/// The value of a level by channel.
fn worths(scale: &Constant, map: &Carried, row: bool) -> Result<Vec<f32>, String> {
    let worths: Vec<f32> =
        per_channel(scale, map.shape, row)?.into_iter().map(|scale| scale as f32).collect();
    if worths.iter().all(|&scale| scale > 0.0) {
        Ok(worths)
    } else {
        Err("a scale is not positive".into())
    }
}
