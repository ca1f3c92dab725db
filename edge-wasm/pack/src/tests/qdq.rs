//! QuantizeLinear and DequantizeLinear.

use super::built::{Built, computed, int};

/// The stem, its map quantised by QuantizeLinear, a Clip and DequantizeLinear, and read by a layer.
fn qdq(zero: &str, clip: &str) -> Built {
    Built::stem()
        .tensor("steps", &[8], &(1..=8).map(|n| n as f32 / 64.0).collect::<Vec<_>>())
        .typed("int8", 3, &[], &[0])
        .typed("uint8", 2, &[], &[0])
        .typed("off", 3, &[], &[1])
        .typed("low", 3, &[], &[-8])
        .typed("high", 3, &[], &[7])
        .typed("levels", 3, &[8, 8, 1, 1], &(0..64).map(|i| i * 29 % 255 - 127).collect::<Vec<_>>())
        .node("QuantizeLinear", &format!("c step {zero}"), "ci", &[])
        .node("Clip", &format!("ci {clip}"), "cc", &[])
        .node("DequantizeLinear", &format!("cc step {zero}"), "cq", &[])
        .node("DequantizeLinear", "levels steps", "vq", &[int("axis", 0)])
        .node("Conv", "cq vq", "d", &[])
        .head("d")
}

/// The same with Quant nodes.
fn quant(bits: f32, signed: i64) -> Built {
    let levels: Vec<f32> = (0..64).map(|i| (i * 29 % 255 - 127) as f32 / 64.0).collect();
    let scaled: Vec<f32> = levels
        .chunks(8)
        .zip(1..)
        .flat_map(|(all, n)| all.iter().map(move |v| v * n as f32))
        .collect();
    Built::stem()
        .tensor("steps", &[8, 1, 1, 1], &(1..=8).map(|n| n as f32 / 64.0).collect::<Vec<_>>())
        .tensor("bits", &[], &[bits])
        .tensor("v", &[8, 8, 1, 1], &scaled)
        .node("Quant", "c step zero bits", "cq", &[int("signed", signed)])
        .node("Quant", "v steps zero eight", "vq", &[])
        .node("Conv", "cq vq", "d", &[])
        .head("d")
}

#[test]
fn they_are_the_quantisers_that_their_types_and_a_clip_say() {
    for (zero, clip, bits, signed) in [
        ("int8", "", 8.0, 1),
        ("int8", "low high", 4.0, 1),
        ("uint8", "", 8.0, 0),
        ("", "", 8.0, 0),
    ] {
        let (ours, theirs) = (qdq(zero, clip), quant(bits, signed));
        let [ours, theirs] = [ours, theirs].map(|built| built.split("d").unwrap());
        assert_eq!(computed(&ours).1, computed(&theirs).1, "{zero} {clip}");
    }
}

#[test]
fn what_is_not_symmetric_or_has_no_partner_is_refused() {
    let why = qdq("off", "").refusal();
    assert!(why.contains("'ci-node' (QuantizeLinear): its zero point is not 0: quantise"), "{why}");
    let alone = Built::stem().node("DequantizeLinear", "c step", "d", &[]).head("d").refusal();
    assert!(alone.ends_with("its input is not from a QuantizeLinear"), "{alone}");
    let unread = Built::stem().node("QuantizeLinear", "c step", "d", &[]).head("d").refusal();
    assert!(unread.contains("its input is integers: put a DequantizeLinear before it"), "{unread}");
    let operator = Built::stem().node("QLinearConv", "c", "d", &[]).head("d").refusal();
    assert!(operator.ends_with("quantise to QuantFormat.QDQ"), "{operator}");
}

#[test]
fn biases_and_weights_of_linear_layers_are_read_so() {
    let row = || {
        Built::stem()
            .typed("levels", 3, &[5, 8], &(0..40).map(|i| i * 29 % 255 - 127).collect::<Vec<_>>())
            .typed(
                "turned",
                3,
                &[8, 5],
                &(0..40).map(|i| i % 5 * 8 + i / 5).map(|i| i * 29 % 255 - 127).collect::<Vec<_>>(),
            )
            .typed("sums", 6, &[5], &[-300, 7, 0, 5000, 1])
            .tensor("b", &[5], &[-300.0, 7.0, 0.0, 5000.0, 1.0].map(|n| n / 64.0))
            .node("DequantizeLinear", "levels step", "vq", &[])
            .node("DequantizeLinear", "turned step", "tq", &[])
            .node("DequantizeLinear", "sums step", "bq", &[])
            .node("GlobalAveragePool", "c", "p", &[])
            .node("Flatten", "p", "f", &[])
    };
    let transposed = [int("transB", 1)];
    let plain = row().node("Gemm", "f vq b", "e1", &transposed).split("c").unwrap();
    for (inputs, of) in [("f vq bq", &transposed[..]), ("f tq bq", &[])] {
        let packed = row().node("Gemm", inputs, "e1", of).split("c").unwrap();
        assert_eq!(computed(&packed).1, computed(&plain).1, "{inputs}");
    }
}
