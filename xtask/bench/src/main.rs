//! The bench as a command, for wasmtime and for this machine itself: times every case, some samples
//! each, interleaved, and prints one line of JSON: `{"backend": …, "cases": [{"name", "macs", "ms": […]}]}`.
//!
//! `fogline-bench SAMPLES SEED [edge.fog]`

use std::time::Instant;

use fogline_bench::{Edge, Layer};

/// How long one sample takes at least.
const SAMPLE_MS: f64 = 3.0;

struct Case {
    name: String,
    macs: f64,
    run: Box<dyn FnMut(u32)>,
    times: u32,
    ms: Vec<f64>,
}

impl Case {
    fn new(name: String, macs: f64, mut run: impl FnMut(u32) + 'static) -> Self {
        let mut times = 1;
        while elapsed(&mut run, times) < SAMPLE_MS {
            times *= 2;
        }
        Self { name, macs, run: Box::new(run), times, ms: vec![] }
    }
}

fn elapsed(run: &mut dyn FnMut(u32), times: u32) -> f64 {
    let began = Instant::now();
    run(times);
    began.elapsed().as_secs_f64() * 1e3
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    let (Some(samples), Some(seed)) = (number(1), number(2)) else {
        panic!("usage: fogline-bench SAMPLES SEED [edge.fog]");
    };
    let mut cases = vec![];
    for mut layer in (0..).map_while(|index| Layer::of(index, seed)) {
        cases.push(Case::new(layer.name(), layer.macs(), move |times| layer.run(times)));
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    {
        use fogline_bench::peak::{Float, Popcount};
        let mut peak = Popcount::new(seed);
        cases.push(Case::new("popcount".into(), peak.macs(), move |times| peak.run(times)));
        for (side, channels) in [(28, 128), (14, 256)] {
            let mut float = Float::new(side, channels, seed);
            let name = format!("plain f32 3x3 {channels}-{channels} {side}x{side}");
            cases.push(Case::new(name, float.macs(), move |times| float.run(times)));
        }
    }
    let mut backend = String::new();
    if let Some(path) = arguments.get(3) {
        let fog = std::fs::read(path).expect("the model can be read");
        let edge = Edge::new(&fog, seed);
        backend = edge.backend();
        for stop in 0..=edge.exits() {
            let mut edge = Edge::new(&fog, seed);
            let name = if stop < edge.exits() {
                format!("edge to exit {}", stop + 1)
            } else {
                "edge".into()
            };
            cases.push(Case::new(name, 0.0, move |times| edge.run(times, stop)));
        }
    }
    for _ in 0..samples {
        for case in &mut cases {
            case.ms.push(elapsed(&mut case.run, case.times) / f64::from(case.times));
        }
    }
    let cases: Vec<_> = cases
        .iter()
        .map(|case| serde_json::json!({"name": case.name, "macs": case.macs, "ms": case.ms}))
        .collect();
    println!("{}", serde_json::json!({"backend": backend, "cases": cases}));
}
