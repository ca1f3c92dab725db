//! Authentication: what the function receives, and that nobody else does.

use std::fs;

use crate::bench::Bench;
use crate::cloud::{Say, Scripted, scripted};

/// Classifies a hard picture. Returns the header that authenticates the request, and everything that was printed.
fn asked(environment: &[&str], arguments: &[&str]) -> (Option<String>, String, Scripted) {
    let bench = Bench::new();
    bench.never_sure();
    fs::write(bench.path("token"), "word-of-a-file\n").unwrap();
    let cloud = scripted(|_| Say::Scores);
    let line = ["classify", "frog.png", "--model", ".", "--json", "--cloud", &cloud.url];
    let mut command = bench.command_in(environment, &[&line[..], arguments].concat());
    let output = command.output().unwrap();
    let printed = [output.stdout, output.stderr].concat();
    let header = cloud.header("authorization");
    (header, String::from_utf8(printed).unwrap(), cloud)
}

#[test]
fn a_token_is_shown_to_the_function_and_never_printed() {
    let (header, printed, _) = asked(&["FOGLINE_TOKEN=word-of-the-environment"], &[]);
    assert_eq!(header.as_deref(), Some("Bearer word-of-the-environment"), "{printed}");
    assert!(printed.contains(r#""origin":"cloud""#) && !printed.contains("word-of"), "{printed}");
    // The flag takes precedence over the environment.
    let file = ["--token-file", "token"];
    let (header, printed, _) = asked(&["FOGLINE_TOKEN=word-of-the-environment"], &file);
    assert_eq!(header.as_deref(), Some("Bearer word-of-a-file"), "{printed}");
    assert!(!printed.contains("word-of"), "{printed}");
    let (header, _, _) = asked(&[], &[]);
    assert_eq!(header, None);
}

#[test]
fn what_is_no_token_is_refused_and_not_repeated() {
    let (header, printed, _) = asked(&["FOGLINE_TOKEN=two words"], &[]);
    assert!(
        printed.contains("error[token_invalid]") && !printed.contains("two words"),
        "{printed}"
    );
    assert_eq!(header, None);
    let (_, printed, _) = asked(&[], &["--token-file", "missing"]);
    assert!(printed.contains("error[file_unreadable]"), "{printed}");
}

#[test]
fn aws_keys_sign_and_are_never_printed() {
    let keys = [
        "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY=secret-key",
        "AWS_SESSION_TOKEN=lent-token",
        "AWS_REGION=eu-central-1",
    ];
    let (header, printed, cloud) = asked(&keys, &["--iam"]);
    let header = header.expect("signed");
    assert!(header.starts_with("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"), "{header}");
    assert!(header.contains("/eu-central-1/lambda/aws4_request, "), "{header}");
    let signed = "SignedHeaders=content-type;host;x-amz-date;x-amz-security-token, Signature=";
    assert!(header.contains(signed), "{header}");
    assert_eq!(cloud.header("x-amz-security-token").as_deref(), Some("lent-token"));
    assert_eq!(cloud.header("host").as_deref(), cloud.url.strip_prefix("http://"));
    assert!(!printed.contains("secret-key") && !printed.contains("lent-token"), "{printed}");
    let (_, printed, _) = asked(&keys[1..], &["--iam"]);
    assert!(printed.contains("keys_missing") && printed.contains("AWS_ACCESS_KEY_ID"), "{printed}");
}
