//! Packed models that are truncated or altered must be refused, or run.
#![cfg(not(target_family = "wasm"))]

use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::Backend;
use fogline_edge::model::{FogError, Model};
use proptest::prelude::*;

const FOG: &[u8] = include_bytes!("tiny/edge.fog");

#[test]
fn every_cut_of_a_packed_model_is_refused() {
    for end in (0..FOG.len()).step_by(7) {
        assert_eq!(Model::parse(&FOG[..end]).err(), Some(FogError::Length), "cut at {end}");
    }
    assert_eq!(Model::parse(&[FOG, b"more"].concat()).err(), Some(FogError::Length));
    assert_eq!(Model::parse(&[b"PNG!", &FOG[4..]].concat()).err(), Some(FogError::Magic));
}

fn run_through(model: Model) {
    let mut engine = Engine::new(model, Backend::fastest());
    let size = engine.model().size();
    for way in 0..engine.model().program.ways() {
        engine.start(&vec![127; size * size * 3]);
        engine.take(way);
        while let Stop::Exit { .. } = engine.go_on() {}
    }
}

/// The small pairs with ways, an extension, and shared weights.
const SYSTEMS: [&[u8]; 3] = [
    include_bytes!("tiny-ways/edge.fog"),
    include_bytes!("tiny-extension/edge.fog"),
    include_bytes!("tiny-appeal/edge.fog"),
];

/// Where the program begins, after the header.
const PROGRAM: usize = 48;

proptest! {
    /// Whatever parses must run: the checks must be complete.
    #[test]
    fn an_altered_model_is_refused_or_runs(at in PROGRAM..1800_usize, digit in b'0'..=b'9') {
        let mut bytes = FOG.to_vec();
        if bytes[at].is_ascii_digit() {
            bytes[at] = digit;
            if let Ok(model) = Model::parse(&bytes) {
                run_through(model);
            }
        }
    }

    #[test]
    fn an_altered_model_of_another_system_is_refused_or_runs(
        which in 0..3_usize,
        at in PROGRAM..5000_usize,
        digit in b'0'..=b'9',
    ) {
        let mut bytes = SYSTEMS[which].to_vec();
        if bytes[at].is_ascii_digit() {
            bytes[at] = digit;
            if let Ok(model) = Model::parse(&bytes) {
                run_through(model);
            }
        }
    }

    #[test]
    fn any_bytes_parse_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = Model::parse(&bytes);
        let _ = Model::parse(&[&b"FOGM\x01\0\0\0"[..], &bytes].concat());
    }
}
