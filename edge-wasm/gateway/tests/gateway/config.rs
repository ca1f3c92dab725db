//! Options from the command line, the environment and a file.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, lines};

const EXAMPLE: &str = include_str!("../../../../infra/gateway/fogline.toml");

/// The output of `info` with a configuration.
fn info(config: &str, environment: &[&str], arguments: &[&str]) -> (bool, Value) {
    let bench = Bench::new();
    fs::write(bench.path("fogline.toml"), config).unwrap();
    let line = ["info", "--json", "--config", "fogline.toml"];
    let output = bench.command_in(environment, &[&line, arguments].concat()).output().unwrap();
    let (success, mut lines) = lines(&output);
    (success, lines.remove(0))
}

fn thresholds(info: &Value) -> Vec<f64> {
    info["exits"].as_array().unwrap().iter().map(|e| e["threshold"].as_f64().unwrap()).collect()
}

/// The names of a command's options. Also checks that the help of each names its variable.
fn options(command: &str) -> Vec<String> {
    let output = Bench::new().run(&[command, "--help"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let (_, text) = text.split_once("\nOptions:").expect("a list of options");
    let (text, _) = text.split_once("\nExample").expect("an example behind it");
    // An option's text extends to the next option's name.
    let mut names = vec![];
    for part in text.split("\n      --").skip(1) {
        let name: String =
            part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '-').collect();
        let variable = format!("[env: FOGLINE_{}", name.to_uppercase().replace('-', "_"));
        assert!(part.contains(&variable), "{command} --{name}: {part}");
        names.push(name);
    }
    names
}

#[test]
fn the_command_line_counts_before_the_environment_and_it_before_the_file() {
    let file = "model = '.'\npolicy = \"margin\"\nthresholds = [0.25, 0.5]\n";
    let (success, by_file) = info(file, &[], &[]);
    assert!(success, "{by_file}");
    assert_eq!((&by_file["decidesBy"], thresholds(&by_file)), (&"margin".into(), vec![0.25, 0.5]));
    let environment = ["FOGLINE_THRESHOLDS=0.5,0.75"];
    let (_, by_environment) = info(file, &environment, &[]);
    assert_eq!(by_environment["decidesBy"], "margin");
    assert_eq!(thresholds(&by_environment), [0.5, 0.75]);
    let (_, by_line) = info(file, &environment, &["--thresholds", "1,2", "--policy", "entropy"]);
    assert_eq!((&by_line["decidesBy"], thresholds(&by_line)), (&"entropy".into(), vec![1.0, 2.0]));
    // Thresholds as one string, as on the command line.
    assert_eq!(thresholds(&info("model = '.'\nthresholds = '3,4'", &[], &[]).1), [3.0, 4.0]);
}

#[test]
fn the_environment_names_the_file_and_switches_are_turned_off_again() {
    let bench = Bench::new();
    fs::write(bench.path("a.toml"), "model = '.'\njson = true\n").unwrap();
    let environment = ["FOGLINE_CONFIG=a.toml"];
    let said = |arguments: &[&str], environment: &[&str]| {
        let output = bench.command_in(environment, arguments).output().unwrap();
        String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
    };
    assert!(said(&["info"], &environment).starts_with('{'));
    assert!(said(&["info", "--json=false"], &environment).starts_with("pair "));
    let both = ["FOGLINE_CONFIG=a.toml", "FOGLINE_JSON=no"];
    assert!(said(&["info"], &both).starts_with("pair "));
    // Only the file named on the command line is read.
    let missing = said(&["info", "--config=missing.toml"], &environment);
    assert!(missing.contains("error[file_unreadable]: missing.toml"), "{missing}");
}

#[test]
fn empty_variables_count_as_unset_and_numbers_may_be_hexadecimal() {
    let names =
        "BATCH SPOOL CLOUD TOKEN TOKEN_FILE IAM STRICT MAX_OFFLOAD POLICY THRESHOLDS CONFIG";
    let empty: Vec<_> = names.split(' ').map(|name| format!("FOGLINE_{name}=")).collect();
    let empty: Vec<_> = empty.iter().map(String::as_str).collect();
    let bench = Bench::new();
    fs::write(bench.path("a.toml"), "batch = 0x10\nspool-mib = 0b1\nmax-pixels = 0o777_777\n")
        .unwrap();
    for cloud in [&[][..], &["--cloud", "http://127.0.0.1:1"]] {
        let line = ["classify", "frog.png", "--model", ".", "--config", "a.toml"];
        let output = bench.command_in(&empty, &[&line, cloud].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{said}");
    }
}

#[test]
fn a_misspelt_variable_is_said() {
    let bench = Bench::new();
    let mut info = bench.command_in(&["FOGLINE_CLUOD=http://host"], &["info", "--model", "."]);
    let output = info.output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("error[variable_unknown]: FOGLINE_CLUOD"), "{said}");
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_line() {
    let wrong = [
        ("model = '.'\n\ncluod = 'http://host'", "config_key", "line 3: 'cluod' is not an option"),
        ("batch = 16\nbatch = 17", "config_syntax", "line 2: "),
        ("# a\nmodel = ", "config_syntax", "line 2: "),
        ("model = '.'\nbatch = 300 # many", "config_value", "line 2: invalid value '300'"),
        ("policy = 'luck'", "config_value", "line 1: invalid value 'luck'"),
        ("batch = [1, 2]", "config_value", "line 1: 'batch' takes one value"),
        ("thresholds = []", "config_value", "line 1: 'thresholds' takes"),
        ("json = 'perhaps'", "config_value", "line 1: invalid value 'perhaps'"),
        ("\n[cloud]\nurl = 'http://host'", "config_value", "line 2: 'cloud' cannot be"),
        ("seconds = 1\nmodel = 2026-11-25", "config_value", "line 2: 'model' cannot be"),
    ];
    for (file, word, message) in wrong {
        let (success, fault) = info(file, &[], &["--model", "."]);
        assert!(!success);
        assert_eq!(fault["error"], word, "{file}: {fault}");
        let said = fault["message"].as_str().unwrap();
        assert!(said.starts_with("fogline.toml: ") && said.contains(message), "{file}: {fault}");
    }
}

#[test]
fn the_example_holds_every_option_and_all_of_it_is_accepted() {
    let (success, as_it_is) = info(EXAMPLE, &[], &["--model", "."]);
    assert!(success, "{as_it_is}");
    // Including the options that are commented out.
    let is_option = |line: &str| {
        let (key, value) = line.split_once(" = ").unwrap_or_default();
        !value.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '-')
    };
    let lines = EXAMPLE
        .lines()
        .map(|line| line.strip_prefix("# ").filter(|l| is_option(l)).unwrap_or(line));
    let whole = lines.collect::<Vec<_>>().join("\n");
    let (success, all) = info(&whole, &[], &["--model", "."]);
    assert!(success, "{all}");
    assert_eq!(thresholds(&all).len(), 2);
    let keys: Vec<_> = whole.lines().filter_map(|line| Some(line.split_once(" = ")?.0)).collect();
    for (command, least) in
        [("classify", 9), ("eval", 6), ("settle", 6), ("serve", 8), ("pull", 5), ("rollback", 3)]
    {
        let names = options(command);
        assert!(names.len() >= least, "{command}: {names:?}");
        for name in names.iter().filter(|name| *name != "config") {
            assert!(keys.contains(&name.as_str()), "{command} --{name} is not in the example");
        }
    }
}

#[test]
fn a_token_and_keys_are_not_both_taken() {
    let bench = Bench::new();
    fs::write(bench.path("a.toml"), "iam = true\ntoken-file = 'token'\n").unwrap();
    let line = ["classify", "cat.png", "--model", ".", "--json", "--cloud", "http://127.0.0.1:1"];
    let (success, said) = lines(&bench.run(&[&line[..], &["--config", "a.toml"]].concat()));
    assert!(!success);
    assert_eq!(said[0]["error"], "auth_conflict", "{said:?}");
}
