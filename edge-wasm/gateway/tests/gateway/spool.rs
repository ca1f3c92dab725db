//! `--spool` and `fogline settle`: what the cloud missed is kept, and answered exactly once.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::bench::{Bench, lines, variable};
use crate::cloud::{Say, scripted};
use crate::door::Door;

/// A folder `set` with copies of samples, all of which go to the cloud if `hard`.
fn set(pictures: usize, hard: bool) -> Bench {
    let bench = Bench::new();
    if hard {
        bench.never_sure();
    }
    fs::create_dir(bench.path("set")).unwrap();
    let samples = ["cat", "frog", "ship", "truck", "horse", "airplane", "automobile"];
    for picture in 0..pictures {
        let sample = bench.path(&format!("{}.png", samples[picture % samples.len()]));
        fs::hard_link(sample, bench.path(&format!("set/{picture:05}.png"))).unwrap();
    }
    bench
}

/// A URL where nothing listens: its port was free a moment ago.
fn nowhere() -> String {
    format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap())
}

fn classify(bench: &Bench, cloud: &str, arguments: &[&str]) -> (bool, Vec<Value>) {
    let line = ["classify", "set", "--spool", "spool", "--deadline", "30", "--cloud", cloud];
    bench.lines(&[&line, arguments].concat())
}

/// Settles the spool. Returns whether the exit status was 0, the lines, and the text on standard error.
fn settle(bench: &Bench, cloud: &str) -> (bool, Vec<Value>, String) {
    let output =
        bench.run(&["settle", "--spool", "spool", "--model", ".", "--json", "--cloud", cloud]);
    let (success, lines) = lines(&output);
    (success, lines, String::from_utf8(output.stderr).unwrap())
}

/// A number in the last line's summary of the spool.
fn sum<'a>(lines: &'a [Value], name: &str) -> &'a Value {
    let sum = &lines.last().unwrap()["spool"][name];
    assert!(sum.is_u64(), "{name}: {lines:?}");
    sum
}

/// Pictures by the name under which they were spooled or settled; each name must occur once.
fn by_name(lines: &[Value], settled: bool) -> BTreeMap<&str, &str> {
    let mut names = BTreeMap::new();
    for line in lines.iter().filter(|line| line["settled"].is_object() == settled) {
        if let Some(name) = line["spooled"].as_str() {
            let before = names.insert(name, line["picture"].as_str().unwrap());
            assert!(before.is_none(), "twice: {line}");
        }
    }
    names
}

fn frames(bench: &Bench) -> Vec<PathBuf> {
    let files = fs::read_dir(bench.path("spool")).unwrap().map(|file| file.unwrap().path());
    let mut frames: Vec<_> =
        files.filter(|file| file.extension().is_some_and(|is| is == "frame")).collect();
    frames.sort();
    frames
}

#[test]
fn what_a_cloud_misses_is_answered_at_once_and_settled_by_the_next_that_answers() {
    let bench = set(7, true);
    let (success, away) = classify(&bench, &nowhere(), &[]);
    assert!(success);
    for line in &away[..7] {
        assert_eq!(line["degraded"]["reason"], "cloud_unreachable", "{line}");
        assert!(line["label"].is_string(), "{line}");
    }
    assert_eq!((by_name(&away, false).len(), frames(&bench).len()), (7, 7));
    assert_eq!((sum(&away, "spooled"), sum(&away, "left")), (&7.into(), &7.into()));
    let (success, late, said) = settle(&bench, &variable("FOGLINE_CLOUD"));
    assert!(success && said.is_empty(), "{said}");
    assert_eq!(by_name(&late, true), by_name(&away, false));
    assert_eq!((sum(&late, "found"), sum(&late, "settled")), (&7.into(), &7.into()));
    assert!(frames(&bench).is_empty());
    // The same answers as the cloud gives directly.
    let (_, there) = classify(&bench, &variable("FOGLINE_CLOUD"), &[]);
    for (late, there) in late[..7].iter().zip(&there) {
        assert_eq!(late["settled"]["scores"], there["scores"], "{late} {there}");
        assert_eq!(late["settled"]["origin"], "cloud");
        let sent = late["settled"]["bytesSent"].as_u64().unwrap();
        assert!((400..1024).contains(&sent), "a coded map: {late}");
    }
    assert!(by_name(&there, false).is_empty());
}

#[test]
fn a_run_settles_as_soon_as_its_cloud_answers_again() {
    let bench = set(12, true);
    let cloud = scripted(|request| if request < 6 { Say::Break } else { Say::Scores });
    let (success, lines) = classify(&bench, &cloud.url, &["--batch", "2"]);
    assert!(success);
    let spooled = by_name(&lines, false);
    assert_eq!((spooled.len(), &spooled), (4, &by_name(&lines, true)));
    let at = |settled: &str| lines.iter().position(|line| line["picture"] == settled).unwrap();
    let settled = lines.iter().position(|line| line["settled"].is_object()).unwrap();
    assert!(settled < at("set/00011.png"), "only at the end: {lines:?}");
    assert_eq!((sum(&lines, "settled"), sum(&lines, "left")), (&4.into(), &0.into()));
    assert!(frames(&bench).is_empty());
}

#[test]
fn at_the_end_of_a_run_what_is_left_is_tried_once_more() {
    let bench = set(6, true);
    // Five requests of three tries each open the circuit; the sixth is not sent.
    let cloud = scripted(|request| if request < 15 { Say::Break } else { Say::Scores });
    let (_, lines) = classify(&bench, &cloud.url, &["--batch", "1"]);
    assert_eq!(lines[5]["degraded"]["reason"], "circuit_open", "{lines:?}");
    assert_eq!((by_name(&lines, true).len(), sum(&lines, "left")), (6, &0.into()));
}

#[test]
fn strict_takes_what_was_settled_in_the_run_for_answered_and_nothing_else() {
    let strict = |script: fn(usize) -> Say| {
        let cloud = scripted(script);
        classify(&set(6, true), &cloud.url, &["--batch", "2", "--strict"])
    };
    let (success, lines) = strict(|request| if request < 3 { Say::Break } else { Say::Scores });
    assert_eq!((success, by_name(&lines, true).len()), (true, 2), "{lines:?}");
    let (success, lines) = strict(|_| Say::Break);
    assert_eq!((success, sum(&lines, "left")), (false, &6.into()));
    // This refusal is final, so it is not asked again.
    let (success, lines) = strict(|_| Say::Status(404, ""));
    assert_eq!((success, sum(&lines, "spooled")), (false, &0.into()));
}

#[test]
fn refusals_of_the_question_and_a_missing_cloud_spool_nothing() {
    let bench = set(1, true);
    let cloud = scripted(|_| Say::Status(404, ""));
    let (_, refused) = classify(&bench, &cloud.url, &[]);
    let (_, none) = bench.lines(&["classify", "set", "--spool", "spool"]);
    for lines in [refused, none] {
        assert!(lines[0]["degraded"].is_object() && lines[0].get("spooled").is_none());
        assert_eq!(sum(&lines, "spooled"), &0, "{lines:?}");
    }
}

#[test]
fn what_a_cloud_wants_a_newer_token_for_is_kept_until_it_is_shown_one() {
    for status in [401, 403] {
        let bench = set(1, true);
        let closed = scripted(move |_| Say::Status(status, ""));
        let (success, lines) = classify(&bench, &closed.url, &[]);
        assert_eq!((success, sum(&lines, "spooled")), (true, &1.into()), "{lines:?}");
        let open = scripted(|_| Say::Scores);
        let (success, late, _) = settle(&bench, &open.url);
        assert_eq!((success, sum(&late, "settled")), (true, &1.into()), "{late:?}");
    }
}

#[test]
fn a_folder_whose_pictures_were_taken_away_still_has_its_spool_settled() {
    let bench = set(2, true);
    classify(&bench, &nowhere(), &[]);
    fs::remove_dir_all(bench.path("set")).unwrap();
    fs::create_dir(bench.path("set")).unwrap();
    let cloud = scripted(|_| Say::Scores);
    let (success, late) = classify(&bench, &cloud.url, &[]);
    assert_eq!((success, sum(&late, "settled")), (true, &2.into()), "{late:?}");
}

#[test]
fn a_full_spool_drops_the_oldest_and_says_so() {
    let bench = set(300, true);
    let cloud = nowhere();
    let line = ["classify", "set", "--model", ".", "--json", "--cloud", &cloud];
    let output = bench.run(&[&line[..], &["--spool", "spool", "--spool-mib", "1"]].concat());
    let (success, answered) = lines(&output);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(success && said.matches("error[spool_full]").count() == 1, "{said}");
    // One MiB holds 256 blocks.
    assert_eq!((sum(&answered, "spooled"), sum(&answered, "dropped")), (&300.into(), &44.into()));
    let scores = scripted(|_| Say::Scores);
    let (success, late, _) = settle(&bench, &scores.url);
    assert!(success);
    let pictures: Vec<_> =
        late[..late.len() - 1].iter().map(|line| line["picture"].as_str().unwrap()).collect();
    let newest: Vec<_> = (44..300).map(|picture| format!("set/{picture:05}.png")).collect();
    assert_eq!(pictures, newest);
}

#[test]
fn altered_frames_are_put_aside_and_said_and_the_others_settled() {
    let bench = set(4, true);
    classify(&bench, &nowhere(), &[]);
    let frames = frames(&bench);
    let mut altered = fs::read(&frames[0]).unwrap();
    altered[200] ^= 1;
    fs::write(&frames[0], altered).unwrap();
    let whole = fs::read(&frames[2]).unwrap();
    fs::write(&frames[2], &whole[..100]).unwrap();
    let (success, late, said) = settle(&bench, &variable("FOGLINE_CLOUD"));
    assert!(!success);
    for file in [&frames[0], &frames[2]] {
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(said.contains("error[spool_damaged]") && said.contains(name), "{said}");
        assert!(file.with_extension("damaged").exists());
    }
    assert_eq!((sum(&late, "damaged"), sum(&late, "settled")), (&2.into(), &2.into()));
    assert!(settle(&bench, &nowhere()).0, "nothing is left to settle");
}

#[test]
fn frames_of_another_pair_stay() {
    let bench = set(2, true);
    classify(&bench, &nowhere(), &[]);
    bench.change_manifest(|manifest| {
        manifest["files"]["edge.qonnx"]["sha256"] = "ab".repeat(32).into();
    });
    let cloud = scripted(|_| Say::Scores);
    let (success, late, said) = settle(&bench, &cloud.url);
    assert!(success && said.contains("error[spool_foreign]: 2 frames"), "{said}");
    assert_eq!((sum(&late, "foreign"), sum(&late, "left")), (&2.into(), &2.into()));
    assert_eq!((cloud.samples().len(), frames(&bench).len()), (0, 2));
}

#[test]
fn a_cloud_that_is_still_away_or_refuses_leaves_the_spool_as_it_is() {
    let bench = set(2, true);
    classify(&bench, &nowhere(), &[]);
    let refusing = scripted(|_| Say::Status(404, ""));
    for (cloud, word) in [(nowhere(), "cloud_unreachable"), (refusing.url, "cloud_refused")] {
        let (success, late, said) = settle(&bench, &cloud);
        assert!(!success && said.contains(&format!("error[{word}]")), "{said}");
        assert_eq!((late.len(), sum(&late, "left")), (1, &2.into()));
    }
    let missing = ["settle", "--spool", "missing", "--model", ".", "--cloud", "http://host"];
    let said = String::from_utf8(bench.run(&missing).stderr).unwrap();
    assert!(said.contains("error[spool_unreadable]: missing"), "{said}");
}

#[test]
fn the_table_marks_what_is_spooled_and_settled() {
    let bench = set(3, true);
    let cloud = scripted(|request| if request < 3 { Say::Break } else { Say::Scores });
    let line = ["classify", "set", "--model", ".", "--spool", "spool", "--batch", "1"];
    let output = bench.run(&[&line[..], &["--cloud", &cloud.url]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let of = |what: &str| text.lines().filter(|line| line.contains(what)).count();
    assert_eq!((of(", spooled: 0000"), of("  settled: 0000")), (1, 1), "{text}");
    assert!(text.contains("1 settled, 0 dropped"), "{text}");
}

/// Classifies pictures while the cloud is out of reach from a third of the answers on, and back from two thirds on.
fn away_and_back(pictures: usize, hard: bool, away: impl Fn()) {
    let bench = set(pictures, hard);
    let mut door = Door::to(&variable("FOGLINE_CLOUD"));
    let line = ["classify", "set", "--model", ".", "--json", "--spool", "spool"];
    let mut command = bench.command(&[&line[..], &["--cloud", &door.url]].concat());
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = vec![];
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(serde_json::from_str::<Value>(&line.unwrap()).unwrap());
        match lines.len() {
            n if n == pictures / 3 => {
                away();
                door.shut();
            }
            n if n == pictures * 2 / 3 => door.open(),
            _ => {}
        }
    }
    assert!(child.wait().unwrap().success());
    let answers: Vec<_> = lines.iter().filter(|line| line["label"].is_string()).collect();
    let names: Vec<_> = answers.iter().map(|line| line["picture"].as_str().unwrap()).collect();
    let expected: Vec<_> = (0..pictures).map(|at| format!("set/{at:05}.png")).collect();
    assert_eq!(names, expected, "each once, in order");
    let degraded = answers.iter().filter(|line| line["degraded"].is_object()).count();
    let by_cloud = answers.iter().filter(|line| line["origin"] == "cloud").count();
    let by_exit = answers.iter().filter(|line| line["degraded"].is_null()).count() - by_cloud;
    let spooled = by_name(&lines, false);
    assert_eq!(spooled.len(), degraded);
    assert!(
        degraded > 0 && by_cloud > 0 && (by_exit > 0) != hard,
        "{degraded} {by_cloud} {by_exit}"
    );
    assert_eq!(sum(&lines, "spooled"), degraded);
    // The run may have ended before the cloud was back.
    let (success, late, said) = settle(&bench, &door.url);
    assert!(success, "{said}");
    let mut settled = by_name(&lines, true);
    let during = settled.len();
    settled.extend(by_name(&late, true));
    assert_eq!((settled.len(), &settled), (during + late.len() - 1, &spooled));
    assert_eq!(
        (sum(&lines, "settled"), sum(&late, "settled")),
        (&during.into(), &(late.len() - 1).into())
    );
    assert!(frames(&bench).is_empty());
    eprintln!(
        "{pictures} pictures: {by_exit} by exits, {by_cloud} by the cloud, {degraded} degraded and spooled; \
         {during} settled meanwhile, {} by settle",
        late.len() - 1
    );
}

#[test]
fn a_cloud_that_is_out_of_reach_for_a_while_costs_no_answer() {
    away_and_back(300, true, || {});
}

/// A long run of the same, in which the function's process is killed at work and restarted by the stack.
#[test]
#[ignore = "takes minutes: cargo xtask test --soak"]
fn ten_thousand_pictures_while_the_cloud_is_killed_and_restarted() {
    away_and_back(10_000, false, || {
        let function = variable("FOGLINE_FUNCTION_PID");
        assert!(Command::new("kill").args(["-KILL", &function]).status().unwrap().success());
    });
}
