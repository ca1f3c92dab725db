//! Pooling over whole maps, as exporters write it.

use super::built::{Built, computed, int, ints};
use fogline_edge::ops::{AveragePool, Op};

#[test]
fn a_mean_over_height_and_width_is_global_pooling() {
    let pooled = Built::stem().head("c").split("c").unwrap();
    for axes in [[2, 3], [-2, -1], [3, 2], [2, -1]] {
        for keep in [0, 1] {
            let mean = |inputs, of: &[_]| {
                let built = Built::stem().whole("hw", &axes).node("ReduceMean", inputs, "p", of);
                let built = if keep == 0 { built.linear("p") } else { built.flat_head("p") };
                built.split("c").unwrap()
            };
            let keep = int("keepdims", keep);
            let listed = mean("c", &[ints("axes", &axes), keep.clone()]);
            assert_eq!(computed(&listed), computed(&pooled));
            assert_eq!(computed(&mean("c hw", &[keep])), computed(&pooled));
        }
    }
    // A mean that keeps height and width is no row yet.
    let mean = |of: &[_]| Built::stem().node("ReduceMean", "c", "p", of).linear("p").refusal();
    assert!(mean(&[ints("axes", &[2, 3])]).ends_with("must be flattened to one row per sample"));
    for axes in [&[][..], &[1], &[1, 2, 3], &[2, 2], &[3]] {
        let why = mean(&[ints("axes", axes)]);
        let all = "only the mean over height and width of a map, [2, 3], is supported";
        assert!(why.starts_with("node 'p-node' (ReduceMean): its axes are") && why.ends_with(all));
    }
}

#[test]
fn only_a_map_too_large_for_a_window_is_pooled_as_a_whole() {
    for (size, window) in [(64, 64), (65, 0)] {
        let packed = Built::of_size(size).head("c").split("c").unwrap();
        let windows = packed.model.program.ops.iter().filter_map(|op| match op {
            Op::AveragePool(AveragePool { k, .. }) => Some(*k),
            _ => None,
        });
        assert_eq!(windows.collect::<Vec<u32>>(), [window]);
    }
}
