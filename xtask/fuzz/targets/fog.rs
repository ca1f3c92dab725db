//! Any bytes as a packed model: refused, or run with the same result on the fastest kernels as on the reference.
#![no_main]

use fogline_edge::engine::{Engine, Stop};
use fogline_edge::model::Model;
use fogline_edge::kernel::Backend;
use fogline_edge::ops::{AveragePool, MaxPool, Op};
use libfuzzer_sys::fuzz_target;

/// Limit on MACs; larger models are parsed but not run.
const AFFORDABLE: usize = 3_000_000;

fuzz_target!(|bytes: &[u8]| {
    let Ok(model) = Model::parse(bytes) else { return };
    if products(&model) > AFFORDABLE {
        return;
    }
    let picture: Vec<u8> = (0..model.size().pow(2) * 3).map(|i| (i * 37) as u8).collect();
    let ways = model.program.ways();
    let mut reference = Engine::new(Model::parse(bytes).expect("it was read"), Backend::Reference);
    let mut fastest = Engine::new(model, Backend::fastest());
    for way in 0..ways {
        for engine in [&mut reference, &mut fastest] {
            engine.start(&picture);
            engine.take(way);
        }
        loop {
            // A hostile model may produce NaN, which does not equal itself.
            let (expected, got) = (reference.go_on(), fastest.go_on());
            assert_eq!(format!("{expected:?}"), format!("{got:?}"));
            if matches!(got, Stop::Split(_)) {
                break;
            }
        }
    }
});

fn products(model: &Model) -> usize {
    let ops = model.program.ops.iter().zip(&model.shapes);
    let sizes = ops.map(|(op, shape)| match (op.cost(&model.shapes), op) {
        (Some(cost), _) => cost.macs as usize,
        // Over the whole map.
        (None, Op::AveragePool(AveragePool { x, k: 0, .. })) => model.shapes[*x].len(),
        (None, Op::AveragePool(AveragePool { k, .. }) | Op::MaxPool(MaxPool { k, .. })) => {
            shape.len().saturating_mul((k * k) as usize)
        }
        (None, _) => shape.len(),
    });
    sizes.fold(0, usize::saturating_add)
}
