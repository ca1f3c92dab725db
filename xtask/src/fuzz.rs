//! `cargo xtask fuzz`: hostile bytes for everything that parses them.

use anyhow::{Result, bail};

use crate::{root, step, target, tools};

/// What is fuzzed, as xtask/fuzz names it.
const TARGETS: [&str; 4] = ["frame", "manifest", "fog", "picture"];

/// Options of `cargo xtask fuzz`.
#[derive(clap::Args)]
pub struct Options {
    /// frame, manifest, fog or picture [default: one after the other].
    target: Option<String>,
    /// How long each is fuzzed.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Afterwards, keep of the corpus only what reaches code that nothing else in it does.
    #[arg(long)]
    minimise: bool,
}

/// Installs cargo-fuzz, then fuzzes from the corpus in xtask/fuzz/corpus and adds to it.
pub fn run(options: &Options) -> Result<()> {
    let chosen: Vec<&str> = match options.target.as_deref() {
        None => TARGETS.to_vec(),
        Some(name) if TARGETS.contains(&name) => vec![name],
        Some(name) => bail!("'{name}' is none of {}", TARGETS.join(", ")),
    };
    let cargo_fuzz = tools::cargo_fuzz()?;
    let fuzz = |arguments: &[&str]| {
        let mut fuzz = step::command(&cargo_fuzz, &["fuzz"]);
        // libFuzzer's instrumentation is a nightly option of a compiler that is the same otherwise.
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
        println!("{name}: {} inputs, no finding", runs.unwrap_or(" ?").trim());
        if options.minimise {
            // Of code alone, not of how often it ran: a third of the files.
            let title = format!("minimising the corpus of {name}");
            step::run(&title, &mut fuzz(&["cmin", name, "--", "-use_counters=0"]))?;
        }
    }
    Ok(())
}
