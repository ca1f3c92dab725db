//! What `fogline watch` takes: cameras, folders, and the file that lists them.

use std::fs;
use std::io::Cursor;

use image::{ImageFormat, RgbImage, imageops};
use serde_json::Value;

use crate::bench::Bench;
use crate::cameras::{Cameras, Shot};
use crate::cloud::{Say, scripted};
use crate::watch::{AT_ONCE, Running, command, of, patiently, sample, watched};

#[test]
fn still_frames_are_skipped_once_the_state_is_known_and_a_crop_is_cut_out() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    // Ship and truck side by side, and then the truck twice; only the right half is looked at.
    let [left, right] = ["ship", "truck"]
        .map(|name| image::load_from_memory(&sample(&bench, name)).unwrap().into_rgb8());
    let beside = |one: &RgbImage, other: &RgbImage| {
        let (width, height) = one.dimensions();
        let mut both = RgbImage::new(2 * width, height);
        imageops::replace(&mut both, one, 0, 0);
        imageops::replace(&mut both, other, width.into(), 0);
        let mut png = Cursor::new(vec![]);
        both.write_to(&mut png, ImageFormat::Png).unwrap();
        png.into_inner()
    };
    let (first, then) = (beside(&right, &left), beside(&left, &right));
    let url = cameras.add("yard", AT_ONCE, move |shot| {
        Shot::Picture(if shot < 20 { first.clone() } else { then.clone() })
    });
    fs::write(bench.path("password"), "se/cret\n").unwrap();
    let look = "motion = 0.01\ncrop = \"0.5,0,0.5,1\"\ninterval = 0.01\nequal = 2";
    let login = "user = \"admin\"\npassword-file = \"password\"";
    fs::write(bench.path("cameras.toml"), format!("[yard]\nurl = \"{url}\"\n{login}\n{look}\n"))
        .unwrap();
    let lines = watched(&bench, &["--sources", "cameras.toml", "--frames", "40"]);
    let states: Vec<_> = of(&lines, "state").iter().map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["ship", "truck"]);
    let yard = &of(&lines, "end")[0]["sources"]["yard"];
    assert_eq!(
        (&yard["frames"], &yard["answers"], &yard["still"]),
        (&40.into(), &4.into(), &36.into())
    );
    let login = Some("Basic YWRtaW46c2UvY3JldA==");
    assert_eq!(cameras.login().as_deref(), login);
    // The same in a URL, where a slash must be written otherwise.
    let url = url.replace("http://", "http://admin:se%2Fcret@");
    watched(&bench, &[&url, "--frames", "1"]);
    assert_eq!(cameras.login().as_deref(), login);
}

#[test]
fn a_source_escalates_no_more_often_than_it_may() {
    let (bench, cameras, cloud) = (Bench::new(), Cameras::new(), scripted(|_| Say::Scores));
    bench.never_sure();
    let frog = sample(&bench, "frog");
    let pond =
        format!("pond={}", cameras.add("pond", AT_ONCE, move |_| Shot::Picture(frog.clone())));
    let every = ["--interval", "0.01", "--escalate-every", "60", "--frames", "10"];
    let lines = watched(&bench, &[&[&*pond, "--cloud", &cloud.url], &every[..]].concat());
    let end = of(&lines, "end")[0];
    assert_eq!(cloud.samples(), [1]);
    assert_eq!(end["degraded"]["too_soon"], 9, "{end}");
    assert_eq!(end["sources"]["pond"]["offloaded"], 1, "{end}");
}

#[test]
fn a_folder_is_watched_and_what_is_there_already_only_on_demand() {
    let bench = Bench::new();
    fs::create_dir_all(bench.path("inbox/deep")).unwrap();
    fs::copy(bench.path("ship.png"), bench.path("inbox/old.png")).unwrap();
    let watch =
        ["inbox=inbox", "--interval", "0.05", "--equal", "1", "--answers", "--heartbeat", "0.3"];
    let mut run = Running::start(&bench, &[&watch[..], &["--frames", "2"]].concat());
    // It looks at the folder before its first heartbeat.
    patiently("a heartbeat", || !of(&run.lines(), "heartbeat").is_empty());
    fs::copy(bench.path("truck.png"), bench.path("inbox/deep/new.png")).unwrap();
    run.wait_for(1);
    fs::copy(bench.path("ship.png"), bench.path("inbox/deep/new.png")).unwrap();
    let lines = run.ended();
    let answers = lines.iter().filter(|line| line["picture"].is_string());
    let labels: Vec<_> =
        answers.map(|line| (line["picture"].clone(), line["label"].clone())).collect();
    let new = Value::from("inbox/deep/new.png");
    assert_eq!(
        labels,
        [(new.clone(), "truck".into()), (new, "ship".into())],
        "a changed file is a new one"
    );
    let lines = watched(&bench, &[&watch[..], &["--frames", "2", "--existing"]].concat());
    assert_eq!(lines.iter().filter(|line| line["label"] == "ship").count(), 2);
}

#[test]
fn a_camera_that_sends_no_pictures_is_away_and_one_bad_frame_is_not() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let ship = sample(&bench, "ship");
    let url = cameras.add("door", AT_ONCE, move |shot| {
        let page = b"<html>Log in</html>".to_vec();
        Shot::Picture(if shot == 3 || (10..20).contains(&shot) { page } else { ship.clone() })
    });
    let lines = watched(&bench, &[&url, "--interval", "0.01", "--frames", "30"]);
    let [away, back] = ["away", "back"].map(|event| of(&lines, event));
    assert_eq!((away.len(), back.len()), (1, 1), "{lines:?}");
    assert_eq!(away[0]["error"], "picture_unknown");
    let end = of(&lines, "end")[0];
    assert_eq!(end["sources"]["source-1"]["unreadable"], 11, "{end}");
}

#[test]
fn mistakes_in_sources_are_named() {
    let bench = Bench::new();
    let said = |arguments: &[&str]| {
        let output = command(&bench, arguments).output().unwrap();
        assert!(!output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    fs::write(bench.path("bad.toml"), "[a]\nurl = \"http://x\"\n\n[b]\nuri = \"http://y\"\n")
        .unwrap();
    fs::create_dir_all(bench.path("in/deep")).unwrap();
    let many = ["http://x"; 51];
    for (arguments, word, hint) in [
        (&["--frames", "1"][..], "source_missing", "--sources"),
        (&["rtsp://u:pw@camera/1?pw=pw@"], "source_url", "Motion JPEG"),
        (&["http://u:a/pw@camera/1"], "source_url", "%2F"),
        (&["u:pw@camera/1"], "source_url", "http://"),
        (&["http://x", "--mqtt", "mqtt://u:pw@broker"], "mqtt_url", "--mqtt-user"),
        (&["a b=http://x"], "source_name", "letters"),
        (&["a=http://x", "a=http://y"], "source_name", "two"),
        (&["nowhere"], "source_folder", "--dir"),
        (&["x="], "source_folder", "--dir"),
        (&many, "source_limit", "50"),
        (&[".", "--keep-hard", "./hard"], "keep_hard_unusable", "watched"),
        (&["in/deep", "--keep-hard", "in"], "keep_hard_unusable", "watched"),
        (&["http://x", "--metrics-file", "no/such.prom"], "metrics_unusable", "no/such.prom"),
        (&["--sources", "bad.toml"], "sources_syntax", "line 5"),
        (&["http://x", "--mqtt", "mqtts://broker"], "mqtt_url", "TLS"),
        (&["http://x", "--crop", "0,0,2,1"], "crop", "0.25,0,0.5,1"),
    ] {
        let said = said(arguments);
        assert!(said.contains(word) && said.contains(hint), "{arguments:?}: {said}");
        assert!(!said.contains("pw"), "{said}");
    }
}
