//! `cargo xtask test`: all checks and tests, as CI runs them.

use std::env::consts::EXE_SUFFIX;
use std::path::Path;
use std::process::Command;
use std::thread;

use anyhow::{Context, Result};

use crate::demo;
use crate::engines::{RELAXED, SIMD};
use crate::stack::Stack;
use crate::tally::Tally;
use crate::{root, step, target, tools};

/// Options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Only run what needs no local stack, browser, WebAssembly or PyTorch.
    #[arg(long)]
    quick: bool,
    /// Only run the gateway's soak test (minutes): 10,000 pictures while the cloud is killed and restarted.
    #[arg(long, conflicts_with = "quick")]
    soak: bool,
}

/// Runs all checks and tests. Fails if any of them does.
pub fn run(options: &Options) -> Result<()> {
    tools::targets()?;
    tools::nextest()?;
    if options.soak {
        return soak();
    }
    let mut tally = Tally::default();
    thread::scope(|scope| {
        if !options.quick {
            scope.spawn(install);
        }
        checks(&mut tally);
        native(&mut tally);
        figures(&mut tally);
    });
    if !options.quick {
        dependencies(&mut tally);
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
    tally.close()
}

/// Installs what later steps need, in parallel with the first ones. If this fails, those steps report what is missing.
fn install() {
    let _ = tools::recipe();
    let _ = tools::ruff();
    let _ = tools::infra();
    let _ = tools::cargo_lambda();
    let _ = tools::wasmtime();
    let _ = tools::page();
    let _ = tools::browser_or_install();
    let _ = tools::wasm_pack();
    let _ = tools::cargo_deny();
}

fn checks(tally: &mut Tally) {
    tally.check("formatting", &mut step::cargo(&["fmt", "--all", "--check"]));
    let deny = ["--", "-D", "warnings"];
    let clippy = |arguments: &[&str]| step::cargo(&[&["clippy"], arguments, &deny[..]].concat());
    tally.check(
        "clippy, native",
        &mut clippy(&[
            "--workspace",
            "--all-targets",
            "--features",
            "fogline-cloud/profile,fogline-gateway/stack,xtask/stack",
        ]),
    );
    let mut browser =
        clippy(&["--package", "fogline-edge", "--lib", "--target", "wasm32-unknown-unknown"]);
    tally.check("clippy, browser", browser.env("RUSTFLAGS", SIMD));
    let mut gateway = clippy(&["--package", "fogline-gateway", "--target", "wasm32-wasip2"]);
    tally.check("clippy, gateway", gateway.env("RUSTFLAGS", SIMD));
}

/// Checks licences, bans, sources and advisories of the dependencies.
fn dependencies(tally: &mut Tally) {
    match tools::cargo_deny() {
        Ok(deny) => {
            let checks = ["check", "bans", "licenses", "sources"];
            tally.check(
                "licences, bans and sources of dependencies",
                &mut step::command(deny, &checks),
            );
            advisories(tally);
        }
        Err(error) => tally.fail("cargo-deny", &error),
    }
}

/// Checks security advisories. If their database cannot be downloaded, says so instead of failing.
fn advisories(tally: &mut Tally) {
    let name = "security advisories of dependencies";
    let mut check = step::command(tools::program("cargo-deny"), &["check", "advisories"]);
    match step::run(name, &mut check) {
        Ok(_) => tally.pass(),
        Err(_) if step::log(name).contains("failed to fetch advisory database") => {
            step::say("  skipped: the advisory database could not be downloaded");
        }
        Err(error) => tally.fail(name, &error),
    }
}

fn native(tally: &mut Tally) {
    let mut tests = nextest(&["--workspace"]);
    tally.nextest("unit, property and contract tests", &mut tests);
    // rustdoc's runner writes no results file, so all its tests count as one.
    let mut examples = step::cargo(&["test", "--doc", "--workspace"]);
    tally.check("examples in the documentation", &mut examples);
}

/// A `cargo nextest run` with these arguments.
fn nextest(arguments: &[&str]) -> Command {
    let mut run = step::cargo(&["nextest", "run", "--no-fail-fast"]);
    run.args(arguments).env("PATH", tools::path());
    run
}

/// The engine's test suite that every target and WebAssembly engine runs: first of kernels, then of the rest.
const ENGINE_SUITE: [&str; 12] = [
    "--test", "layers", "--test", "fused", "--test", "golden", "--test", "maps", "--test",
    "memory", "--test", "scaling",
];
/// Relaxed SIMD changes kernels alone.
const KERNELS: usize = 6;

/// Runs the kernels' tests, the edge's and the cloud's, on 64-bit Arm, if QEMU is installed.
fn arm(tally: &mut Tally) {
    const TRIPLE: &str = "aarch64-unknown-linux-musl";
    const QEMU: &str = "qemu-aarch64";
    if Command::new(QEMU).arg("--version").output().is_err() {
        eprintln!("  skipped: kernels on 64-bit Arm, which need {QEMU} (Debian package qemu-user)");
        return;
    }
    if let Err(error) = tools::add_target(TRIPLE) {
        return tally.fail("kernels on 64-bit Arm", &error);
    }
    for (name, package, suite) in [
        ("engine suite on 64-bit Arm", "fogline-edge", &ENGINE_SUITE[..]),
        ("Winograd convolutions on 64-bit Arm", "fogline-winograd", &[]),
    ] {
        let mut tests = nextest(&["--package", package, "--target", TRIPLE]);
        tests.args(suite);
        tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER", "rust-lld");
        tests.env("CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_RUNNER", QEMU);
        tally.nextest(name, &mut tests);
    }
}

/// Checks that the figures in docs and model cards match the reports.
fn figures(tally: &mut Tally) {
    let name = "figures of docs and model cards";
    match step::build() {
        Ok(()) => {
            let measure = target().join("debug/fogline-measure");
            tally.check(name, &mut step::command(measure, &["figures", "--check"]));
        }
        Err(error) => tally.fail(name, &error),
    }
}

/// Runs the engine's test suite in Node and wasmtime, with the SIMD features of the page's and the gateway's builds.
fn web_assembly(tally: &mut Tally) -> Result<()> {
    tools::wasm_pack()?;
    let wasmtime = tools::wasmtime()?;
    let node = tools::program("wasm-bindgen-test-runner").display().to_string();
    let wasmtime = format!("{} run -S http --dir .", wasmtime.display());
    let engines = [
        ("Node", "wasm32-unknown-unknown", &node, SIMD, &ENGINE_SUITE[..]),
        (
            "Node, with relaxed SIMD",
            "wasm32-unknown-unknown",
            &node,
            RELAXED,
            &ENGINE_SUITE[..KERNELS],
        ),
        ("wasmtime", "wasm32-wasip2", &wasmtime, SIMD, &ENGINE_SUITE),
        (
            "wasmtime, with relaxed SIMD",
            "wasm32-wasip2",
            &wasmtime,
            RELAXED,
            &ENGINE_SUITE[..KERNELS],
        ),
    ];
    for (engine, triple, runner, features, suite) in engines {
        let mut test = nextest(&["--package", "fogline-edge", "--cargo-profile", "wasm-test"]);
        let variable = format!("CARGO_TARGET_{}_RUNNER", triple.to_uppercase().replace('-', "_"));
        test.args(suite).args(["--target", triple]);
        test.env(variable, runner).env("RUSTFLAGS", features).env("NODE_ARGS", relaxed_options());
        tally.nextest(&format!("engine suite in {engine}"), &mut test);
    }
    Ok(())
}

/// Node's options for relaxed SIMD. Node 20 rejects such modules without the first option, and its baseline compiler
/// (Liftoff) computes the dot product wrong without the second. Newer versions do not start with options they do not
/// know.
fn relaxed_options() -> &'static str {
    const NEEDED: &str = "--experimental-wasm-relaxed-simd";
    let known = Command::new("node").arg("--v8-options").output();
    let needed = known.is_ok_and(|out| String::from_utf8_lossy(&out.stdout).contains(NEEDED));
    if needed { "--experimental-wasm-relaxed-simd,--no-liftoff" } else { "" }
}

/// Lints all Python and tests the recipe.
fn recipe(tally: &mut Tally) -> Result<()> {
    tally.check("all Python, linted", &mut step::command(tools::ruff()?, &["check"]));
    let mut tests = step::command(tools::recipe()?, &["-m", "pytest", "tests"]);
    pytest(
        tally,
        "the recipe (trains small pairs, takes minutes)",
        tests.current_dir(root().join("onnx-models/recipe")),
    );
    let mut examples = step::command(tools::recipe()?, &["-m", "tests.zoo", "examples"]);
    // Not the running program: the tests above may have linked it anew.
    examples.arg("--xtask").arg(target().join("debug").join(format!("xtask{EXE_SUFFIX}")));
    examples.arg("--out").arg(target().join("xtask/zoo"));
    tally.check(
        "Brevitas's example networks, packed and compared with their graphs",
        examples.current_dir(root().join("onnx-models/recipe")),
    );
    Ok(())
}

/// Tests the CloudFormation template in a local emulation, and checks CI's workflows.
fn infra(tally: &mut Tally) -> Result<()> {
    let mut tests = step::command(tools::infra()?, &["-m", "pytest", "infra/tests"]);
    pytest(tally, "the template and the workflows", &mut tests);
    Ok(())
}

/// Runs a test suite with pytest.
fn pytest(tally: &mut Tally, name: &str, tests: &mut Command) {
    let report = target().join("xtask/pytest.xml");
    tests.args(["-p", "no:cacheprovider", "--junit-xml"]).arg(&report);
    tally.suite(name, tests, &report);
}

/// Tests the page, the component, the function and the store together.
fn whole_way(tally: &mut Tally) -> Result<()> {
    demo::build()?;
    let mut types = step::command("npm", &["run", "check"]);
    tally.check("the page's types", types.current_dir(root().join("web-demo")));
    let browser = tools::browser_or_install()?;
    let mut plain = nextest(&["--package", "xtask", "--features", "stack", "--test", "demo"]);
    plain.env("FOGLINE_RECIPE_PYTHON", tools::recipe()?);
    tally.nextest(
        "the demo, and a newly trained pair from pictures to page (takes minutes)",
        // One at a time: two stacks at once would slow each other down on a small machine.
        plain.args(["--test-threads", "1"]),
    );
    let stack = Stack::start(None, &root().join("onnx-models"), None)?;
    let mut gateway = gateway(&stack)?;
    tally.nextest("the component under wasmtime, with the function and the store", &mut gateway);
    page(tally, &stack, &browser);
    let mut budget =
        step::command("node", &["web-demo/tests/budget.mjs", &stack.at.page, "--sizes"]);
    tally.check("what the page downloads", budget.env("FOGLINE_BROWSER", browser));
    Ok(())
}

/// Runs the page's tests against this stack.
fn page(tally: &mut Tally, stack: &Stack, browser: &Path) {
    let report = target().join("xtask/node.xml");
    let mut tests = step::command("npm", &["test"]);
    tests.current_dir(root().join("web-demo"));
    tests.env("FOGLINE_PAGE", &stack.at.page).env("FOGLINE_BROWSER", browser);
    // One destination per reporter, in the same order.
    let reporters = format!(
        "--test-reporter=junit --test-reporter-destination=\"{}\" \
         --test-reporter=spec --test-reporter-destination=stdout",
        report.display()
    );
    tests.env("NODE_OPTIONS", reporters);
    tally.suite("the page in Chromium, with the function and the store", &mut tests, &report);
}

/// The command that runs the component's tests against this stack.
fn gateway(stack: &Stack) -> Result<Command> {
    // Compile it to machine code once; every test would otherwise spend seconds on it.
    let machine_code = target().join("xtask/fogline.cwasm");
    let mut compile = step::command(tools::wasmtime()?, &["compile", "--output"]);
    compile.arg(&machine_code).arg(demo::component());
    step::run("compiling the component for its tests", &mut compile)?;
    let mut tests = nextest(&["--package", "fogline-gateway", "--features", "stack"]);
    tests
        .args(["--test", "gateway"])
        .env("FOGLINE_WASMTIME", tools::wasmtime()?)
        .env("FOGLINE_COMPONENT", machine_code)
        .env("FOGLINE_MODEL", &stack.at.model)
        .env("FOGLINE_CLOUD", &stack.at.function)
        .env("FOGLINE_MOSQUITTO", tools::mosquitto()?);
    Ok(tests)
}

/// Runs the component's soak test.
fn soak() -> Result<()> {
    demo::build()?;
    let stack = Stack::start(None, &root().join("onnx-models"), None)?;
    let mut tests = gateway(&stack)?;
    tests.args(["--run-ignored", "only", "--no-capture"]);
    let function = stack.at.function_pid.context("the stack did not start the function itself")?;
    tests.env("FOGLINE_FUNCTION_PID", function.to_string());
    let text = step::run("10,000 pictures, the cloud killed and restarted midway", &mut tests)?;
    let measured = |line: &&str| line.contains(" pictures: ") || line.contains(" cameras: ");
    text.lines().filter(measured).for_each(|line| println!("{line}"));
    Ok(())
}
