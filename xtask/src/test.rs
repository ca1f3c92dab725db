//! `cargo xtask test`: every check and every test, as CI runs them.

use std::process::Command;

use anyhow::{Context, Result};

use crate::demo::{self, RELAXED, SIMD};
use crate::stack::Stack;
use crate::{root, step, target, tools};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Only what needs no stack, no browser, no WebAssembly and no PyTorch.
    #[arg(long)]
    quick: bool,
    /// Only the gateway's long run, for minutes: 10,000 pictures while the cloud is killed and restarted.
    #[arg(long, conflicts_with = "quick")]
    soak: bool,
}

/// Tests that passed and failed, as the runners counted them.
#[derive(Default)]
struct Tally {
    passed: u64,
    failed: u64,
    broken: Vec<String>,
}

impl Tally {
    /// Runs a step, counts the tests in its output, and goes on whatever came of it.
    fn step(&mut self, name: &str, command: &mut Command) {
        match step::run(name, command) {
            Ok(text) => {
                let (passed, failed) = count(&text);
                // A check without tests of its own counts as one.
                self.passed += if passed + failed == 0 { 1 } else { passed };
                self.failed += failed;
            }
            Err(error) => self.fail(name, &error),
        }
    }

    fn fail(&mut self, name: &str, error: &anyhow::Error) {
        eprintln!("    {error:#}");
        self.failed += 1;
        self.broken.push(name.to_owned());
    }
}

/// Runs everything; an error if anything failed.
pub fn run(options: &Options) -> Result<()> {
    tools::targets()?;
    if options.soak {
        return soak();
    }
    let mut tally = Tally::default();
    checks(&mut tally, options.quick);
    native(&mut tally);
    figures(&mut tally);
    if !options.quick {
        arm(&mut tally);
        if let Err(error) = web_assembly(&mut tally) {
            tally.fail("the engine in WebAssembly", &error);
        }
        if let Err(error) = recipe(&mut tally) {
            tally.fail("the recipe", &error);
        }
        if let Err(error) = infra(&mut tally) {
            tally.fail("the template", &error);
        }
        if let Err(error) = whole_way(&mut tally) {
            tally.fail("the whole way", &error);
        }
    }
    for name in &tally.broken {
        println!("failed: {name}");
    }
    println!("{} passed, {} failed", tally.passed, tally.failed);
    anyhow::ensure!(tally.failed == 0, "{} of the tests and checks failed", tally.failed);
    Ok(())
}

fn checks(tally: &mut Tally, quick: bool) {
    tally.step("formatting", &mut step::cargo(&["fmt", "--all", "--check"]));
    let deny = ["--", "-D", "warnings"];
    let clippy = |arguments: &[&str]| step::cargo(&[&["clippy"], arguments, &deny[..]].concat());
    tally.step(
        "clippy, native",
        &mut clippy(&[
            "--workspace",
            "--all-targets",
            "--features",
            "fogline-gateway/stack,xtask/stack",
        ]),
    );
    let mut browser =
        clippy(&["--package", "fogline-edge", "--lib", "--target", "wasm32-unknown-unknown"]);
    tally.step("clippy, browser", browser.env("RUSTFLAGS", SIMD));
    let mut gateway = clippy(&["--package", "fogline-gateway", "--target", "wasm32-wasip2"]);
    tally.step("clippy, gateway", gateway.env("RUSTFLAGS", SIMD));
    if !quick {
        match tools::cargo_deny() {
            Ok(deny) => {
                let checks = ["check", "--disable-fetch", "bans", "licenses", "sources"];
                tally.step(
                    "licences, bans and sources of dependencies",
                    &mut step::command(deny, &checks),
                );
                advisories(tally);
            }
            Err(error) => tally.fail("cargo-deny", &error),
        }
    }
}

/// Advisories need their database, which is fetched: where that cannot be, it is said, not passed over.
fn advisories(tally: &mut Tally) {
    let name = "security advisories of dependencies";
    let mut check = step::command(tools::program("cargo-deny"), &["check", "advisories"]);
    match step::run(name, &mut check) {
        Ok(_) => tally.passed += 1,
        Err(_) if step::log(name).contains("failed to fetch advisory database") => {
            eprintln!("  not judged: the advisory database could not be fetched");
        }
        Err(error) => tally.fail(name, &error),
    }
}

/// nextest where it is installed, else cargo's own runner.
fn runner() -> &'static [&'static str] {
    let nextest = Command::new("cargo").args(["nextest", "--version"]).output();
    if nextest.is_ok_and(|out| out.status.success()) {
        &["nextest", "run", "--no-fail-fast"]
    } else {
        &["test"]
    }
}

fn native(tally: &mut Tally) {
    tally.step(
        "unit, property and contract tests",
        &mut step::cargo(&[runner(), &["--workspace"]].concat()),
    );
    tally
        .step("examples in the documentation", &mut step::cargo(&["test", "--doc", "--workspace"]));
}

/// The tests that every machine and engine runs.
const ENGINE_SUITE: [&str; 8] =
    ["--test", "layers", "--test", "fused", "--test", "golden", "--test", "memory"];

/// The engine's suite on 64-bit Arm, where there is something to run it.
fn arm(tally: &mut Tally) {
    const TRIPLE: &str = "aarch64-unknown-linux-musl";
    const QEMU: &str = "qemu-aarch64";
    let name = "engine suite on 64-bit Arm";
    if Command::new(QEMU).arg("--version").output().is_err() {
        eprintln!("  not judged: {name}, which needs {QEMU} (Debian's package qemu-user)");
        return;
    }
    if let Err(error) = tools::add_target(TRIPLE) {
        return tally.fail(name, &error);
    }
    let mut suite = step::cargo(&["test", "--package", "fogline-edge", "--target", TRIPLE]);
    suite.args(ENGINE_SUITE);
    suite.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
    suite.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER", QEMU);
    tally.step(name, &mut suite);
}

/// What README and model cards state is what the reports say.
fn figures(tally: &mut Tally) {
    let name = "figures of README and model cards";
    match step::build() {
        Ok(()) => {
            let measure = target().join("debug/fogline-measure");
            tally.step(name, &mut step::command(measure, &["figures", "--check"]));
        }
        Err(error) => tally.fail(name, &error),
    }
}

/// The engine's suite in Node and under wasmtime, with the SIMD that page and gateway are built with.
fn web_assembly(tally: &mut Tally) -> Result<()> {
    tools::wasm_pack()?;
    let wasmtime = tools::wasmtime()?;
    let node = tools::program("wasm-bindgen-test-runner").display().to_string();
    let wasmtime = format!("{} run -S http --dir .", wasmtime.display());
    let engines = [
        ("Node", "wasm32-unknown-unknown", &node, SIMD),
        ("Node, with relaxed SIMD", "wasm32-unknown-unknown", &node, RELAXED),
        ("wasmtime", "wasm32-wasip2", &wasmtime, SIMD),
        ("wasmtime, with relaxed SIMD", "wasm32-wasip2", &wasmtime, RELAXED),
    ];
    for (engine, triple, runner, features) in engines {
        let mut test =
            step::cargo(&["test", "--package", "fogline-edge", "--profile", "wasm-test"]);
        let variable = format!("CARGO_TARGET_{}_RUNNER", triple.to_uppercase().replace('-', "_"));
        test.args(ENGINE_SUITE).args(["--target", triple]);
        test.env(variable, runner).env("RUSTFLAGS", features).env("NODE_ARGS", relaxed_options());
        tally.step(&format!("engine suite in {engine}"), &mut test);
    }
    Ok(())
}

/// Node's options for relaxed SIMD, while it needs any: Node 20 does not read such a module without the one, and its first
/// compiler gets the dot product wrong, so that those kernels would not run without the other. No version starts
/// with an option that it does not know.
fn relaxed_options() -> &'static str {
    const NEEDED: &str = "--experimental-wasm-relaxed-simd";
    let known = Command::new("node").arg("--v8-options").output();
    let needed = known.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(NEEDED));
    if needed { "--experimental-wasm-relaxed-simd,--no-liftoff" } else { "" }
}

/// The Python that trains, calibrates and exports.
fn recipe(tally: &mut Tally) -> Result<()> {
    tally.step("all Python, linted", &mut step::command(tools::ruff()?, &["check"]));
    let mut tests =
        step::command(tools::recipe()?, &["-m", "unittest", "discover", "-s", "tests", "-t", "."]);
    tally.step("the recipe", tests.current_dir(root().join("onnx-models/recipe")));
    Ok(())
}

/// The template, translated and created where it costs nothing, and CI's workflows.
fn infra(tally: &mut Tally) -> Result<()> {
    let mut tests =
        step::command(tools::infra()?, &["-m", "unittest", "discover", "-s", "infra/tests"]);
    tally.step("the template and the workflows", &mut tests);
    Ok(())
}

/// Page, component, function and store together, on this machine.
fn whole_way(tally: &mut Tally) -> Result<()> {
    demo::build()?;
    tools::page()?;
    let mut types = step::command("npm", &["run", "check"]);
    tally.step("the page's types", types.current_dir(root().join("web-demo")));
    let browser = tools::browser_or_install()?;
    let mut plain = step::cargo(&["test", "--package", "xtask", "--features", "stack"]);
    plain.env("FOGLINE_RECIPE_PYTHON", tools::recipe()?);
    tally.step(
        "the demo, and a pair of one's own from pictures to page",
        // One after the other: two stacks at once would wait for each other on a small machine.
        plain.args(["--test", "demo", "--", "--test-threads", "1"]),
    );
    let stack = Stack::start(None, &root().join("onnx-models"), None)?;
    let mut gateway = gateway(&stack);
    tally.step("the component under wasmtime, with the function and the store", &mut gateway);
    let mut page = step::command("npm", &["test"]);
    page.current_dir(root().join("web-demo"))
        .env("FOGLINE_PAGE", &stack.at.page)
        .env("FOGLINE_BROWSER", &browser);
    tally.step("the page in Chromium, with the function and the store", &mut page);
    let mut budget =
        step::command("node", &["web-demo/tests/budget.mjs", &stack.at.page, "--sizes"]);
    tally.step("what the page downloads", budget.env("FOGLINE_BROWSER", browser));
    Ok(())
}

/// The component's tests, against this stack.
fn gateway(stack: &Stack) -> Command {
    let mut tests = step::cargo(&["test", "--package", "fogline-gateway", "--features", "stack"]);
    tests
        .args(["--test", "gateway"])
        .env("FOGLINE_WASMTIME", tools::program("wasmtime"))
        .env("FOGLINE_COMPONENT", demo::component())
        .env("FOGLINE_MODEL", &stack.at.model)
        .env("FOGLINE_CLOUD", &stack.at.function);
    tests
}

/// Those of the component's tests that take minutes.
fn soak() -> Result<()> {
    demo::build()?;
    let stack = Stack::start(None, &root().join("onnx-models"), None)?;
    let mut tests = gateway(&stack);
    tests.args(["--", "--ignored", "--nocapture"]);
    let function = stack.at.function_pid.context("the stack did not start the function itself")?;
    tests.env("FOGLINE_FUNCTION_PID", function.to_string());
    let text = step::run("10,000 pictures, the cloud killed and restarted midway", &mut tests)?;
    text.lines().filter(|line| line.contains(" pictures: ")).for_each(|line| println!("{line}"));
    Ok(())
}

/// Reads the closing lines of cargo test, nextest, wasm-bindgen's runner, Node's and Python's unittest.
fn count(text: &str) -> (u64, u64) {
    let mut sums = (0, 0);
    let number_before = |line: &str, word: &str| -> u64 {
        let words: Vec<&str> = line.split([' ', ',', ';']).filter(|w| !w.is_empty()).collect();
        let at = words.iter().position(|w| *w == word);
        at.and_then(|at| words[at.checked_sub(1)?].parse().ok()).unwrap_or(0)
    };
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("test result:")
            || (line.starts_with("Summary [") && line.contains("tests run"))
        {
            sums.0 += number_before(line, "passed");
            sums.1 += number_before(line, "failed");
        } else if let Some(rest) =
            line.strip_prefix("ℹ pass ").or_else(|| line.strip_prefix("# pass "))
        {
            sums.0 += rest.parse().unwrap_or(0);
        } else if let Some(rest) =
            line.strip_prefix("ℹ fail ").or_else(|| line.strip_prefix("# fail "))
        {
            sums.1 += rest.parse().unwrap_or(0);
        } else if let Some(rest) = line.strip_prefix("Ran ") {
            sums.0 += number_before(rest, if rest.starts_with("1 ") { "test" } else { "tests" });
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::count;

    #[test]
    fn every_runner_is_counted() {
        let cargo = "test result: ok. 13 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
        let nextest = "     Summary [   0.4s] 20 tests run: 19 passed, 1 failed, 2 skipped";
        let node = "ℹ tests 5\nℹ pass 4\nℹ fail 1";
        assert_eq!(count(cargo), (13, 0));
        assert_eq!(count(nextest), (19, 1));
        assert_eq!(count(node), (4, 1));
        assert_eq!(count(&[cargo, nextest, node].join("\n")), (36, 2));
        assert_eq!(count("Ran 18 tests in 4.849s\n\nOK"), (18, 0));
        assert_eq!(count("nothing to see"), (0, 0));
    }
}
