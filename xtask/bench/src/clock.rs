//! Benchmark cases and their timing, for the benchmark's executables.

use std::time::Instant;

/// Minimum length of one sample.
const SAMPLE_MS: f64 = 3.0;

/// A named piece of work, with the repetitions per sample.
pub struct Case {
    /// Name of the runtime, if it is not the executable's own.
    runtime: Option<&'static str>,
    name: String,
    macs: f64,
    run: Box<dyn FnMut(u32)>,
    times: u32,
    ms: Vec<f64>,
}

impl Case {
    /// A case whose `run` repeats the work a given number of times; measures how many repetitions fill a sample. `macs` is 0 if
    /// unknown.
    pub fn new(name: String, macs: f64, mut run: impl FnMut(u32) + 'static) -> Self {
        let mut times = 1;
        while elapsed(&mut run, times) < SAMPLE_MS {
            times *= 2;
        }
        Self { runtime: None, name, macs, run: Box::new(run), times, ms: vec![] }
    }

    /// Attributes the case to another runtime.
    #[must_use]
    pub fn of(self, runtime: &'static str) -> Self {
        Self { runtime: Some(runtime), ..self }
    }
}

fn elapsed(run: &mut dyn FnMut(u32), times: u32) -> f64 {
    let began = Instant::now();
    run(times);
    began.elapsed().as_secs_f64() * 1e3
}

/// Times all cases in turn and prints one line of JSON: `{"cases": [{"runtime", "name", "macs", "ms": […]}]}`.
pub fn print_samples(samples: u32, mut cases: Vec<Case>) {
    for _ in 0..samples {
        for case in &mut cases {
            case.ms.push(elapsed(&mut case.run, case.times) / f64::from(case.times));
        }
    }
    let cases: Vec<_> = cases
        .iter()
        .map(|case| {
            serde_json::json!({"runtime": case.runtime, "name": case.name, "macs": case.macs, "ms": case.ms})
        })
        .collect();
    println!("{}", serde_json::json!({ "cases": cases }));
}
