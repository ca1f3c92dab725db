//! A cloud that fails: every picture is answered exactly once, in time, and with the reason.

use std::fs;

use serde_json::Value;

use crate::bench::Bench;
use crate::cloud::{Say, Scripted, scripted};

/// Classifies the frog, of which no exit is sure, with a deadline of one second.
fn frog(cloud: &Scripted) -> Value {
    let bench = Bench::new();
    bench.never_sure();
    let (success, mut lines) =
        bench.lines(&["classify", "frog.png", "--deadline", "1", "--cloud", &cloud.url]);
    assert!(success && lines.len() == 1, "{lines:?}");
    lines.remove(0)
}

fn degraded(cloud: &Scripted, reason: &str) -> Value {
    let line = frog(cloud);
    assert_eq!(line["degraded"]["reason"], reason, "{line}");
    assert!(line["origin"].as_str().unwrap().starts_with("exit-"), "{line}");
    // The deadline, and the time that a busy machine takes to notice.
    assert!(line["timings"]["cloudMs"].as_f64().unwrap() < 5000.0, "{line}");
    line
}

#[test]
fn passing_faults_are_tried_again() {
    let cloud = scripted(|request| match request {
        0 => Say::Status(503, ""),
        1 => Say::Break,
        _ => Say::Scores,
    });
    let line = frog(&cloud);
    assert_eq!((&line["origin"], &line["index"]), (&"cloud".into(), &0.into()), "{line}");
    assert_eq!(cloud.samples(), [1, 1, 1]);
    // Every try is counted.
    assert!(line["bytesSent"].as_u64().unwrap() > 3 * 400, "{line}");
}

#[test]
fn three_tries_are_all() {
    let cloud = scripted(|_| Say::Status(502, ""));
    degraded(&cloud, "cloud_refused");
    assert_eq!(cloud.samples().len(), 3);
}

#[test]
fn a_refusal_is_not_tried_again() {
    let cloud = scripted(|_| Say::Status(404, ""));
    degraded(&cloud, "cloud_refused");
    assert_eq!(cloud.samples().len(), 1);
}

#[test]
fn a_redirect_is_not_followed_but_named() {
    let cloud = scripted(|_| Say::Status(302, "location: http://elsewhere/\r\n"));
    let line = degraded(&cloud, "cloud_refused");
    let message = line["degraded"]["message"].as_str().unwrap();
    assert!(message.contains("302") && message.contains("http://elsewhere/"), "{message}");
    assert_eq!(cloud.samples().len(), 1);
}

#[test]
fn retry_after_is_waited_for_within_the_deadline_only() {
    for long in [
        "retry-after: 60\r\n",
        "retry-after: 99999999999999999999\r\n",
        "retry-after: Wed, 21 Oct 2099 07:28:00 GMT\r\n",
    ] {
        let cloud = scripted(move |_| Say::Status(429, long));
        degraded(&cloud, "cloud_refused");
        assert_eq!(cloud.samples().len(), 1);
    }
}

#[test]
fn a_half_open_connection_ends_with_the_deadline() {
    degraded(&scripted(|_| Say::Nothing), "cloud_late");
}

#[test]
fn an_answer_that_dribbles_in_ends_with_the_deadline() {
    degraded(&scripted(|_| Say::Dribble), "cloud_late");
}

#[test]
fn a_connection_that_breaks_is_a_cloud_out_of_reach() {
    degraded(&scripted(|_| Say::Break), "cloud_unreachable");
}

#[test]
fn a_cloud_that_fails_again_and_again_is_left_alone_and_every_picture_is_answered_once() {
    let bench = Bench::new();
    bench.never_sure();
    let copies = 40;
    fs::create_dir(bench.path("set")).unwrap();
    for copy in 0..copies {
        fs::copy(bench.path("frog.png"), bench.path(&format!("set/{copy:02}.png"))).unwrap();
    }
    let cloud = scripted(|request| if request < 3 { Say::Scores } else { Say::Break });
    let (success, lines) = bench.lines(&["classify", "set", "--batch", "1", "--cloud", &cloud.url]);
    assert!(success);
    for (copy, line) in lines.iter().enumerate() {
        assert_eq!(line["picture"], format!("set/{copy:02}.png"));
    }
    let of =
        |reason: &str| lines.iter().filter(|line| line["degraded"]["reason"] == reason).count();
    let answered = lines.iter().filter(|line| line["origin"] == "cloud").count();
    assert_eq!((lines.len(), answered), (copies, 3));
    assert!(of("circuit_open") > 20, "{} {}", of("circuit_open"), of("cloud_unreachable"));
    assert_eq!(of("circuit_open") + of("cloud_unreachable"), copies - 3);
}
