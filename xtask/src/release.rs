//! `cargo xtask release`: builds the release files, their SBOMs and checksums.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use fogline::manifest::sha256_hex;

use crate::{demo, engines, oci, root, step, target, tools};

/// Options of `cargo xtask release`.
#[derive(clap::Args)]
pub struct Options {
    /// Only build and test the function's zips, for both processor architectures.
    #[arg(long)]
    zips: bool,
}

/// Lambda's architectures: cargo-lambda's flag, the name in file names, and the emulator that runs it elsewhere.
const PROCESSORS: [(&str, &str, Option<&str>); 2] =
    [("--x86-64", "x86_64", None), ("--arm64", "arm64", Some("qemu-aarch64"))];

/// Unpacks the program with its permissions, as Lambda does; `python3 -m zipfile` drops them.
const UNPACK: &str = "\
import os, sys, zipfile
zip = zipfile.ZipFile(sys.argv[1])
program = zip.getinfo('bootstrap')
os.chmod(zip.extract(program, sys.argv[2]), program.external_attr >> 16)
";

/// Builds and tests the release files in target/release-files and writes their SBOMs and checksums.
pub fn run(options: &Options) -> Result<()> {
    let folder = target().join("release-files");
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder)?;
    for (flag, name, runner) in PROCESSORS {
        function(&folder, flag, name, runner)?;
    }
    if !options.zips {
        tools::targets()?;
        demo::build_component()?;
        let component = fs::read(demo::component())?;
        fs::write(folder.join("fogline-gateway.wasm"), &component)?;
        oci::write(&component, oci::created()?, &folder.join("fogline-gateway.oci"))?;
        engines::build()?;
        let mut pack = step::command("npm", &["pack", "./edge-wasm/pkg", "--pack-destination"]);
        step::run("packing the browser package", pack.arg(&folder))?;
        contents(&folder)?;
    }
    sums(&folder)
}

/// Builds the function's zip for one architecture, and checks that the program in it answers an event.
fn function(folder: &Path, flag: &str, name: &str, runner: Option<&str>) -> Result<()> {
    let cargo_lambda = tools::cargo_lambda_with_zig()?;
    if flag == "--arm64" {
        tools::add_target("aarch64-unknown-linux-gnu")?;
    }
    let built = target().join("lambda").join(name);
    let mut build = step::command(cargo_lambda, &["lambda", "build", "--release", flag]);
    build.args(["--output-format", "zip", "--package", "fogline-cloud", "--lambda-dir"]);
    build.arg(&built).env("PATH", tools::path());
    step::run(&format!("building the function for {name} (takes minutes)"), &mut build)?;
    let zip = built.join("fogline-cloud/bootstrap.zip");
    fs::copy(&zip, folder.join(format!("fogline-function-{name}.zip")))?;
    step::build()?;
    let mut unpack = step::command("python3", &["-c", UNPACK]);
    step::run(&format!("unpacking the function for {name}"), unpack.arg(&zip).arg(&built))?;
    let mut answer = step::command(target().join("debug/fogline-measure"), &["try-function"]);
    answer.arg(built.join("bootstrap"));
    if let Some(runner) = runner.filter(|_| std::env::consts::ARCH != "aarch64") {
        let path = on_path(runner).with_context(|| {
            format!(
                "{runner} is needed to test the function for {name}; install Debian's packages qemu-user, libc6-arm64-cross, \
                     libgcc-s1-arm64-cross"
            )
        })?;
        answer.arg("--runner").arg(path);
    }
    let said = step::run(&format!("sending an event to the function for {name}"), &mut answer)?;
    print!("{said}");
    Ok(())
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Writes the SBOMs: CycloneDX lists of all crates and npm packages, build tools included.
fn contents(folder: &Path) -> Result<()> {
    let lists = [
        ("fogline-rust.cdx.json", {
            let mut sbom = step::command(tools::cargo_sbom()?, &["sbom"]);
            sbom.args(["--output-format", "cyclone_dx_json_1_4"]);
            sbom
        }),
        ("fogline-page.cdx.json", {
            let mut sbom = step::command(
                "npm",
                &["sbom", "--sbom-format", "cyclonedx", "--package-lock-only"],
            );
            sbom.current_dir(root().join("web-demo"));
            sbom
        }),
    ];
    for (name, mut list) in lists {
        let path = folder.join(name);
        let status = list.stdout(File::create(&path)?).status()?;
        let text = fs::read(&path)?;
        let listed: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        let count = listed["components"].as_array().map_or(0, Vec::len);
        ensure!(
            status.success() && count > 0,
            "{name} lists nothing: the tool that writes it ended with {status}"
        );
        eprintln!("✓ {name}  {count} packages");
    }
    Ok(())
}

/// Writes SHA256SUMS in the format of `sha256sum --check`.
fn sums(folder: &Path) -> Result<()> {
    let mut lines = files(folder)?
        .iter()
        .map(|file| {
            let name = file.strip_prefix(folder)?.display();
            Ok(format!("{}  {name}\n", sha256_hex(&fs::read(file)?)))
        })
        .collect::<Result<Vec<_>>>()?;
    lines.sort_by(|a, b| a[64..].cmp(&b[64..]));
    let text = lines.concat();
    fs::write(folder.join("SHA256SUMS"), &text)?;
    println!("{text}in {}", folder.display());
    Ok(())
}

/// Paths of all files in a folder and its folders.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![];
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(self::files(&path)?);
        } else {
            files.push(path);
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_all_files_also_in_folders() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("image/blobs")).unwrap();
        for name in ["zip", "image/blobs/b", "image/a"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        sums(folder.path()).unwrap();
        let line = |name: &str| format!("{}  {name}\n", sha256_hex(name.as_bytes()));
        let written = fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
        assert_eq!(written, ["image/a", "image/blobs/b", "zip"].map(line).concat());
    }
}
