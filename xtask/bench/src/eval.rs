//! A native version of `fogline eval` without a cloud, to compare the component's throughput with.
//!
//! `fogline-bench-eval PAIR DIR` prints pictures per second for each set of kernels, as JSON.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use fogline_edge::device::folder::Folder;
use fogline_edge::device::picture::{self, MOST_PIXELS};
use fogline_edge::device::source;
use fogline_edge::kernel::Backend;
use fogline_edge::session::score::Score;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, pair, pictures] = &arguments[..] else {
        panic!("usage: fogline-bench-eval PAIR DIR");
    };
    let paths = source::pictures(&[pictures.into()]).pictures;
    let mut rates = BTreeMap::new();
    // Skip the scalar kernels, which are not meant to be fast.
    for backend in Backend::all().into_iter().skip(1) {
        let mut session = Folder::at(Path::new(pair)).load(backend).expect("a packed pair");
        let (mut score, size, began) =
            (Score::default(), session.manifest().input.size, Instant::now());
        for path in &paths {
            let file = std::fs::read(path).expect("a file");
            let rgb = picture::decode(&file, size, MOST_PIXELS).expect("a picture");
            let answer = session.classify_alone(&rgb);
            let index = source::class_of(&session.manifest().classes, Path::new(pictures), path);
            let index = index.expect("a class");
            score.add(session.manifest(), &answer, index, file.len());
        }
        let rate = score.all.pictures as f64 / began.elapsed().as_secs_f64();
        rates.insert(backend.to_string(), rate);
    }
    println!("{}", serde_json::to_string(&rates).expect("plain data always has a JSON form"));
}
