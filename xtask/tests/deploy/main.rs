//! Tests `cargo xtask deploy`, `rollback` and `destroy` without an AWS account: their dry runs and their errors.

use std::process::{Command, Output};

/// Runs xtask in an environment without credentials.
fn xtask(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(arguments).env_clear().env("PATH", "/nowhere").output().unwrap()
}

/// Checks that a dry run prints exactly the golden text.
fn prints(arguments: &[&str], golden: &str) {
    let output = xtask(&[arguments, &["--dry-run"]].concat());
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(printed == golden, "{arguments:?} prints\n{printed}\ninstead of\n{golden}");
}

fn refuses(arguments: &[&str], why: &str) {
    let output = xtask(arguments);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(why), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "no call is printed, and none was made");
}

#[test]
fn a_dry_run_shows_every_call_and_needs_neither_keys_nor_tools() {
    prints(&["deploy", "--stage", "try"], include_str!("deploy.txt"));
    let settings = ["--auth", "iam", "--architecture", "x86_64", "--set", "Memory=3008"];
    prints(&[&["deploy", "--stage", "signed"], &settings[..]].concat(), include_str!("signed.txt"));
    prints(&["rollback", "--stage", "try"], include_str!("rollback.txt"));
    prints(&["destroy", "--stage", "try"], include_str!("destroy.txt"));
}

#[test]
fn without_keys_nothing_is_begun_and_a_sentence_says_what_to_set() {
    let all = "AWS_REGION, AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY not set";
    for chore in ["deploy", "rollback", "destroy"] {
        refuses(&[chore, "--stage", "try"], all);
    }
}

#[test]
fn what_would_be_another_word_on_the_command_line_is_refused() {
    refuses(&["deploy", "--stage", "Prod; rm"], "lower-case letters");
    refuses(&["deploy", "--stage", "try", "--also", "a token"], "64 lower-case hexadecimal digits");
    // The digests of an unset variable, without and with the line feed that echo adds.
    for empty in [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "01ba4719c80b6fe911b091a7c05124b64eeece964e09c058ef8f9805daca546b",
    ] {
        refuses(
            &["deploy", "--stage", "try", "--also", empty],
            "was the variable that holds the token set",
        );
    }
    for parameter in ["Memory", "=1", "Memory=1 Auth=none", "A=$(id)"] {
        refuses(&["deploy", "--stage", "try", "--set", parameter], "is not of the form NAME=VALUE");
    }
}
