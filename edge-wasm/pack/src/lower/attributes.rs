//! The attributes that lowering understands. A node with any other attribute, or one of them with another value, is refused:
//! it would give other numbers than its graph.

use crate::onnx::{AttributeProto, NodeProto};

/// Which values of an attribute are supported.
#[derive(Clone, Copy)]
enum Supported {
    /// Those that the operator's own lowering accepts.
    Checked,
    /// Any: it does not change the result.
    Any,
    /// This integer.
    Only(i64),
    /// A list of ones.
    Ones,
}

use Supported::{Any, Checked, Ones, Only};

/// The attributes of an operator that lowering understands; `None` for an unknown operator.
fn of(operator: &str) -> Option<&'static [(&'static str, Supported)]> {
    Some(match operator {
        "Unsqueeze" | "Squeeze" => &[("axes", Checked)],
        "Cast" => &[("to", Checked), ("saturate", Any)],
        "Pad" => &[("pads", Checked), ("mode", Any), ("value", Any)],
        "Shape" => &[("start", Checked), ("end", Checked)],
        "QuantizeLinear" | "DequantizeLinear" => &[
            ("axis", Checked),
            ("saturate", Any),
            ("block_size", Only(0)),
            ("output_dtype", Only(0)),
            ("precision", Only(0)),
        ],
        "Transpose" => &[("perm", Checked)],
        "BipolarQuant" | "MatMul" | "Add" | "Sub" | "Mul" | "Div" | "PRelu" | "Relu"
        | "GlobalAveragePool" | "Identity" | "Slice" | "Sqrt" | "Reciprocal" | "Neg" | "Abs"
        | "Pow" => &[],
        "Quant" | "IntQuant" | "Trunc" => {
            &[("signed", Checked), ("narrow", Checked), ("rounding_mode", Checked)]
        }
        "Conv" => &[
            ("kernel_shape", Checked),
            ("strides", Checked),
            ("pads", Checked),
            ("auto_pad", Checked),
            ("group", Checked),
            ("dilations", Ones),
        ],
        "Gemm" => {
            &[("alpha", Checked), ("beta", Checked), ("transA", Only(0)), ("transB", Checked)]
        }
        "BatchNormalization" => &[
            ("epsilon", Checked),
            ("momentum", Any),
            ("training_mode", Only(0)),
            ("spatial", Only(1)),
        ],
        // Without axes, a mean over none of them is refused as one over all is.
        "ReduceMean" => &[("axes", Checked), ("keepdims", Checked), ("noop_with_empty_axes", Any)],
        "LeakyRelu" => &[("alpha", Checked)],
        // Without padding, no padding can be counted; the order of storage concerns only the indices.
        "AveragePool" | "MaxPool" => &[
            ("kernel_shape", Checked),
            ("strides", Checked),
            ("pads", Checked),
            ("auto_pad", Checked),
            ("ceil_mode", Checked),
            ("count_include_pad", Any),
            ("storage_order", Any),
            ("dilations", Ones),
        ],
        "Clip" => &[("min", Checked), ("max", Checked)],
        "Concat" | "Flatten" => &[("axis", Checked)],
        "Gather" => &[("axis", Only(0))],
        "Reshape" => &[("allowzero", Checked)],
        "Dropout" => &[("ratio", Any), ("seed", Any)],
        _ => return None,
    })
}

/// The most inputs that an operator has.
fn most_inputs(operator: &str) -> usize {
    match operator {
        "Relu" | "LeakyRelu" | "Identity" | "Flatten" | "Transpose" | "GlobalAveragePool"
        | "AveragePool" | "MaxPool" | "Shape" | "Cast" | "Sqrt" | "Reciprocal" | "Neg" | "Abs" => 1,
        "Add" | "Sub" | "Mul" | "Div" | "Pow" | "PRelu" | "MatMul" | "Gather" | "Reshape"
        | "Squeeze" | "Unsqueeze" | "ReduceMean" | "BipolarQuant" => 2,
        "Conv" | "Gemm" | "Clip" | "QuantizeLinear" | "DequantizeLinear" | "Dropout" => 3,
        "Quant" | "IntQuant" | "Pad" => 4,
        "BatchNormalization" | "Slice" => 5,
        "Trunc" => 6,
        _ => usize::MAX,
    }
}

/// Refuses a node of another domain than ONNX's or QONNX's, or with an attribute that lowering does not understand.
///
/// # Errors
/// The attribute's name, and which value is supported, if any.
pub fn check(node: &NodeProto) -> Result<(), String> {
    let domain = node.domain.as_str();
    let domains: &[&str] = match node.op_type.as_str() {
        // QONNX's, and what it was called before.
        "BipolarQuant" | "Quant" | "IntQuant" | "Trunc" => {
            &["qonnx.custom_op.general", "finn.custom_op.general", "onnx.brevitas"]
        }
        _ => &["", "ai.onnx"],
    };
    if !domains.contains(&domain) {
        return Err(format!("the edge does not support this operator of the domain '{domain}'"));
    }
    let most = most_inputs(&node.op_type);
    if node.input.len() > most {
        return Err(format!("it has {} inputs, but {most} at most are known", node.input.len()));
    }
    let Some(known) = of(&node.op_type) else { return Ok(()) };
    for attribute in &node.attribute {
        let AttributeProto { name, i, ints, .. } = attribute;
        let Some((_, supported)) = known.iter().find(|(known, _)| known == name) else {
            return Err(format!("the attribute '{name}' is not supported: export without it"));
        };
        // onnx.AttributeProto.AttributeType; files before IR version 2 state none.
        let real = ["alpha", "beta", "epsilon", "min", "max"].contains(&name.as_str());
        if real && ![0, 1].contains(&attribute.kind) {
            return Err(format!("the attribute '{name}' is not a real number"));
        }
        match supported {
            Only(value) if i != value => {
                let advice =
                    if name == "training_mode" { ": export the model in eval mode" } else { "" };
                return Err(format!("{name} = {i} is not supported, only {value}{advice}"));
            }
            Ones if ints.iter().any(|&number| number != 1) => {
                return Err(format!("{name} = {ints:?} is not supported, only ones"));
            }
            _ => {}
        }
    }
    Ok(())
}
