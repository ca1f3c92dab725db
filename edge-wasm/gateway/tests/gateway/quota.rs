//! `--max-offload` and `--max-bytes-per-second`: how much goes to the cloud.

use std::fs;

use serde_json::Value;

use crate::bench::Bench;
use crate::cloud::{Say, scripted};

/// Classifies hard pictures. Returns the lines, and the number of samples that the cloud received.
fn classify(pictures: usize, arguments: &[&str]) -> (Vec<Value>, usize) {
    let bench = Bench::new();
    bench.never_sure();
    fs::create_dir(bench.path("set")).unwrap();
    for picture in 0..pictures {
        let sample = ["frog.png", "cat.png", "ship.png"][picture % 3];
        fs::hard_link(bench.path(sample), bench.path(&format!("set/{picture:03}.png"))).unwrap();
    }
    let cloud = scripted(|_| Say::Scores);
    let (success, lines) =
        bench.lines(&[&["classify", "set", "--cloud", &cloud.url], arguments].concat());
    assert!(success);
    (lines, cloud.samples().iter().sum())
}

fn degraded<'a>(lines: &'a [Value], reason: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["degraded"]["reason"] == reason).collect()
}

#[test]
fn no_more_than_the_share_goes_and_the_rest_says_by_what_threshold() {
    let (lines, sent) = classify(60, &["--max-offload", "0.2"]);
    let over = degraded(&lines, "over_quota");
    assert_eq!((lines.len(), over.len() + sent), (60, 60));
    assert!((6..=12).contains(&sent), "{sent} of 60");
    assert!(lines.iter().filter(|line| line["origin"] == "cloud").count() == sent);
    let message = over.last().unwrap()["degraded"]["message"].as_str().unwrap();
    assert!(message.contains("at most 20%") && message.contains("threshold is"), "{message}");
}

#[test]
fn what_the_line_does_not_carry_in_time_is_spooled_for_later() {
    // The first request occupies the line for longer than the deadline.
    let line = ["--batch", "2", "--deadline", "2", "--max-bytes-per-second", "100"];
    let (lines, sent) = classify(6, &[&line[..], &["--spool", "spool"]].concat());
    assert_eq!(degraded(&lines, "over_bandwidth").len(), 4, "{lines:?}");
    let sum = &lines.last().unwrap()["spool"];
    // At the end of the run the line is still occupied.
    assert_eq!((&sum["spooled"], &sum["left"], sent), (&4.into(), &4.into(), 2), "{sum}");
}
