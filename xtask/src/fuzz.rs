//! `cargo xtask fuzz`: fuzzes every parser of untrusted bytes.

use anyhow::{Result, bail};

use crate::{root, step, target, tools};

/// The fuzz targets in xtask/fuzz.
const TARGETS: [&str; 7] = ["frame", "coding", "manifest", "fog", "picture", "mjpeg", "mqtt"];

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Options {
    /// frame, coding, manifest, fog, picture, mjpeg or mqtt [default: all, one after the other].
    target: Option<String>,
    /// Seconds per target.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Afterwards, minimise the corpus: keep only inputs that reach code no other input does.
    #[arg(long)]
    minimise: bool,
}

/// Installs cargo-fuzz and fuzzes. Starts from the corpus in xtask/fuzz/corpus and adds to it.
pub fn run(options: &Options) -> Result<()> {
    let chosen: Vec<&str> = match options.target.as_deref() {
        None => TARGETS.to_vec(),
        Some(name) if TARGETS.contains(&name) => vec![name],
        Some(name) => bail!("unknown target '{name}': use one of {}", TARGETS.join(", ")),
    };
    let cargo_fuzz = tools::cargo_fuzz()?;
    let fuzz = |arguments: &[&str]| {
        let mut fuzz = step::command(&cargo_fuzz, &["fuzz"]);
        // libFuzzer's instrumentation is a nightly option; this lets the stable compiler accept it.
        fuzz.args(arguments)
            .env("RUSTC_BOOTSTRAP", "1")
            .env("CARGO_TARGET_DIR", target().join("fuzz"));
        fuzz.current_dir(root().join("xtask"));
        fuzz
    };
    for name in chosen {
        step::run(&format!("building {name}"), &mut fuzz(&["build", name]))?;
        let time = format!("-max_total_time={}", options.seconds);
        let title = format!("fuzzing {name} for {} s", options.seconds);
        let text =
            step::run(&title, &mut fuzz(&["run", name, "--", &time, "-print_final_stats=1"]))?;
        let runs =
            text.lines().find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
        println!("{name}: {} inputs, no failures", runs.unwrap_or(" ?").trim());
        if options.minimise {
            // Count reached code only, not how often it ran: a third of the files.
            let title = format!("minimising the corpus of {name}");
            step::run(&title, &mut fuzz(&["cmin", name, "--", "-use_counters=0"]))?;
        }
    }
    Ok(())
}
