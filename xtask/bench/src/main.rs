//! The benchmark's executable, native and for wasmtime: times every layer and pool, the engine's peak, the edge up to each
//! exit and the split point, and its coder.
//!
//! `fogline-bench SAMPLES SEED PAIR [pictures.rgb]`: PAIR is a folder with manifest.json and edge.fog.

use std::path::Path;
use std::rc::Rc;

use fogline_bench::clock::{Case, print_samples};
use fogline_bench::coding::Coding;
use fogline_bench::pool::Pool;
use fogline_bench::{Edge, Layer, Pictures};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse().ok());
    let (Some(samples), Some(seed), Some(pair)) = (number(1), number(2), arguments.get(3)) else {
        panic!("usage: fogline-bench SAMPLES SEED PAIR [pictures.rgb]");
    };
    let mut cases = vec![];
    for mut layer in (0..).map_while(|index| Layer::of(index, seed)) {
        cases.push(Case::new(layer.name(), layer.macs(), move |times| layer.run(times)));
    }
    for mut pool in (0..).map_while(|index| Pool::of(index, seed)) {
        cases.push(Case::new(pool.name(), 0.0, move |times| pool.run(times)));
    }
    #[cfg(any(target_arch = "x86_64", all(target_arch = "wasm32", target_feature = "simd128")))]
    for mut peak in (0..).map_while(|index| fogline_bench::peak::Peak::of(index, seed)) {
        let case = Case::new(peak.name(), peak.macs(), move |times| peak.run(times));
        cases.push(case.of("at most"));
    }
    #[cfg(all(target_arch = "wasm32", target_feature = "simd128"))]
    for (side, channels) in [(28, 128), (14, 256)] {
        let mut float = fogline_bench::float::Float::new(side, channels, seed);
        let name = format!("3x3 {channels}-{channels} {side}x{side}");
        let plain = Case::new(name, float.macs(), move |times| float.run(times));
        cases.push(plain.of("plain f32"));
    }
    let read = |path: &Path| std::fs::read(path).expect("the file can be read");
    let pair = Path::new(pair);
    let fog = read(&pair.join("edge.fog"));
    let exits = Edge::new(&fog, seed).exits();
    for stop in 0..=exits {
        let mut edge = Edge::new(&fog, seed);
        let name = if stop < exits { format!("edge to exit {}", stop + 1) } else { "edge".into() };
        cases.push(Case::new(name, 0.0, move |times| edge.run(times, stop)));
    }
    let manifest = read(&pair.join("manifest.json"));
    if let Some(coding) = Coding::of(&manifest, &fog, seed).map(Rc::new) {
        let decoding = Rc::clone(&coding);
        cases.push(Case::new("coding a map".into(), 0.0, move |times| coding.encode(times)));
        cases.push(Case::new("decoding a map".into(), 0.0, move |times| decoding.decode(times)));
    }
    if let Some(pictures) = arguments.get(4) {
        let mut pictures = Pictures::new(&manifest, &fog, read(Path::new(pictures)));
        cases.push(Case::new(pictures.name(), 0.0, move |times| pictures.run(times)));
    }
    print_samples(samples, cases);
}
