use fogline::manifest::Manifest;
use fogline_edge::session::Judgement;
use serde_json::json;

use super::*;

const SIZE: u32 = 32;

/// Stripes of all levels, brighter to the right.
fn picture() -> Vec<u8> {
    let level = |at: usize| (at / 3 % SIZE as usize * 4 + at / 3 / SIZE as usize % 4 * 40) as u8;
    (0..3 * (SIZE * SIZE) as usize).map(level).collect()
}

fn of(corruption: Corruption, severity: u8) -> Vec<u8> {
    corruption.of(&picture(), SIZE, severity, &mut Rng::with_seed(1))
}

fn mean(picture: &[u8]) -> f64 {
    picture.iter().map(|&level| f64::from(level)).sum::<f64>() / picture.len() as f64
}

/// The mean absolute difference of pixels one above the other.
fn contrast(picture: &[u8]) -> f64 {
    let pairs = picture.iter().zip(&picture[3 * SIZE as usize..]);
    let sum: f64 = pairs.map(|(&a, &b)| f64::from(a.abs_diff(b))).sum();
    sum / picture.len() as f64
}

#[test]
fn pictures_get_worse_with_severity_in_the_way_that_is_named() {
    let plain = picture();
    for corruption in Corruption::ALL {
        let distance = |severity| {
            let worse = of(corruption, severity);
            worse.iter().zip(&plain).map(|(&a, &b)| f64::from(a.abs_diff(b))).sum::<f64>()
        };
        assert!(distance(1) > 0.0, "{corruption:?}");
        // Stripes that are turned farther may match better again.
        let rises = (1..WORST).all(|severity| distance(severity) < distance(severity + 1));
        assert!(rises || corruption == Corruption::Rotation, "{corruption:?}");
        assert_eq!(of(corruption, 3), of(corruption, 3));
    }
    assert!((mean(&of(Corruption::Dark, 3)) / mean(&plain) - 0.4).abs() < 0.01);
    let blurred = of(Corruption::Blur, 3);
    assert!(
        (mean(&blurred) - mean(&plain)).abs() < 1.0 && contrast(&blurred) < 0.6 * contrast(&plain)
    );
    // Fog takes contrast, too, but makes dark spots bright, and the brightest no brighter.
    let fog = of(Corruption::Fog, 3);
    let dark = |picture: &[u8]| picture.iter().filter(|&&level| level < 40).count();
    assert!(contrast(&fog) < 0.8 * contrast(&plain) && dark(&fog) < dark(&plain) / 2);
    assert!(fog.iter().max() <= plain.iter().max());
    let grey = vec![128; plain.len()];
    let noise = Corruption::Noise.of(&grey, SIZE, 3, &mut Rng::with_seed(1));
    let squares = noise.iter().map(|&level| (f64::from(level) - 128.0).powi(2)).sum::<f64>();
    let deviation = (squares / noise.len() as f64).sqrt() / 255.0;
    assert!((mean(&noise) - 128.0).abs() < 2.0 && (deviation - 0.08).abs() < 0.005, "{deviation}");
}

#[test]
fn a_turned_picture_has_its_right_side_at_the_top() {
    // Light on the right half only.
    let half: Vec<u8> =
        (0..3 * (SIZE * SIZE) as usize).map(|at| if at / 3 % 32 < 16 { 0 } else { 200 }).collect();
    let turned = Corruption::Rotation.of(&half, SIZE, 5, &mut Rng::with_seed(1));
    let pixel = |y: usize, x: usize| turned[(y * SIZE as usize + x) * 3];
    assert_eq!((pixel(16, 28), pixel(3, 16), pixel(28, 16), pixel(16, 3)), (200, 200, 0, 0));
}

/// What the only exit says.
fn exit(confidence: f32) -> Vec<ExitReport> {
    let verdict =
        Judgement { index: 0, confidence, certainty: confidence, sure: false, scores: vec![] };
    vec![ExitReport { name: "exit-1".into(), label: String::new(), threshold: None, verdict }]
}

/// A watch of one exit, half of whose confidences are above 0.5.
fn watch(limit: f64) -> Drift {
    let text = include_bytes!("../../../../edge-wasm/tests/tiny/manifest.json");
    let manifest = Manifest::parse(text).unwrap();
    let exit = json!({"edges": [0.5], "counts": [500, 500], "limit": limit});
    let normal: Normal = serde_json::from_value(json!({
        "pictures": 1000, "window": 100, "false_alarms": 1e-6, "exits": [exit, exit],
        "classes": {"counts": [1000, 0, 0, 0, 0], "limit": 1.0}
    }))
    .unwrap();
    Drift::new(&normal, &manifest)
}

#[test]
fn what_differs_is_noticed_soon_and_what_does_not_is_missed() {
    let clean: Answers = [0.2, 0.4, 0.6, 0.8].map(exit).into();
    let low: Answers = vec![exit(0.1)];
    let corrupted = [(Corruption::Fog, low), (Corruption::Dark, clean.clone())];
    let found = Watch::of(&|| watch(40.0), &clean, &corrupted, true);
    let [fog, dark] = &found.corruptions[..] else { panic!("one for each") };
    assert_eq!((fog.streams, fog.missed), (STREAMS, 0));
    // The limit is at 82 of 100 below 0.5.
    assert!((40..90).contains(&fog.median.unwrap()) && fog.worst > fog.median, "{fog:?}");
    assert!(fog.worst.unwrap() <= 100, "{fog:?}");
    assert_eq!((dark.missed, dark.median, found.false_alarms), (STREAMS, Some(AFTER), 0));

    // With a limit that a hundred clean pictures pass now and then, both alarms and quiet follow.
    let nervous = Watch::of(&|| watch(8.0), &clean, &corrupted, true);
    assert!(
        nervous.false_alarms > 100 && nervous.under_alarm > nervous.false_alarms,
        "{nervous:?}"
    );
    let quick = &nervous.corruptions[0];
    assert!(quick.streams < STREAMS && quick.median < fog.median, "{quick:?}");
}

#[test]
fn the_table_says_what_was_missed() {
    let watch = |classes| {
        json!({
            "classes": classes, "clean": 1_000_000, "false_alarms": 3, "under_alarm": 400,
            "corruptions": [
                {"corruption": "blur", "streams": 200, "missed": 0, "median": 101, "worst": 180},
                {"corruption": "noise", "streams": 200, "missed": 7, "median": 300, "worst": 5000},
                {"corruption": "dark", "streams": 9, "missed": 0, "median": 60, "worst": 70}
            ]
        })
    };
    let report: Report = serde_json::from_value(json!({
        "model": "tiny", "version": "1", "manifest_sha256": "", "data": "stripes", "date": "2026-11-30", "policy": "entropy",
        "samples": 200, "severity": 3, "window": 100, "held_out": 1000, "expected": 2.5e-6,
        "watches": [watch(true), watch(false)]
    }))
    .unwrap();
    let text = report.to_string();
    let cells = |start: &str| -> Vec<String> {
        let line = text.lines().find(|line| line.starts_with(start)).expect(start);
        line[38..]
            .split("  ")
            .filter(|cell| !cell.is_empty())
            .map(|cell| cell.trim().into())
            .collect()
    };
    assert_eq!(cells("blur (Gaussian, 0.7 pixels in 32)"), ["101", "180", "101", "180"]);
    assert_eq!(cells("noise"), ["300", "7 missed", "300", "7 missed"]);
    assert_eq!(cells("dark (40% of the light)"), ["already under alarm"; 2]);
    assert_eq!(cells("alarms in 1000000 clean pictures"), ["3", "3"]);
    assert_eq!(cells("  as the manifest expects"), ["2.5", "2.5"]);
}
