//! `fogline eval`, `info` and `bench`.

use std::fs;

use crate::bench::{Bench, variable};
use crate::cloud::{Say, scripted};

/// Puts the samples into folders named after their classes.
fn set(bench: &Bench) {
    for class in ["frog", "ship", "cat"] {
        let file = format!("{class}.png");
        fs::create_dir_all(bench.path(&format!("set/{class}"))).unwrap();
        fs::copy(bench.path(&file), bench.path(&format!("set/{class}/{file}"))).unwrap();
    }
}

#[test]
fn eval_counts_where_pictures_end_and_what_they_cost() {
    let bench = Bench::new();
    set(&bench);
    let (success, lines) = bench.lines(&["eval", "set", "--thresholds", "99,99"]);
    assert!(success);
    let report = &lines[0];
    assert_eq!(report["all"]["pictures"], 3, "{report}");
    assert_eq!(report["origins"]["exit-1"]["pictures"], 3, "{report}");
    assert_eq!((&report["bytesSent"], &report["unanswered"]), (&0.into(), &0.into()));
    let energy = |of: &str| report[of]["computation"].as_f64().unwrap();
    assert!(energy("system") * 5.0 < energy("twin"), "{report}");
}

#[test]
fn eval_tells_the_cloud_s_answers_from_degraded_ones() {
    let bench = Bench::new();
    bench.never_sure();
    set(&bench);
    fs::write(bench.path("set/cat/broken.png"), "no picture").unwrap();
    let cloud = scripted(|request| if request == 0 { Say::Scores } else { Say::Status(404, "") });
    let (success, lines) = bench.lines(&["eval", "set", "--batch", "1", "--cloud", &cloud.url]);
    assert!(!success, "a picture is broken");
    let report = &lines[0];
    assert_eq!(report["origins"]["cloud"]["pictures"], 1, "{report}");
    assert_eq!(report["degraded"]["cloud_refused"]["pictures"], 2, "{report}");
    assert_eq!((&report["all"]["pictures"], &report["unanswered"]), (&3.into(), &1.into()));
    let text = bench.run(&["eval", "set", "--model", "."]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("degraded, no_cloud") && text.contains("energy is not stated"), "{text}");
    assert!(report["system"].is_null(), "{report}");
}

#[test]
fn eval_refuses_the_folder_of_no_class() {
    let bench = Bench::new();
    set(&bench);
    fs::create_dir(bench.path("set/unicorn")).unwrap();
    fs::copy(bench.path("cat.png"), bench.path("set/unicorn/1.png")).unwrap();
    let (success, lines) = bench.lines(&["eval", "set"]);
    assert!(!success);
    assert_eq!(lines[0]["error"], "class_unknown");
    assert!(lines[0]["message"].as_str().unwrap().contains("set/unicorn/1.png"));
}

#[test]
fn info_says_what_decides_and_what_runs() {
    let bench = Bench::new();
    let (success, lines) = bench.lines(&["info", "--policy", "margin", "--thresholds", "0.25,0.5"]);
    assert!(success);
    let info = &lines[0];
    assert_eq!(
        (&info["decidesBy"], &info["exits"][1]["threshold"]),
        (&"margin".into(), &0.5.into())
    );
    assert_eq!(info["classes"].as_array().unwrap().len(), 10);
    assert_eq!(info["engine"]["backend"], "simd128");
    let text = String::from_utf8(bench.run(&["info", "--model", "."]).stdout).unwrap();
    for word in ["exit-1", "1024 bytes per sample", "simd128", "airplane"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn bench_times_the_endings() {
    let bench = Bench::new();
    let (success, lines) = bench.lines(&["bench", "frog.png", "ship.png", "--seconds", "1"]);
    assert!(success);
    let report = &lines[0];
    assert_eq!(report["pictures"], 2);
    let endings = report["endings"].as_object().unwrap();
    let passes: u64 = endings.values().map(|ending| ending["passes"].as_u64().unwrap()).sum();
    assert_eq!(Some(passes), report["passes"].as_u64());
    assert!(report["edgePerSecond"].as_f64().unwrap() > 1.0);
    let output = bench.run(&["bench", "missing.png", "--model", &variable("FOGLINE_MODEL")]);
    assert!(!output.status.success());
}
