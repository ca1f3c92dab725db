//! Samples that are spread over cores.

use std::fs;
use std::time::Instant;

use fogline::frame::Tensor;
use fogline::manifest::Manifest;
use fogline_cloud::plan::Plan;

use crate::bucket::pair_file;

fn plan() -> Plan {
    let manifest = Manifest::parse(&fs::read(pair_file("manifest.json")).unwrap()).unwrap();
    Plan::new(manifest, &fs::read(pair_file("cloud.onnx")).unwrap()).unwrap()
}

/// Maps that all differ.
fn maps(plan: &Plan, count: u8) -> Vec<Tensor> {
    let split = &plan.manifest().split;
    let bytes = |seed: u8| {
        (0..plan.manifest().payload_bytes()).map(|i| (i as u8).wrapping_mul(37) ^ seed).collect()
    };
    (0..count)
        .map(|seed| Tensor { shape: split.shape, bits: split.bits, bytes: bytes(seed) })
        .collect()
}

#[test]
fn scores_come_back_in_the_order_of_the_samples() {
    let alone = plan();
    let tensors = maps(&alone, 37);
    let one_by_one: Vec<_> = tensors
        .iter()
        .flat_map(|tensor| alone.logits(std::slice::from_ref(tensor), None).unwrap().scores)
        .collect();
    for cores in [1, 2, 3, 64] {
        let together = plan().with_cores(cores).logits(&tensors, None).unwrap().scores;
        // The weights are multiples of 1/64, so no order of summing rounds.
        assert_eq!(together, one_by_one, "{cores} cores");
    }
}

#[test]
fn a_deadline_that_has_passed_stops_all_cores() {
    let plan = plan().with_cores(2);
    let refusal = plan.logits(&maps(&plan, 5), Some(Instant::now())).unwrap_err();
    assert_eq!(refusal.error, "deadline");
    assert!(refusal.message.contains("after 0 of 5 samples"), "{}", refusal.message);
}
