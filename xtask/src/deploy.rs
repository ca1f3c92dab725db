//! `cargo xtask deploy`, `rollback` and `destroy`: manage a stage of Fogline on AWS through command-line tools.
//!
//! Nothing here talks to AWS directly. Every command is printed before it runs; `--dry-run` prints all of them and runs
//! none. The values of `${…}` come from the environment or from the output of an earlier command.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use fogline::manifest::{Manifest, sha256_hex};
use serde_json::json;

use crate::call::{Call, Known, Learn, run};
use crate::root;

/// The stage, and whether to run the commands.
#[derive(clap::Args)]
pub struct Stage {
    /// The stage's name; its CloudFormation stack is fogline-NAME.
    #[arg(long = "stage", value_name = "NAME", value_parser = stage)]
    name: String,
    /// Print every command and run none; needs no AWS account.
    #[arg(long)]
    dry_run: bool,
}

/// Options of `cargo xtask deploy`.
#[derive(clap::Args)]
#[command(
    after_help = "AWS credentials come from AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and, for temporary credentials, \
        AWS_SESSION_TOKEN. With --auth token, FOGLINE_TOKEN is the token that devices send; only its SHA-256 goes to AWS."
)]
pub struct Options {
    #[command(flatten)]
    stage: Stage,
    /// The pair to publish, and the one the page opens with.
    #[arg(long, value_name = "DIR", default_value = "onnx-models/cifar10-w1/3.2.0")]
    pair: PathBuf,
    /// Processor architecture of the function.
    #[arg(long, default_value = "arm64", value_parser = ["arm64", "x86_64"])]
    architecture: String,
    /// Authentication: a bearer token, or requests signed with AWS credentials.
    #[arg(long, default_value = "token", value_parser = ["token", "iam"])]
    auth: String,
    /// The SHA-256 of another accepted token, such as the old one while devices switch over; may be repeated.
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    also: Vec<String>,
    /// Set another parameter of the template, such as Memory=3008; may be repeated.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<String>,
}

/// Options of `cargo xtask rollback`.
#[derive(clap::Args)]
pub struct Rollback {
    #[command(flatten)]
    stage: Stage,
    /// The version to make live [default: the one before the live one, even if you rolled back from it].
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
}

/// Options of `cargo xtask destroy`.
#[derive(clap::Args)]
pub struct Destroy {
    #[command(flatten)]
    stage: Stage,
    /// Do not ask for confirmation.
    #[arg(long)]
    yes: bool,
}

/// Deploys the function, the pair and the page, then has the function classify a picture.
pub fn deploy(options: &Options) -> Result<()> {
    let path = root().join(&options.pair).join("manifest.json");
    let manifest = fs::read(&path).with_context(|| path.display().to_string())?;
    let manifest = Manifest::parse(&manifest).with_context(|| path.display().to_string())?;
    let mut known = Known::default();
    if !options.stage.dry_run {
        known = Known::from_env()?;
        known.set("Release", SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs().to_string());
        if options.auth == "token" {
            known.set("TokenSha256", tokens(&options.also)?);
        }
    }
    let stage = &options.stage;
    if let Err(error) = run(&calls(options, &manifest), &mut known, stage.dry_run) {
        if known.has("FunctionUrl") {
            eprintln!(
                "the new function is already live; `cargo xtask rollback --stage {}` returns to the previous version",
                stage.name
            );
        }
        return Err(error);
    }
    for (parameter, deaf) in
        [("AlarmTopic", "alarms notify nobody"), ("BudgetMail", "budget warnings go to nobody")]
    {
        if !options.parameters.iter().any(|set| set.starts_with(&format!("{parameter}="))) {
            println!("\n{deaf}, unless {parameter} is already set: --set {parameter}=…");
        }
    }
    println!("\npage      {}", known.fill("${PageUrl}"));
    println!("function  {}", known.fill("${FunctionUrl}"));
    Ok(())
}

fn calls(options: &Options, manifest: &Manifest) -> Vec<Call> {
    let stack = &options.stage.name;
    let pair = options.pair.display();
    let place = format!("models/{}/{}", manifest.name, manifest.version);
    let (flag, triple) = match options.architecture.as_str() {
        "arm64" => ("--arm64", "aarch64-unknown-linux-gnu"),
        _ => ("--x86-64", "x86_64-unknown-linux-gnu"),
    };
    let mut parameters = vec![
        "Release=${Release}".to_owned(),
        format!("Architecture={}", options.architecture),
        format!("Auth={}", options.auth),
        format!("Preload={}/{}", manifest.name, manifest.version),
    ];
    if options.auth == "token" {
        parameters.push("TokenSha256=${TokenSha256}".into());
    }
    parameters.extend(options.parameters.iter().cloned());
    let config = json!({
        "models": [format!("{place}/manifest.json")], "model": format!("{place}/manifest.json"), "cloud": "${FunctionUrl}",
    });
    let never_sure = vec!["-1"; manifest.exits.len()].join(",");
    let proof = if options.auth == "token" { "--env FOGLINE_TOKEN" } else { KEYS };
    let iam = if options.auth == "iam" { " --iam" } else { "" };
    vec![
        Call::new(
            "show the AWS identity in use",
            "aws sts get-caller-identity --region ${AWS_REGION}",
        ),
        Call::new(
            "check that edge and function can load the pair: a published version never changes",
            &format!("cargo xtask publish {pair} --check"),
        ),
        Call::new(
            "install Rust's standard library for Lambda's processor",
            &format!("rustup target add {triple}"),
        ),
        Call::new(
            "build the function where the template expects it",
            &format!(
                "cargo lambda build --release {flag} --output-format zip --package fogline-cloud"
            ),
        ),
        Call::new("build the page and its engines", "cargo xtask engine"),
        Call::new("build the gateway component for the last step", "cargo xtask component"),
        Call::new(
            "create or update buckets, function, page and alarms",
            &format!(
                "sam deploy --region ${{AWS_REGION}} --stack-name fogline-{stack} --template infra/template.yaml --resolve-s3 \
                 --capabilities CAPABILITY_IAM --no-confirm-changeset --parameter-overrides {}",
                parameters.join(" ")
            ),
        ),
        outputs(stack),
        Call::new(
            "publish the pair unless it is already there",
            &format!("cargo xtask publish {pair} --bucket ${{ModelsBucket}} --unless-there"),
        ),
        Call::new(
            "upload the files that devices download; cached for a year",
            &format!(
                "aws s3 sync {pair} s3://${{SiteBucket}}/{place} --region ${{AWS_REGION}} --exclude * --include manifest.json \
                 --include edge.fog --include samples/* --cache-control max-age=31536000,immutable"
            ),
        ),
        Call::new(
            "upload the engines; open pages keep the files they have",
            "aws s3 cp edge-wasm/pkg s3://${SiteBucket}/pkg --recursive --region ${AWS_REGION} --cache-control no-cache",
        ),
        Call::new(
            "upload the page's configuration",
            "aws s3 cp - s3://${SiteBucket}/config.json --region ${AWS_REGION} \
             --cache-control no-cache --content-type application/json",
        )
        .fed(config.to_string()),
        Call::new(
            "upload the page",
            "aws s3 cp target/page s3://${SiteBucket} --recursive --region ${AWS_REGION} --cache-control no-cache",
        ),
        Call::new(
            "check that the page is served",
            "curl --fail --silent --show-error --retry 5 ${PageUrl}/config.json",
        ),
        Call::new(
            "check that the function answers a picture; no exit may answer it",
            &format!(
                "wasmtime run -S http --dir . {proof} target/wasm32-wasip2/component/fogline.wasm classify \
                 web-demo/samples/frog.png --model {pair} --cloud ${{FunctionUrl}}{iam} --policy entropy \
                 --thresholds={never_sure} --deadline 60 --strict"
            ),
        ),
    ]
}

/// wasmtime options that pass the AWS credentials on to the component.
const KEYS: &str =
    "--env AWS_REGION --env AWS_ACCESS_KEY_ID --env AWS_SECRET_ACCESS_KEY --env AWS_SESSION_TOKEN";

fn outputs(stack: &str) -> Call {
    Call::new(
        "read FunctionName, FunctionUrl, ModelsBucket, SiteBucket and PageUrl",
        &format!(
            "aws cloudformation describe-stacks --region ${{AWS_REGION}} --stack-name fogline-{stack} --output text --query"
        ),
    )
    .and("Stacks[0].Outputs[].[OutputKey,OutputValue]")
    .learning(Learn::Outputs)
}

/// Makes the previous version of the function, or the named one, live.
pub fn rollback(options: &Rollback) -> Result<()> {
    let Rollback { stage, to } = options;
    let mut known = if stage.dry_run { Known::default() } else { Known::from_env()? };
    let function = "--region ${AWS_REGION} --function-name ${FunctionName}";
    let calls = [
        outputs(&stage.name),
        Call::new(
            "read Live, the live version",
            &format!(
                "aws lambda get-alias {function} --name live --output text --query FunctionVersion"
            ),
        )
        .learning(Learn::Live),
        Call::new(
            "read Before, the version to roll back to",
            &format!("aws lambda list-versions-by-function {function} --output text --query"),
        )
        .and("Versions[].[Version]")
        .learning(Learn::Before { named: *to }),
        Call::new(
            "make it live, with the code, settings and tokens it was deployed with",
            &format!(
                "aws lambda update-alias {function} --name live --function-version ${{Before}}"
            ),
        ),
    ];
    run(&calls, &mut known, stage.dry_run)?;
    println!(
        "\n{}",
        known.fill("version ${Before} is live instead of ${Live}, until the next deployment")
    );
    println!(
        "tokens revoked since that version are valid again, and newer ones are not: to change that, deploy again"
    );
    println!(
        "pairs and the page are not rolled back: to return to an older page, deploy its commit"
    );
    Ok(())
}

/// Deletes a stage, except for its buckets.
pub fn destroy(options: &Destroy) -> Result<()> {
    let stage = &options.stage;
    let mut known = if stage.dry_run { Known::default() } else { Known::from_env()? };
    let stack = format!("--region ${{AWS_REGION}} --stack-name fogline-{}", stage.name);
    let calls = [
        outputs(&stage.name),
        Call::new(
            "delete everything except the buckets",
            &format!("aws cloudformation delete-stack {stack}"),
        ),
        Call::new(
            "wait for the deletion; CloudFront takes minutes",
            &format!("aws cloudformation wait stack-delete-complete {stack}"),
        ),
    ];
    if !stage.dry_run && !options.yes {
        eprint!(
            "This deletes fogline-{}, which devices and pages may still be using. Type the stage's name to confirm: ",
            stage.name
        );
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        ensure!(answer.trim() == stage.name, "the name does not match; nothing was deleted");
    }
    run(&calls, &mut known, stage.dry_run)?;
    println!(
        "\n{}",
        known
            .fill("kept, because devices may still need them: the buckets ${ModelsBucket} and ${SiteBucket}")
    );
    Ok(())
}

/// The SHA-256 of each accepted token, separated by commas.
fn tokens(also: &[String]) -> Result<String> {
    let token = env::var("FOGLINE_TOKEN").unwrap_or_default();
    ensure!(
        token.len() >= 32 && token.chars().all(|c| c.is_ascii_graphic()),
        "set FOGLINE_TOKEN, the token that devices send, to 32 or more random characters, such as the output of \
         `openssl rand -hex 32`"
    );
    Ok([&[sha256_hex(token.as_bytes())][..], also].concat().join(","))
}

fn stage(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(plain)
        && text.len() <= 32
    {
        return Ok(text.into());
    }
    Err("a stage's name is up to 32 lower-case letters, digits and hyphens, starting with a letter"
        .into())
}

fn digest(text: &str) -> Result<String, String> {
    if ["", "\n"].iter().any(|empty| sha256_hex(empty.as_bytes()) == text) {
        return Err(
            "that is the SHA-256 of an empty token: was the variable that holds the token set?"
                .into(),
        );
    }
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
        return Ok(text.into());
    }
    Err("a SHA-256 has 64 lower-case hexadecimal digits; give the digest, never the token itself"
        .into())
}

fn parameter(text: &str) -> Result<String, String> {
    let named = text.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric())
    });
    let plain = text.chars().all(|c| c.is_ascii_graphic() && !"\"'\\$".contains(c));
    if named && plain {
        Ok(text.into())
    } else {
        Err(format!("'{text}' is not of the form NAME=VALUE without spaces and quotes"))
    }
}
