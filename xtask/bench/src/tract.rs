//! Times tract on the models of `fogline_recipe peers`; an executable, native and for wasmtime.
//!
//! `fogline-bench-tract SAMPLES SEED FOLDER SIZE`: SIZE is the side of the edge's pictures.

use std::path::Path;

use fogline_bench::Random;
use fogline_bench::clock::{Case, print_samples};
use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor, TractResult, tvec,
};

fn main() -> TractResult<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, samples, seed, folder, size] = &arguments[..] else {
        panic!("usage: fogline-bench-tract SAMPLES SEED FOLDER SIZE");
    };
    let (folder, seed) = (Path::new(folder), seed.parse()?);
    let mut cases = vec![];
    for (side, channels) in [(28_usize, 128_usize), (14, 256)] {
        let name = format!("3x3 {channels}-{channels} {side}x{side}");
        let macs = (side * side * channels * channels * 9) as f64;
        let file = folder.join(format!("conv-{side}-{channels}-f32.onnx"));
        cases.push(case(name, macs, &file, [1, channels, side, side], seed)?);
    }
    let size = size.parse()?;
    cases.push(case("edge".into(), 0.0, &folder.join("edge-f32.onnx"), [1, 3, size, size], seed)?);
    print_samples(samples.parse()?, cases);
    Ok(())
}

fn case(name: String, macs: f64, file: &Path, shape: [usize; 4], seed: u32) -> TractResult<Case> {
    let plan = tract_onnx::onnx()
        .model_for_path(file)?
        .with_input_fact(0, f32::fact(shape).into())?
        .into_optimized()?
        .into_runnable()?;
    let mut random = Random::new(seed);
    let data: Vec<f32> = (0..shape.iter().product()).map(|_| random.real()).collect();
    let input = Tensor::from_shape(&shape, &data)?;
    Ok(Case::new(name, macs, move |times| {
        for _ in 0..times {
            let output = plan.run(tvec!(input.clone().into())).expect("it ran when it was built");
            core::hint::black_box(output);
        }
    }))
}
