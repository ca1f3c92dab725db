use fogline::manifest::sha256_hex;
use serde_json::json;

use super::*;
use crate::report::Answer;

/// Figures in which JPEG needs more bytes than the system, WebP less, and WebP alone is right for 95%.
fn rate() -> Rate {
    let points = |points: [(u8, f64, f64); 3]| {
        points.map(|(quality, accuracy, bytes)| {
            json!({"quality": quality, "accuracy": accuracy, "bytes": bytes})
        })
    };
    let jpeg = points([(5, 0.5, 600.0), (50, 0.9, 900.0), (95, 0.89, 1500.0)]);
    let webp = points([(5, 0.7, 150.0), (50, 0.9, 200.0), (95, 0.95, 700.0)]);
    serde_json::from_value(json!({
        "model": "tiny", "version": "1", "manifest_sha256": sha256_hex(b"the manifest"),
        "data": "stripes", "date": "2026-11-29", "policy": "entropy", "samples": 200,
        "own": {"share": 0.6, "accuracy": 0.89, "bytes": 400.0},
        "curve": [
            {"share": 0.0, "accuracy": 0.9, "bytes": 1000.0},
            {"share": 0.9, "accuracy": 0.8, "bytes": 100.0},
            {"share": 1.0, "accuracy": 0.7, "bytes": 0.0}
        ],
        "twin": 0.96,
        "rivals": [
            {"format": "JPEG", "after_exits": false, "points": jpeg},
            {"format": "WebP", "after_exits": false, "points": webp},
            {"format": "JPEG", "after_exits": true, "points": [{"quality": 5, "accuracy": 0.8, "bytes": 300.0}]}
        ]
    }))
    .unwrap()
}

#[test]
fn the_verdict_names_the_fewest_bytes_that_are_as_accurate() {
    let text = rate().summary();
    let line =
        |start: &str, nth| text.lines().filter(|line| line.contains(start)).nth(nth).unwrap();
    assert!(
        text.contains("at 89.00% accuracy, with its own thresholds, the system sends 400 bytes")
    );
    // Quality 95 is as accurate, too, but takes more.
    let jpeg = line("every picture as JPEG", 0);
    assert!(
        jpeg.contains("900 bytes (quality 50): the system wins, it sends 2.25× less"),
        "{jpeg}"
    );
    let webp = line("every picture as WebP", 0);
    assert!(
        webp.contains("200 bytes (quality 50): the system loses, it sends 2.00× as much"),
        "{webp}"
    );
    let hard = line("hard pictures as JPEG", 0);
    assert!(
        hard.contains("never as accurate: 80.00% with 300 bytes (quality 5) at most"),
        "{hard}"
    );
    let jpeg = line("every picture as JPEG", 1);
    assert!(jpeg.ends_with("less at 70.00% to 89.00%, more at 90.00%"), "{jpeg}");
    let webp = line("every picture as WebP", 1);
    assert!(
        webp.contains("less at 70.00% to 80.00%, more at 89.00% to 90.00%; the system never"),
        "{webp}"
    );
    assert!(webp.ends_with("reaches its 95.00%, 700 bytes (quality 95)"), "{webp}");
}

#[test]
fn without_a_twin_the_system_stands_alone_and_the_table_says_why() {
    let alone = Rate { twin: None, rivals: vec![], ..rate() };
    let text = alone.to_string();
    assert!(text.contains("without twin.onnx") && text.contains("sends 400 bytes"), "{text}");
    assert!(!text.contains("JPEG: ") && !text.contains("with other thresholds"), "{text}");
}

#[test]
fn exits_answer_the_pictures_that_are_not_hard() {
    let answer = |label| Answer { label, confidence: 0.9 };
    // The exit takes the first for another class; the second is hard.
    let outcome = |ended| Outcome {
        picture: "one",
        label: 0,
        exits: vec![answer(1)],
        cloud: answer(0),
        twin: Some(true),
        ended,
        way: 0,
        frame: 100,
        jpeg: 400,
    };
    let outcomes = [outcome(Some(0)), outcome(None)];
    let sent = |bytes| Sent { bytes, right: true };
    let file = |own| Files { encoded: vec![vec![sent(300); QUALITIES.len()]; 2], own };
    let found = rivals(&[file(Some(sent(500))), file(Some(sent(700)))], &outcomes);
    let points: Vec<_> = found.iter().map(|rival| (rival.format, rival.points[0])).collect();
    let figures: Vec<_> = points.iter().map(|(_, point)| (point.accuracy, point.bytes)).collect();
    assert_eq!(figures[..3], [(1.0, 300.0), (1.0, 300.0), (1.0, 600.0)]);
    assert_eq!(figures[3..], [(0.5, 150.0), (0.5, 150.0), (0.5, 350.0)]);
    assert_eq!(points[2].0, Format::Own);
    // One that is of another size has to be encoded, and so the files are not sent as they are.
    let found = rivals(&[file(Some(sent(500))), file(None)], &outcomes);
    assert!(found.iter().all(|rival| rival.format != Format::Own));
}

#[test]
fn figures_are_kept_with_the_manifest_that_they_are_of() {
    let folder = tempfile::tempdir().unwrap();
    assert!(Rate::kept(folder.path(), b"the manifest").unwrap().is_none());
    let [json, svg] = [JSON, SVG].map(|name| folder.path().join(name));
    rate().write(&json, &svg, None).unwrap();
    let again = Rate::kept(folder.path(), b"the manifest").unwrap().unwrap();
    assert_eq!(again.to_string(), rate().to_string());
    let why = format!("{:#}", Rate::kept(folder.path(), b"another").unwrap_err());
    assert!(why.contains("cargo xtask eval --rate-curve --model tiny/1"), "{why}");
    assert_eq!(beside(Path::new("out/mine.json"))[0], Path::new("out/mine.rate.json"));
}
