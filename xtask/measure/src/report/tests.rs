use fogline::manifest::sha256_hex;

use super::*;

/// A picture of class `label` that a part answers with `answer`: exit `ended`, or the cloud if it is `None`.
pub fn answered(
    picture: &str,
    [label, answer]: [usize; 2],
    confidence: f32,
    ended: Option<usize>,
) -> Outcome<'_> {
    let answer = Answer { label: answer, confidence };
    // The parts that are not asked are sure of the true class, so that reading the wrong one shows.
    let other = Answer { label, confidence: 1.0 };
    let [exit, cloud] = if ended.is_some() { [answer, other] } else { [other, answer] };
    let exits = vec![exit];
    Outcome { picture, label, exits, cloud, twin: None, ended, way: 0, frame: 100, jpeg: 400 }
}

/// A small manifest with the classes a and b.
pub fn manifest() -> Manifest {
    let manifest = serde_json::json!({
        "format": 1, "name": "tiny", "version": "1", "classes": ["a", "b"],
        "input": {"size": 8, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]},
        "exits": [{"name": "exit-1", "after_block": 1, "thresholds": {"entropy": 0.5}}],
        "policy": "entropy", "split": {"shape": [8, 4, 4], "bits": 1},
        "parts": [
            {"name": "trunk-1", "role": "trunk", "macs": {"32": 1_000_000}, "reads": {"32": 10_000}},
            {"name": "exit-1", "role": "head", "macs": {}},
            {"name": "cloud", "role": "cloud", "macs": {"32": 3_000_000}, "reads": {"32": 10_000}}
        ],
        "files": {}
    });
    Manifest::parse(manifest.to_string().as_bytes()).unwrap()
}

/// The report of the small pair with other classes.
pub fn report_of(classes: &[String], outcomes: &[Outcome]) -> Report {
    let manifest = Manifest { classes: classes.to_vec(), ..manifest() };
    let setting = Setting {
        manifest: &manifest,
        manifest_sha256: sha256_hex(b"the manifest"),
        data: "four pictures".into(),
        date: "2026-11-23".into(),
        policy: Policy::Entropy,
        constants: Constants::default(),
    };
    let point = |share, accuracy, energy| Point { share, accuracy, energy, ..Point::default() };
    let curve = Curve::new(vec![point(0.4, 0.8, 10.0), point(0.7, 0.5, 4.0)]);
    Report::new(&setting, outcomes, &curve)
}

fn report(twin: Option<bool>) -> Report {
    let part = |right: bool| Answer { label: usize::from(!right), confidence: 0.9 };
    let outcome = |exit, cloud, ended| Outcome {
        picture: "one",
        label: 0,
        exits: vec![part(exit)],
        cloud: part(cloud),
        twin,
        ended,
        way: 0,
        frame: 100,
        jpeg: 400,
    };
    let outcomes = [
        outcome(true, false, Some(0)),
        outcome(false, true, Some(0)),
        outcome(false, true, None),
        outcome(true, true, None),
    ];
    report_of(&manifest().classes, &outcomes)
}

#[test]
fn shares_and_accuracies_count_each_picture_once() {
    let report = report(Some(true));
    assert_eq!(report.accuracy.system, 0.75);
    assert_eq!(report.accuracy.r#final, 0.75);
    assert_eq!(report.accuracy.exits, [0.5]);
    assert_eq!(report.accuracy.twin, Some(1.0));
    assert_eq!(report.share.exits, [0.5]);
}

#[test]
fn the_terms_of_energy_stay_apart() {
    let report = report(None);
    // Half of the pictures stop after 3.2 µJ, half need 12.8; the twin always needs 12.8.
    let Energy { computation, memory, radio, .. } = &report.energy;
    assert!((computation.system - 8.0).abs() < 1e-9);
    assert!((computation.reduction - 1.6).abs() < 1e-9);
    let memory = memory.as_ref().unwrap();
    assert!((memory.system - 1.2).abs() < 1e-9);
    assert!((memory.twin - 1.6).abs() < 1e-9);
    // Half of them send a frame of 100 bytes, instead of 400 as JPEG or 192 raw.
    assert_eq!(report.bytes.mean, 50.0);
    assert!((radio.jpeg.unwrap() / radio.system - 8.0).abs() < 1e-9);
    assert!((radio.raw / radio.system - 3.84).abs() < 1e-9);
}

#[test]
fn other_shares_are_read_off_the_curve_as_far_as_it_goes() {
    let [half, more] = &report(None).elsewhere[..] else { panic!("80% is not on it") };
    assert!((half.accuracy - 0.7).abs() < 1e-9 && (half.reduction - 12.8 / 8.0).abs() < 1e-9);
    assert!((more.accuracy - 0.55).abs() < 1e-9 && (more.reduction - 12.8 / 5.0).abs() < 1e-9);
}

#[test]
fn figures_of_another_manifest_are_refused() {
    let report = report(None);
    report.check_is_of(b"the manifest").unwrap();
    let why = format!("{:#}", report.check_is_of(b"another").unwrap_err());
    assert!(why.contains("cargo xtask eval --model tiny/1"), "{why}");
}

#[test]
fn the_table_is_the_same_from_the_file() {
    let report = report(Some(false));
    let text = report.to_string();
    let again: Report = serde_json::from_str(&serde_json::to_string(&report).unwrap()).unwrap();
    assert_eq!(again.to_string(), text);
    assert!(text.contains("+75.00 pts"), "{text}");
}

#[test]
fn a_row_is_a_line_of_the_file() {
    let text = serde_json::to_string_pretty(&report(None)).unwrap();
    let rows = r#"  "confusion": [
    [3,1],
    [0,0]
  ],
  "hardest": [
    {"picture":"one","class":"a","answer":"b","confidence":0.9,"origin":"exit-1"}
  ]
}"#;
    assert!(text.ends_with(rows), "{text}");
}

#[test]
fn a_report_of_an_earlier_version_has_no_classes() {
    let mut old = serde_json::to_value(report(None)).unwrap();
    for field in ["classes", "confusion", "hardest"] {
        old.as_object_mut().unwrap().remove(field).unwrap();
    }
    let old: Report = serde_json::from_value(old).unwrap();
    assert_eq!(old.to_string(), report(None).to_string());
    assert_eq!(old.by_class(), "");
}
