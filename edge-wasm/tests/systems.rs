//! The related systems: exits that judge themselves, an extension for the hard classes, several ways.
//!
//! Native, Node and wasmtime run this file.

use fogline::policy::{Policy, Verdict};
use fogline_edge::kernel::Backend;
use fogline_edge::session::{LoadError, Session};

#[cfg(all(target_arch = "wasm32", target_os = "unknown"))]
use wasm_bindgen_test::wasm_bindgen_test as test;

const APPEAL: (&[u8], &[u8]) =
    (include_bytes!("tiny-appeal/manifest.json"), include_bytes!("tiny-appeal/edge.fog"));
const EXTENSION: (&[u8], &[u8]) =
    (include_bytes!("tiny-extension/manifest.json"), include_bytes!("tiny-extension/edge.fog"));
const WAYS: (&[u8], &[u8]) =
    (include_bytes!("tiny-ways/manifest.json"), include_bytes!("tiny-ways/edge.fog"));

fn load((manifest, fog): (&[u8], &[u8])) -> Session {
    Session::load(manifest, fog, Backend::fastest()).unwrap()
}

/// Very different pictures: ramps and stripes of many slopes.
fn pictures() -> impl Iterator<Item = Vec<u8>> {
    (1..200_usize).map(|n| (0..16 * 16 * 3).map(|i| (i * n % 251 + i / 48 * n) as u8).collect())
}

/// With these thresholds samples are answered at every exit; evaluation must agree on where.
fn check_that_evaluation_decides_alike(
    session: &mut Session,
    thresholds: &[f32],
) -> Vec<Option<usize>> {
    session.decide_by(session.policy(), Some(thresholds)).unwrap();
    let mut endings = vec![];
    for picture in pictures() {
        let (exits, map, way) = session.run_through(&picture);
        let all: Vec<Verdict> =
            exits.iter().enumerate().map(|(exit, logits)| session.judge(exit, logits)).collect();
        let pass = session.run_edge(&picture);
        assert_eq!(pass.verdicts, all[..pass.verdicts.len()]);
        let ending = session.ending(&all);
        match ending {
            Some(exit) => assert_eq!((pass.verdicts.len(), pass.map), (exit + 1, None)),
            None => assert_eq!((pass.map, pass.way), (Some(map), way)),
        }
        if !endings.contains(&ending) {
            endings.push(ending);
        }
    }
    endings.sort();
    endings
}

#[test]
fn an_exit_appeals_by_its_own_score() {
    let mut session = load(APPEAL);
    session.decide_by(Policy::Appeal, None).unwrap();
    let endings = check_that_evaluation_decides_alike(&mut session, &[0.49, 0.49]);
    assert_eq!(endings, [None, Some(0), Some(1)]);
    assert_eq!(session.run_edge(&[9; 768]).verdicts[0].scores.len(), 5);
}

#[test]
fn an_extension_answers_where_an_exit_is_sure_of_a_hard_class() {
    let mut session = load(EXTENSION);
    let endings = check_that_evaluation_decides_alike(&mut session, &[0.3, 0.3]);
    assert_eq!(endings, [None, Some(0), Some(1), Some(2)]);
    for picture in pictures() {
        let pass = session.run_edge(&picture);
        let Some(verdict) = pass.verdicts.get(2) else { continue };
        assert!([1, 3].contains(&verdict.label), "it tells the hard classes apart alone");
        let answer = session.classify_alone(&picture);
        assert_eq!((&*answer.origin, answer.index), ("extension", verdict.label));
    }
}

#[test]
fn a_sample_goes_the_way_that_an_exit_s_confidence_names() {
    let mut session = load(WAYS);
    check_that_evaluation_decides_alike(&mut session, &[1.1, 1.1]);
    session.decide_by(session.policy(), Some(&[-1.0, -1.0])).unwrap();
    let mut ways = vec![];
    for picture in pictures() {
        let pass = session.run_edge(&picture);
        let confidence = pass.verdicts[0].confidence;
        let expected = if confidence >= 0.999 { 0 } else { 2 - u8::from(confidence >= 0.99) };
        assert_eq!(pass.way, Some(expected));
        ways.push(expected);
    }
    assert!((0..3).all(|way| ways.contains(&way)), "the pictures take only some of the ways");
}

#[test]
fn exits_decide_only_by_what_they_can_measure_and_by_a_threshold_each() {
    let mut session = load(EXTENSION);
    let (policy, before) = (session.policy(), session.thresholds().to_vec());
    let refused = [
        (Policy::Appeal, None, "policy_unavailable"),
        (Policy::Appeal, Some(&[0.5, 0.5][..]), "policy_unavailable"),
        (policy, Some(&[0.5]), "thresholds_invalid"),
        (policy, Some(&[0.5, f32::NAN]), "thresholds_invalid"),
    ];
    for (policy, thresholds, word) in refused {
        assert_eq!(session.decide_by(policy, thresholds).unwrap_err().word(), word);
    }
    assert_eq!((session.policy(), session.thresholds()), (policy, &before[..]), "nothing changed");
    session.decide_by(Policy::Margin, Some(&[0.5, f32::INFINITY])).unwrap();
    assert_eq!(
        (session.policy(), session.thresholds()),
        (Policy::Margin, &[0.5, f32::INFINITY][..])
    );
}

#[test]
fn the_page_s_types_name_every_policy() {
    let types = include_str!("../src/browser/types.d.ts");
    let union: Vec<String> =
        Policy::ALL.iter().map(|policy| format!("{:?}", policy.name())).collect();
    assert!(types.contains(&format!("export type Policy = {};", union.join(" | "))));
}

#[test]
fn what_the_model_lacks_is_refused_when_it_is_loaded() {
    let changed = |(manifest, fog): (&[u8], &[u8]), from: &str, to: &str| {
        let text = String::from_utf8(manifest.to_vec()).unwrap();
        assert!(text.contains(from), "{from}");
        Session::load(text.replace(from, to).as_bytes(), fog, Backend::fastest()).err()
    };
    for (pair, from, to) in [
        (
            WAYS,
            r#""way": 2
"#,
            r#""way": 3
"#,
        ),
        (EXTENSION, r#""extends""#, r#""exten""#),
        (APPEAL, r#""appeal""#, r#""margins""#),
    ] {
        let (from, to) = (from.replace("\\n", "\n"), to.replace("\\n", "\n"));
        let error = changed(pair, &from, &to);
        assert!(
            matches!(error, Some(LoadError::Mismatch(_) | LoadError::Manifest(_))),
            "{error:?}"
        );
    }
}

#[test]
fn a_way_that_begins_before_its_choice_is_refused() {
    let (manifest, fog) = WAYS;
    let changed = |change: fn(&mut serde_json::Value)| {
        let mut value = serde_json::from_slice(manifest).unwrap();
        change(&mut value);
        Session::load(value.to_string().as_bytes(), fog, Backend::fastest()).err()
    };
    assert_eq!(changed(|_| ()), None);
    let changes: [fn(&mut serde_json::Value); 2] = [
        // Its samples would already have run the blocks before it on the first way.
        |value| {
            let ways = value["exits"][0].as_object_mut().unwrap().remove("ways").unwrap();
            value["exits"][1]["ways"] = ways;
        },
        |value| value["exits"][1]["ways"] = value["exits"][0]["ways"].clone(),
    ];
    for change in changes {
        let error = changed(change);
        assert!(error.is_some(), "taken as if nothing were wrong");
    }
}
