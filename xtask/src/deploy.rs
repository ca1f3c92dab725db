//! `cargo xtask deploy`, `rollback` and `destroy`: a stage of Fogline on AWS, as a list of command lines.
//!
//! Nothing here talks to AWS itself. Every call is printed before it runs, and `--dry-run` prints them all and runs none:
//! what stands in `${…}` is known from the environment, or from what a call before has answered.

use std::io::BufRead;
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use anyhow::{Context, Result, ensure};
use fogline::manifest::{Manifest, sha256_hex};
use serde_json::json;

use crate::call::{Call, Known, Learn, run};
use crate::root;

/// Which stage, and whether it is meant.
#[derive(clap::Args)]
pub struct Stage {
    /// The stage's name: its stack is fogline-NAME.
    #[arg(long = "stage", value_name = "NAME", value_parser = stage)]
    name: String,
    /// Print every call and run none; needs no account.
    #[arg(long)]
    dry_run: bool,
}

/// Options of `cargo xtask deploy`.
#[derive(clap::Args)]
#[command(
    after_help = "Keys come from the environment: AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN of \
        lent ones. With --auth token, FOGLINE_TOKEN is the token that edges show; AWS learns its SHA-256 alone."
)]
pub struct Options {
    #[command(flatten)]
    stage: Stage,
    /// The pair that is published and that the page opens with.
    #[arg(long, value_name = "DIR", default_value = "onnx-models/cifar10-w1/3.0.0")]
    pair: PathBuf,
    /// The function's processor.
    #[arg(long, default_value = "arm64", value_parser = ["arm64", "x86_64"])]
    architecture: String,
    /// Who may ask: whoever shows a token, or whoever signs by AWS keys.
    #[arg(long, default_value = "token", value_parser = ["token", "iam"])]
    auth: String,
    /// The SHA-256 of another token that is taken too, such as the one before, while edges change over.
    #[arg(long, value_name = "SHA256", value_parser = digest)]
    also: Vec<String>,
    /// Another parameter of the template, such as Memory=3008.
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = parameter)]
    parameters: Vec<String>,
}

/// Options of `cargo xtask rollback`.
#[derive(clap::Args)]
pub struct Rollback {
    #[command(flatten)]
    stage: Stage,
    /// The version that shall answer [default: the one before the present one, which may be one that you went back from].
    #[arg(long, value_name = "VERSION")]
    to: Option<u64>,
}

/// Options of `cargo xtask destroy`.
#[derive(clap::Args)]
pub struct Destroy {
    #[command(flatten)]
    stage: Stage,
    /// Do not ask.
    #[arg(long)]
    yes: bool,
}

/// Deploys: function, pair, page; then a picture goes all the way.
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
                "the new function answers already; cargo xtask rollback --stage {} puts the one before in its place",
                stage.name
            );
        }
        return Err(error);
    }
    for (parameter, deaf) in [
        ("AlarmTopic", "alarms ring for nobody"),
        ("BudgetMail", "spending is written of to nobody"),
    ] {
        if !options.parameters.iter().any(|set| set.starts_with(&format!("{parameter}="))) {
            println!("\n{deaf}: --set {parameter}=… changes that");
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
        Call::new("who deploys", "aws sts get-caller-identity --region ${AWS_REGION}"),
        Call::new(
            "the pair, loaded as edge and function do it: what is published stays",
            &format!("cargo xtask publish {pair} --check"),
        ),
        Call::new("Rust's library for Lambda's processor", &format!("rustup target add {triple}")),
        Call::new(
            "the function, where the template looks for it",
            &format!(
                "cargo lambda build --release {flag} --output-format zip --package fogline-cloud"
            ),
        ),
        Call::new("the page and its engines", "cargo xtask engine"),
        Call::new("the gateway, for the last step", "cargo xtask component"),
        Call::new(
            "buckets, function, page, alarms",
            &format!(
                "sam deploy --region ${{AWS_REGION}} --stack-name fogline-{stack} --template infra/template.yaml --resolve-s3 \
                 --capabilities CAPABILITY_IAM --no-confirm-changeset --parameter-overrides {}",
                parameters.join(" ")
            ),
        ),
        outputs(stack),
        Call::new(
            "the pair, unless it is there; versions never change",
            &format!("cargo xtask publish {pair} --bucket ${{ModelsBucket}} --unless-there"),
        ),
        Call::new(
            "what edges fetch of it, for good",
            &format!(
                "aws s3 sync {pair} s3://${{SiteBucket}}/{place} --region ${{AWS_REGION}} --exclude * --include manifest.json \
                 --include edge.fog --include samples/* --cache-control max-age=31536000,immutable"
            ),
        ),
        Call::new(
            "the engines; pages that are open keep the files that they have",
            "aws s3 cp edge-wasm/pkg s3://${SiteBucket}/pkg --recursive --region ${AWS_REGION} --cache-control no-cache",
        ),
        Call::new(
            "what the page opens with",
            "aws s3 cp - s3://${SiteBucket}/config.json --region ${AWS_REGION} \
             --cache-control no-cache --content-type application/json",
        )
        .fed(config.to_string()),
        Call::new(
            "the page",
            "aws s3 cp target/page s3://${SiteBucket} --recursive --region ${AWS_REGION} --cache-control no-cache",
        ),
        Call::new(
            "the page answers",
            "curl --fail --silent --show-error --retry 5 ${PageUrl}/config.json",
        ),
        Call::new(
            "a picture that no exit may keep is answered by the function",
            &format!(
                "wasmtime run -S http --dir . {proof} target/wasm32-wasip2/component/fogline.wasm classify \
                 web-demo/samples/frog.png --model {pair} --cloud ${{FunctionUrl}}{iam} --policy entropy \
                 --thresholds={never_sure} --deadline 60 --strict"
            ),
        ),
    ]
}

/// What signs, handed on to wasmtime's guest.
const KEYS: &str =
    "--env AWS_REGION --env AWS_ACCESS_KEY_ID --env AWS_SECRET_ACCESS_KEY --env AWS_SESSION_TOKEN";

fn outputs(stack: &str) -> Call {
    Call::new(
        "gives FunctionName, FunctionUrl, ModelsBucket, SiteBucket and PageUrl",
        &format!(
            "aws cloudformation describe-stacks --region ${{AWS_REGION}} --stack-name fogline-{stack} --output text --query"
        ),
    )
    .and("Stacks[0].Outputs[].[OutputKey,OutputValue]")
    .learning(Learn::Outputs)
}

/// Puts the version of the function before the present one, or one that is named, in its place.
pub fn rollback(options: &Rollback) -> Result<()> {
    let Rollback { stage, to } = options;
    let mut known = if stage.dry_run { Known::default() } else { Known::from_env()? };
    let function = "--region ${AWS_REGION} --function-name ${FunctionName}";
    let calls = [
        outputs(&stage.name),
        Call::new(
            "gives Live, the version that answers",
            &format!(
                "aws lambda get-alias {function} --name live --output text --query FunctionVersion"
            ),
        )
        .learning(Learn::Live),
        Call::new(
            "gives Before, the one to go back to",
            &format!("aws lambda list-versions-by-function {function} --output text --query"),
        )
        .and("Versions[].[Version]")
        .learning(Learn::Before { named: *to }),
        Call::new(
            "its settings, tokens among them, come back with its code",
            &format!(
                "aws lambda update-alias {function} --name live --function-version ${{Before}}"
            ),
        ),
    ];
    run(&calls, &mut known, stage.dry_run)?;
    println!(
        "\n{}",
        known.fill("version ${Before} answers in place of ${Live}; the next deployment moves on")
    );
    println!(
        "tokens that were taken out since that version count again, and new ones do not: deploy anew to change that"
    );
    println!(
        "pairs are never overwritten, and the page is that of the commit that is deployed: to go back, deploy the older one"
    );
    Ok(())
}

/// Takes a stage down, but for its buckets.
pub fn destroy(options: &Destroy) -> Result<()> {
    let stage = &options.stage;
    let mut known = if stage.dry_run { Known::default() } else { Known::from_env()? };
    let stack = format!("--region ${{AWS_REGION}} --stack-name fogline-{}", stage.name);
    let calls = [
        outputs(&stage.name),
        Call::new("all but the buckets", &format!("aws cloudformation delete-stack {stack}")),
        Call::new(
            "minutes, most of them CloudFront's",
            &format!("aws cloudformation wait stack-delete-complete {stack}"),
        ),
    ];
    if !stage.dry_run && !options.yes {
        eprint!(
            "This ends fogline-{} for every edge and page that asks it. Its name again: ",
            stage.name
        );
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        ensure!(answer.trim() == stage.name, "nothing was done");
    }
    run(&calls, &mut known, stage.dry_run)?;
    println!(
        "\n{}",
        known
            .fill("what edges may still need stays: the buckets ${ModelsBucket} and ${SiteBucket}")
    );
    Ok(())
}

/// The SHA-256 of each token that shall open the function, after commas.
fn tokens(also: &[String]) -> Result<String> {
    let token = env::var("FOGLINE_TOKEN").unwrap_or_default();
    ensure!(
        token.len() >= 32 && token.chars().all(|c| c.is_ascii_graphic()),
        "FOGLINE_TOKEN is what edges show to be let in: set it to 32 or more random characters, such as those of \
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
    Err("a stage has up to 32 lower-case letters, digits and hyphens, a letter first".into())
}

fn digest(text: &str) -> Result<String, String> {
    if ["", "\n"].iter().any(|empty| sha256_hex(empty.as_bytes()) == text) {
        return Err("that is the SHA-256 of an empty text: was the token's variable set?".into());
    }
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c)) {
        return Ok(text.into());
    }
    Err("a SHA-256 has 64 lower-case hexadecimal digits; a token itself is shown to nobody here"
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
        Err(format!("'{text}' is not NAME=VALUE, without spaces and quotes"))
    }
}
