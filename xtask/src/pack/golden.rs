//! Compares what a packed edge computes with what its graph gives.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use fogline::packed;
use fogline_edge::engine::{Engine, Stop};
use fogline_edge::kernel::Backend;
use fogline_edge::model::Model;
use serde::Deserialize;

/// Logits may differ from the graph's by this much, relative to those above 1: sums run in another order.
const TOLERANCE: f32 = 1e-5;

/// Pictures with the outputs of the graph, as the recipe writes them.
#[derive(Deserialize)]
struct Golden {
    samples: Vec<Sample>,
}

#[derive(Deserialize)]
struct Sample {
    /// RGB bytes in hexadecimal.
    rgb: String,
    way: Option<u8>,
    exits: Vec<Vec<f32>>,
    /// The packed split map in hexadecimal.
    split: String,
}

/// How far the packed edge is from its graph, over all pictures and backends.
pub struct Difference {
    pictures: usize,
    /// The largest difference of a logit, relative to logits above 1.
    logit: f32,
    /// The number of levels of the split maps that differ, and of all levels.
    levels: [usize; 2],
}

impl Difference {
    /// Runs `model` on the pictures of the golden file at `path`, with every backend of this machine.
    ///
    /// # Errors
    /// If the file cannot be read or does not fit the model.
    pub fn of(model: &Model, path: &Path) -> Result<Self> {
        let text = std::fs::read(path).with_context(|| path.display().to_string())?;
        let golden: Golden =
            serde_json::from_slice(&text).with_context(|| path.display().to_string())?;
        let mut found = Self { pictures: golden.samples.len(), logit: 0.0, levels: [0; 2] };
        for backend in Backend::all() {
            let mut engine = Engine::new(model.clone(), backend);
            for (number, sample) in golden.samples.iter().enumerate() {
                found.add(&mut engine, sample).with_context(|| format!("picture {number}"))?;
            }
        }
        Ok(found)
    }

    fn add(&mut self, engine: &mut Engine, sample: &Sample) -> Result<()> {
        let size = engine.model().shapes[0];
        let rgb = bytes(&sample.rgb)?;
        ensure!(
            rgb.len() == 3 * size.h * size.w,
            "{} bytes, but the model reads {}x{} pixels",
            rgb.len(),
            size.w,
            size.h
        );
        engine.start(&rgb);
        // Only the last way reaches an extension.
        engine.take(sample.way.unwrap_or(engine.model().program.ways() - 1));
        for expected in &sample.exits {
            let Stop::Exit { index, logits } = engine.go_on() else {
                anyhow::bail!("it has outputs of {} exits", sample.exits.len())
            };
            ensure!(
                logits.len() == expected.len(),
                "exit {} has {} logits, not {}",
                index + 1,
                logits.len(),
                expected.len()
            );
            for (got, expected) in logits.iter().zip(expected) {
                let apart = (got - expected).abs() / expected.abs().max(1.0);
                // NaN is the largest difference of all.
                self.logit = if apart.is_nan() { f32::INFINITY } else { self.logit.max(apart) };
            }
        }
        let Stop::Split(map) = engine.go_on() else {
            anyhow::bail!("it has outputs of {} exits only", sample.exits.len())
        };
        let split = engine.model().split();
        let shape = [split.c, split.h, split.w].map(|side| side as u32);
        let [got, expected] = [&map, &bytes(&sample.split)?].map(|bytes| {
            packed::unpack(bytes, shape, engine.split_bits(), engine.split_is_signed())
        });
        let (got, expected) = (got?, expected.context("its split map")?);
        let apart = got.iter().zip(&expected).filter(|(got, expected)| got != expected).count();
        self.levels[0] += apart;
        self.levels[1] += got.len();
        Ok(())
    }

    /// Refuses logits beyond the tolerance, and any difference of a split map.
    ///
    /// # Errors
    /// The difference.
    pub fn check(&self) -> Result<()> {
        ensure!(
            self.logit <= TOLERANCE && self.levels[0] == 0,
            "the packed edge differs from its graph: {self}"
        );
        Ok(())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { pictures, logit, levels: [apart, all] } = self;
        write!(
            f,
            "logits differ by {logit:.1e} at most and {apart} of {all} levels of the split, over {pictures} pictures and all backends"
        )
    }
}

/// The bytes of a hexadecimal text.
fn bytes(hex: &str) -> Result<Vec<u8>> {
    let digits = hex.as_bytes().chunks(2).map(|pair| {
        let pair = std::str::from_utf8(pair).context("not hexadecimal")?;
        u8::from_str_radix(pair, 16).context("not hexadecimal")
    });
    digits.collect()
}
