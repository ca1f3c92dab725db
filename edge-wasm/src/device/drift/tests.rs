use fogline::manifest::Manifest;
use serde_json::json;

use super::*;
use crate::session::Judgement;

const TINY: &[u8] = include_bytes!("../../../tests/tiny/manifest.json");
const WINDOW: usize = 60;

/// A pair of two exits, both with three bins of confidence, and five classes that are equally frequent.
fn normal() -> Normal {
    let exit = json!({"edges": [0.3, 0.6], "counts": [100, 100, 100], "limit": 20.0});
    serde_json::from_value(json!({
        "pictures": 300, "window": WINDOW, "false_alarms": 5e-7, "exits": [exit, exit],
        "classes": {"counts": [60, 60, 60, 60, 60], "limit": 40.0}
    }))
    .unwrap()
}

fn drift() -> Drift {
    Drift::new(&normal(), &Manifest::parse(TINY).unwrap())
}

/// The report of an exit.
fn exit(confidence: f32, class: usize, sure: bool) -> ExitReport {
    let verdict =
        Judgement { index: class, confidence, certainty: confidence, sure, scores: vec![] };
    ExitReport { name: String::new(), label: String::new(), threshold: None, verdict }
}

/// The `at`-th picture of a stream in which nothing drifts: every third one goes on to the second exit.
fn usual(at: usize) -> Vec<ExitReport> {
    let confidence = |at: usize| [0.1, 0.5, 0.9][at % 3];
    let goes_on = at.is_multiple_of(3);
    let first = exit(confidence(at), at % 5, !goes_on);
    let second = goes_on.then(|| exit(confidence(at / 3), at % 5, false));
    [first].into_iter().chain(second).collect()
}

fn off(drift: &Drift) -> Vec<&str> {
    drift.off().collect()
}

#[test]
fn nothing_is_raised_while_nothing_changes() {
    let mut drift = drift();
    assert!((0..10 * WINDOW).all(|at| !drift.observe(&usual(at))));
    assert!(!drift.is_drifting() && off(&drift).is_empty());
    let distances: Vec<(&str, f64)> = drift.distances().collect();
    assert_eq!(
        distances.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        ["exit-1", "exit-2", "classes"]
    );
    assert!(distances.iter().all(|(_, distance)| (0.0..0.05).contains(distance)), "{distances:?}");
}

#[test]
fn the_alarm_names_what_is_off_and_ends_when_all_is_normal_again() {
    let mut drift = drift();
    (0..WINDOW).for_each(|at| _ = drift.observe(&usual(at)));
    // All classes, but no confidence above 0.3.
    let began = (0..WINDOW).position(|at| drift.observe(&[exit(0.2, at % 5, true)])).unwrap();
    assert!(began > 5, "{began}");
    assert_eq!((drift.is_drifting(), off(&drift)), (true, vec!["exit-1"]));
    assert!(drift.distances().any(|(name, distance)| name == "exit-1" && distance > 1.0));
    let ended = (0..2 * WINDOW).position(|at| drift.observe(&usual(at))).unwrap();
    assert!(ended > 1 && ended < WINDOW, "{ended}");
    let distance = drift.distances().next().unwrap().1;
    // Well within: not just below the limit.
    assert!(!drift.is_drifting() && off(&drift).is_empty() && distance <= ENDS, "{distance}");
}

#[test]
fn before_its_window_is_full_a_histogram_raises_nothing() {
    let mut drift = drift();
    let raised = (0..2 * WINDOW).position(|_| drift.observe(&[exit(0.1, 0, true)])).unwrap();
    assert_eq!(raised + 1, WINDOW);
    assert_eq!(off(&drift), ["exit-1", "classes"]);
    assert!(drift.distances().any(|(name, distance)| name == "exit-2" && distance == 0.0));
}

#[test]
fn an_exit_counts_only_the_pictures_that_ask_it() {
    // Sure of a hard class, a picture passes the second exit on its way to the extension.
    let passing = |at: usize| [exit(0.9, at % 5, true), exit(0.1, at % 5, false)];
    let mut drift = drift();
    (0..3 * WINDOW).for_each(|at| _ = drift.observe(&passing(at)));
    assert_eq!(off(&drift), ["exit-1"]);
    let asking =
        |at: usize| [exit([0.1, 0.5, 0.9][at % 3], at % 5, false), exit(0.1, at % 5, false)];
    (0..3 * WINDOW).for_each(|at| _ = drift.observe(&asking(at)));
    assert_eq!(off(&drift), ["exit-2"]);
}

#[test]
fn later_exits_and_classes_can_be_left_out() {
    let one_class = |at: usize| [exit([0.1, 0.5, 0.9][at % 3], 3, false), exit(0.1, 3, false)];
    let watch = |mut drift: Drift| {
        (0..WINDOW).for_each(|at| _ = drift.observe(&one_class(at)));
        let off = off(&drift).join(" ");
        (drift.distances().count(), off)
    };
    assert_eq!(watch(drift()), (3, "exit-2 classes".into()));
    assert_eq!(watch(drift().without_classes()), (2, "exit-2".into()));
    assert_eq!(watch(drift().of_first_exit()), (2, "classes".into()));
    assert_eq!(watch(drift().of_first_exit().without_classes()), (1, String::new()));
}

#[test]
fn a_confidence_at_an_edge_is_above_it_and_no_number_is_below_all() {
    let of = Of::Confidences(0, vec![0.25, 0.5]);
    for (confidence, bin) in
        [(0.0, 0), (0.249, 0), (0.25, 1), (0.499, 1), (0.5, 2), (1.0, 2), (f32::NAN, 0)]
    {
        assert_eq!(of.bin(&[exit(confidence, 0, false)]), Some(bin), "{confidence}");
    }
    assert_eq!(of.bin(&[]), None);
}

#[test]
fn distances_are_the_recipes() {
    // tests/test_normal.py has the same numbers.
    let expected = [0.125, 0.375, 0.25, 0.25];
    let near = |distance: f64, there: f64| assert!((distance - there).abs() < 1e-12, "{distance}");
    near(pearson(&[5, 3, 4, 4], &expected, 16.0), 6.0);
    near(anderson_darling(&[5, 3, 4, 4], &expected, 16.0), 9.0 / 1.75);
    // As far apart, but all in one direction.
    near(anderson_darling(&[5, 6, 4, 1], &expected, 16.0), 9.0 / 1.75 + 9.0 / 4.0 + 9.0 / 3.0);
    let histogram = Watched::new("", Of::Classes, &[0, 2, 1], 1.0, 5);
    assert_eq!(histogram.expected, [0.5 / 4.5, 2.5 / 4.5, 1.5 / 4.5]);
}
