//! Memory: allocated when a model is loaded, and constant from then on. Native, Node and wasmtime run this file.

use core::hint::black_box;

use allocation_counter::measure;
use fogline_edge::engine::Engine;
use fogline_edge::kernel::Backend;
use fogline_edge::model::Model;

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

/// Pages of WebAssembly memory, which never shrinks.
fn pages() -> usize {
    #[cfg(target_family = "wasm")]
    return core::arch::wasm32::memory_size::<0>();
    #[cfg(not(target_family = "wasm"))]
    0
}

fn check(fog: &[u8]) {
    let model = Model::parse(fog).unwrap();
    let picture: Vec<u8> = (0..model.size().pow(2) * 3).map(|i| (i * 37) as u8).collect();
    let stops = model.program.exits.len() + 1;
    let mut engine = Engine::new(model, Backend::fastest());
    let mut run = |times: u64| {
        for _ in 0..times {
            engine.start(&picture);
            (0..stops).for_each(|_| drop(black_box(engine.go_on())));
        }
    };
    run(1);
    let before = pages();
    let made = measure(|| run(1000));
    // Only each exit's logits and the packed split map, which the caller owns.
    assert_eq!(made.count_total, 1000 * stops as u64);
    assert_eq!((made.count_current, made.bytes_current), (0, 0));
    assert_eq!(pages(), before);
}

#[test]
fn a_thousand_runs_leave_memory_as_it_was() {
    check(include_bytes!("tiny/edge.fog"));
}

#[test]
fn a_thousand_runs_at_four_bits_leave_memory_as_it_was() {
    check(include_bytes!("tiny4/edge.fog"));
}
