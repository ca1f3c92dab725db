//! Rewrites 3x3 convolutions so that [`fogline_winograd`] computes them, with the addition, the ReLU and the 2x2 pooling behind them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use fogline_winograd::{Convolution, Finish, Size};
use tract_onnx::prelude::{
    DatumExt, DatumType, OutletId, TVec, TractResult, TypedFact, TypedModel, tvec,
};
use tract_onnx::tract_core::internal::{
    EvalContext, EvalOp, Op, Rewriter, StaticName, TValue, Tensor, TypedModelPatch, TypedNode,
    TypedOp, as_op, op_as_typed_op, op_out_of_plan,
};
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, MaxPool, PoolSpec};
use tract_onnx::tract_core::ops::math::{Add, Max};
use tract_onnx::tract_core::ops::nn::DataFormat;

/// Of fewer channels, the transforms would take longer than the products that they save.
const FEWEST_CHANNELS: usize = 16;

/// The transformed kernels of a model, which its plans share, by node and size.
#[derive(Debug, Default)]
pub struct Kernels(Mutex<HashMap<(String, Size), Arc<Convolution>>>);

impl Kernels {
    fn of(&self, node: &str, size: Size, make: impl FnOnce() -> Convolution) -> Arc<Convolution> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(known.entry((node.into(), size)).or_insert_with(|| Arc::new(make())))
    }

    /// The bytes of all kernels as the model has them, and at most transformed, for tiles of both sizes.
    pub fn bytes(&self) -> (usize, usize) {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let each: HashMap<&String, &Convolution> =
            known.iter().map(|((node, _), convolution)| (node, &**convolution)).collect();
        each.values().fold((0, 0), |(before, after), convolution| {
            (before + convolution.untransformed_bytes(), after + convolution.bytes_of_both())
        })
    }
}

/// A convolution and what follows it: inputs are the maps and, if there are two, an addend.
#[derive(Debug, Clone)]
struct Layer {
    convolution: Arc<Convolution>,
    /// Samples, channels, height, width; before the pooling.
    output: [usize; 4],
    relu: bool,
    pool: bool,
}

impl Layer {
    /// The shape of what it gives.
    fn shape(&self) -> [usize; 4] {
        let [samples, channels, height, width] = self.output;
        let shrink = if self.pool { 2 } else { 1 };
        [samples, channels, height / shrink, width / shrink]
    }
}

impl PartialEq for Layer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.convolution, &other.convolution)
            && (self.output, self.relu, self.pool) == (other.output, other.relu, other.pool)
    }
}

impl Eq for Layer {}

impl Op for Layer {
    fn name(&self) -> StaticName {
        "Winograd".into()
    }

    op_as_typed_op!();
}

impl EvalOp for Layer {
    op_out_of_plan!();

    fn eval(&self, _: &EvalContext, inputs: TVec<TValue>) -> TractResult<TVec<TValue>> {
        let all = |at: usize| inputs[at].try_as_plain_ram()?.as_slice::<f32>();
        let maps = all(0)?;
        let addend = (inputs.len() > 1).then(|| all(1)).transpose()?;
        let mut output = vec![0.0; self.shape().iter().product()];
        let finish = Finish { addend, relu: self.relu, pool: self.pool };
        self.convolution.run(maps, [self.output[2], self.output[3]], finish, &mut output);
        Ok(tvec!(Tensor::from_shape(&self.shape(), &output)?.into()))
    }
}

impl TypedOp for Layer {
    fn output_facts(&self, _: &[&TypedFact]) -> TractResult<TVec<TypedFact>> {
        Ok(tvec!(f32::fact(self.shape())))
    }

    as_op!();
}

/// Rewrites all eligible convolutions of the model. Others stay as they are.
///
/// # Errors
/// If tract rejects the replacement.
pub fn transform(model: &mut TypedModel, kernels: &Kernels) -> TractResult<()> {
    let rules = Rewriter::default().with_rule_for("winograd", layer);
    rules.with_rule_for("winograd-finish", finished).rewrite(kernels, model)
}

/// Whether a convolution has 3x3 kernels, stride 1 and a border of one zero.
fn is_eligible(conv: &Conv, map: &[usize]) -> bool {
    let spec: &PoolSpec = &conv.pool_spec;
    conv.group == 1
        && conv.q_params.is_none()
        && conv.kernel_fmt == KernelFormat::OIHW
        && spec.data_format == DataFormat::NCHW
        && spec.kernel_shape.as_slice() == [3, 3]
        && spec.strides().as_ref() == [1, 1]
        && spec.dilations().as_ref() == [1, 1]
        && spec.input_channels.min(spec.output_channels) >= FEWEST_CHANNELS
        && spec.computed_padding(map).iter().all(|axis| (axis.pad_before, axis.pad_after) == (1, 1))
}

fn layer(
    kernels: &Kernels,
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    conv: &Conv,
) -> TractResult<Option<TypedModelPatch>> {
    let facts = model.node_input_facts(node.id)?;
    let Some(&[samples, _, height, width]) = facts[0].shape.as_concrete() else {
        return Ok(None);
    };
    if facts[0].datum_type != DatumType::F32 || !is_eligible(conv, &[height, width]) {
        return Ok(None);
    }
    let constant =
        |at: usize| facts[at].konst.as_ref()?.try_as_plain_ram().ok()?.as_slice::<f32>().ok();
    let (Some(kernel), Some(bias)) = (constant(1), constant(2)) else { return Ok(None) };
    let outputs = conv.pool_spec.output_channels;
    let size = Size::best(samples, height, width);
    let convolution = kernels.of(name, size, || {
        // One number for all outputs, or one for each.
        let bias: Vec<f32> = bias.iter().copied().cycle().take(outputs).collect();
        Convolution::new(size, kernel, &bias)
    });
    let output = [samples, outputs, height, width];
    let layer = Layer { convolution, output, relu: false, pool: false };
    TypedModelPatch::replace_single_op(model, node, &node.inputs[..1], layer).map(Some)
}

/// Takes the operation behind a layer into it, if that is the addition of a map, a ReLU or the largest of each 2x2 values.
fn finished(
    _: &Kernels,
    model: &TypedModel,
    node: &TypedNode,
    _: &str,
    layer: &Layer,
) -> TractResult<Option<TypedModelPatch>> {
    let Some(next) = model.single_succ(node.id)? else { return Ok(None) };
    let mut inputs: Vec<OutletId> = node.inputs.clone();
    let mut layer = layer.clone();
    if layer.pool {
        return Ok(None);
    } else if let Some(pool) = next.op_as::<MaxPool>() {
        if !halves(pool, layer.output) {
            return Ok(None);
        }
        layer.pool = true;
    } else if let Some(TypedBinOp(operation, None)) = next.op_as::<TypedBinOp>() {
        let other = next.inputs[usize::from(next.inputs[0].node == node.id)];
        let fact = model.outlet_fact(other)?;
        let zero =
            |tensor: &Arc<Tensor>| tensor.cast_to_scalar::<f32>().is_ok_and(|value| value == 0.0);
        if layer.relu || other.node == node.id {
            return Ok(None);
        } else if operation.is::<Max>() && fact.uniform.as_ref().is_some_and(zero) {
            layer.relu = true;
        } else if operation.is::<Add>() && inputs.len() == 1 && *fact == f32::fact(layer.output) {
            inputs.push(other);
        } else {
            return Ok(None);
        }
    } else {
        return Ok(None);
    }
    let mut patch = TypedModelPatch::default();
    let taps = patch.taps(model, &inputs)?;
    let wire = patch.wire_node(&next.name, layer, &taps)?;
    patch.shunt_outside(model, next.id.into(), wire[0])?;
    Ok(Some(patch))
}

/// Whether this is the largest of each 2x2 values, without a border and of a map without a remainder.
fn halves(pool: &MaxPool, [_, _, height, width]: [usize; 4]) -> bool {
    let spec = &pool.pool_spec;
    pool.with_index_outputs.is_none()
        && spec.data_format == DataFormat::NCHW
        && spec.kernel_shape.as_slice() == [2, 2]
        && spec.strides().as_ref() == [2, 2]
        && spec.dilations().as_ref() == [1, 1]
        && height % 2 + width % 2 == 0
        && spec
            .computed_padding(&[height, width])
            .iter()
            .all(|axis| (axis.pad_before, axis.pad_after) == (0, 0))
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::{IntoRunnable, SpecialOps};
    use tract_onnx::tract_core::internal::tensor4;
    use tract_onnx::tract_core::ops::cnn::PaddingSpec;
    use tract_onnx::tract_core::ops::math::{add, max};

    use super::*;

    fn numbers(shape: &[usize], factor: usize) -> TractResult<Tensor> {
        let number = |i: usize| ((i * factor % 101) as f32 - 50.0) / 50.0;
        let numbers: Vec<f32> = (0..shape.iter().product()).map(number).collect();
        Tensor::from_shape(shape, &numbers)
    }

    fn conv(inputs: usize, outputs: usize, stride: usize) -> Conv {
        let pool_spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec!(3, 3),
            padding: PaddingSpec::Explicit(tvec!(1, 1), tvec!(1, 1)),
            dilations: None,
            strides: Some(tvec!(stride, stride)),
            input_channels: inputs,
            output_channels: outputs,
        };
        Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None }
    }

    /// Two convolutions, the second with a shortcut around it, and a ReLU and a pooling behind it.
    fn model(
        samples: usize,
        channels: usize,
        side: usize,
        stride: usize,
    ) -> TractResult<TypedModel> {
        let mut model = TypedModel::default();
        let x = model.add_source("x", f32::fact([samples, channels, side, side]))?;
        let mut wires = vec![x];
        for (name, factor) in [("first", 37), ("second", 53)] {
            let kernel = numbers(&[channels, channels, 3, 3], factor)?;
            let kernel = model.add_const(format!("{name}.kernel"), kernel)?;
            let bias = model.add_const(format!("{name}.bias"), numbers(&[channels], factor)?)?;
            let op = conv(channels, channels, if name == "first" { 1 } else { stride });
            wires.push(model.wire_node(name, op, &[wires[wires.len() - 1], kernel, bias])?[0]);
        }
        let mut y = wires[2];
        if stride == 1 {
            y = model.wire_node("shortcut", add(), &[wires[1], y])?[0];
        }
        let zero = model.add_const("zero", tensor4(&[[[[0.0_f32]]]]))?;
        let y = model.wire_node("relu", max(), &[y, zero])?;
        let pool_spec = PoolSpec {
            kernel_shape: tvec!(2, 2),
            padding: PaddingSpec::Valid,
            strides: Some(tvec!(2, 2)),
            ..conv(channels, channels, 1).pool_spec
        };
        let y = model.wire_node("pool", MaxPool { pool_spec, with_index_outputs: None }, &y)?;
        model.select_output_outlets(&y)?;
        model.into_decluttered()
    }

    #[test]
    fn layers_give_what_tracts_convolutions_do() -> TractResult<()> {
        for (samples, channels, side, stride, layers) in
            [(1, 16, 4, 1, 2), (5, 24, 7, 1, 2), (2, 16, 8, 2, 1), (3, 8, 6, 1, 0)]
        {
            let plain = model(samples, channels, side, stride)?;
            let mut transformed = plain.clone();
            transform(&mut transformed, &Kernels::default())?;
            let found: Vec<_> =
                transformed.nodes.iter().filter_map(|node| node.op_as::<Layer>()).collect();
            assert_eq!(found.len(), layers);
            if layers == 2 {
                // The shortcut, the ReLU and, of a map without a remainder, the pooling are part of the second.
                assert!(found.iter().any(|layer| layer.relu && layer.pool == (side % 2 == 0)));
                assert!(!transformed.nodes.iter().any(TypedNode::op_is::<TypedBinOp>));
            }
            let x = numbers(&[samples, channels, side, side], 71)?;
            let run = |model: TypedModel| {
                model.into_optimized()?.into_runnable()?.run(tvec!(x.clone().into()))
            };
            run(transformed)?[0].close_enough(&run(plain)?[0], true)?;
        }
        Ok(())
    }

    #[test]
    fn plans_share_kernels_of_one_size() -> TractResult<()> {
        let kernels = Kernels::default();
        for samples in [1, 1, 2] {
            transform(&mut model(samples, 16, 4, 1)?, &kernels)?;
        }
        let known = kernels.0.lock().unwrap();
        let two = |size| known.keys().filter(|(_, each)| *each == size).count();
        assert_eq!((two(Size::Two), known.len()), (2, 2));
        Ok(())
    }
}
