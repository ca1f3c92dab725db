//! Rewrites a batch's convolutions so that their weights are read once per batch instead of once per sample.
//!
//! tract computes a convolution as one matrix product per sample, with a column for each point of the map. This rewrite
//! moves the batch axis to the end of the map and gives the kernel size 1 along it. The points of all samples are then
//! columns of a single matrix.

use tract_onnx::prelude::{TractResult, TypedModel};
use tract_onnx::tract_core::internal::{AxisOp, Rewriter, TypedModelPatch, TypedNode};
use tract_onnx::tract_core::ops::cnn::{Conv, KernelFormat, PaddingSpec, PoolSpec};
use tract_onnx::tract_core::ops::nn::DataFormat;

/// Rewrites every convolution of the model that has one group, more than one sample, and maps of known size. Other
/// convolutions stay as they are.
///
/// # Errors
/// If tract rejects the replacement.
pub fn fold(model: &mut TypedModel) -> TractResult<()> {
    Rewriter::default().with_rule_for("fold-batch", folded).rewrite(&(), model)
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "tract passes a rule its context by reference"
)]
fn folded(
    (): &(),
    model: &TypedModel,
    node: &TypedNode,
    name: &str,
    conv: &Conv,
) -> TractResult<Option<TypedModelPatch>> {
    let spec = &conv.pool_spec;
    let shape = model.outlet_fact(node.inputs[0])?.shape.as_concrete();
    let plain = conv.group == 1
        && conv.q_params.is_none()
        && conv.kernel_fmt == KernelFormat::OIHW
        && spec.data_format == DataFormat::NCHW;
    let (true, Some([2..=usize::MAX, _, map @ ..])) = (plain, shape) else { return Ok(None) };
    let last = map.len() + 1;
    let padding = spec.computed_padding(map);
    let around = |side: fn(&_) -> usize| padding.iter().map(side).chain([0]).collect();
    let one_more = |sizes: &[usize]| sizes.iter().copied().chain([1]).collect();
    let spec = PoolSpec {
        data_format: DataFormat::CHW,
        kernel_shape: one_more(&spec.kernel_shape),
        padding: PaddingSpec::Explicit(
            around(|axis| axis.pad_before),
            around(|axis| axis.pad_after),
        ),
        dilations: Some(one_more(&spec.dilations())),
        strides: Some(one_more(&spec.strides())),
        ..spec.clone()
    };
    let mut patch = TypedModelPatch::default();
    let mut wires = patch.taps(model, &node.inputs)?;
    wires[0] =
        patch.wire_node(format!("{name}.batch-last"), AxisOp::Move(0, last), &wires[..1])?[0];
    wires[1] = patch.wire_node(format!("{name}.kernel"), AxisOp::Add(last + 1), &wires[1..2])?[0];
    let conv = Conv { pool_spec: spec, ..conv.clone() };
    let wire = patch.wire_node(name, conv, &wires)?;
    let wire = patch.wire_node(format!("{name}.batch-first"), AxisOp::Move(last, 0), &wire)?;
    patch.shunt_outside(model, node.id.into(), wire[0])?;
    Ok(Some(patch))
}

#[cfg(test)]
mod tests {
    use tract_onnx::prelude::{DatumExt, IntoRunnable, SpecialOps, Tensor, tvec};

    use super::*;

    /// A convolution whose kernel size, strides, dilations and padding differ between the axes.
    fn model() -> TractResult<TypedModel> {
        let mut model = TypedModel::default();
        let weights = |shape: &[usize]| {
            let weight = |i: usize| ((i * 37 % 101) as f32 - 50.0) / 64.0;
            let weights: Vec<f32> = (0..shape.iter().product()).map(weight).collect();
            Tensor::from_shape(shape, &weights)
        };
        let x = model.add_source("x", f32::fact([5, 3, 7, 9]))?;
        let kernel = model.add_const("kernel", weights(&[4, 3, 3, 2])?)?;
        let bias = model.add_const("bias", weights(&[4])?)?;
        let pool_spec = PoolSpec {
            data_format: DataFormat::NCHW,
            kernel_shape: tvec!(3, 2),
            padding: PaddingSpec::Explicit(tvec!(1, 0), tvec!(0, 2)),
            dilations: Some(tvec!(1, 3)),
            strides: Some(tvec!(2, 1)),
            input_channels: 3,
            output_channels: 4,
        };
        let conv = Conv { pool_spec, kernel_fmt: KernelFormat::OIHW, group: 1, q_params: None };
        let y = model.wire_node("conv", conv, &[x, kernel, bias])?;
        model.select_output_outlets(&y)?;
        Ok(model)
    }

    #[test]
    fn a_folded_batch_has_the_sums_of_its_samples() -> TractResult<()> {
        let plain = model()?;
        let mut folded = plain.clone();
        fold(&mut folded)?;
        let batches = |model: &TypedModel| {
            let convs = model.nodes.iter().filter_map(|node| node.op_as::<Conv>());
            convs.filter(|conv| conv.pool_spec.data_format.has_n()).count()
        };
        assert_eq!((batches(&plain), batches(&folded)), (1, 0));

        let x: Vec<f32> =
            (0..5 * 3 * 7 * 9).map(|i| ((i * 53 % 97) as f32 - 48.0) / 32.0).collect();
        let x = Tensor::from_shape(&[5, 3, 7, 9], &x)?;
        let run = |model: TypedModel| {
            model.into_optimized()?.into_runnable()?.run(tvec!(x.clone().into()))
        };
        run(folded)?[0].close_enough(&run(plain)?[0], true)
    }
}
