//! Audits, hard pictures and drift: through `watch`, `classify` and `serve`.

use std::fs;

use serde_json::Value;

use crate::bench::{Bench, variable};
use crate::cameras::{Cameras, Shot};
use crate::cloud::{Say, scripted};
use crate::mosquitto::{Mosquitto, Subscriber};
use crate::server::Server;
use crate::watch::{AT_ONCE, SURE, of, patiently, sample, watched};

#[test]
fn audits_and_hard_pictures_through_the_real_function() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let pictures = SURE.map(|name| sample(&bench, name));
    let door = format!(
        "door={}",
        cameras.add("door", AT_ONCE, move |shot| Shot::Picture(pictures[shot % 4].clone()))
    );
    let cloud = variable("FOGLINE_CLOUD");
    let audit = ["--audit-rate", "1", "--cloud", &cloud, "--keep-hard", "hard", "--answers"];
    let lines =
        watched(&bench, &[&[&*door, "--frames", "8", "--interval", "0.01"], &audit[..]].concat());
    let end = of(&lines, "end")[0];
    let audits = &end["audits"];
    let count = |outcome: &str| audits[outcome].as_u64().unwrap();
    assert_eq!(count("agreed") + count("disagreed") + count("unanswered"), 8, "{end}");
    assert_eq!(count("unanswered"), 0);
    let answered = |line: &&Value| line["audit"]["agrees"] == false;
    let contradicted = lines.iter().filter(answered).count() as u64;
    assert_eq!(contradicted, count("disagreed"));
    assert_eq!(end["hard"]["kept"], contradicted, "only those that the cloud contradicts");
    // A cloud that always says airplane contradicts a ship.
    let (contrary, ship) = (scripted(|_| Say::Scores), sample(&bench, "ship"));
    let sea = format!("sea={}", cameras.add("sea", AT_ONCE, move |_| Shot::Picture(ship.clone())));
    let audit = ["--audit-rate", "1", "--cloud", &contrary.url, "--keep-hard", "contrary"];
    let some = ["--frames", "3", "--interval", "0.01"];
    let lines = watched(&bench, &[&[&*sea], &some[..], &audit[..]].concat());
    let end = of(&lines, "end")[0];
    assert_eq!((&end["audits"]["disagreed"], &end["hard"]["kept"]), (&3.into(), &3.into()));
    assert_eq!(fs::read_dir(bench.path("contrary/ship")).unwrap().count(), 6);
    let crop = ["--crop", "0,0,1,0.5", "--keep-hard", "part"];
    watched(&bench, &[&[&*sea], &some[..], &audit[..4], &crop[..]].concat());
    let notes = fs::read_dir(bench.path("part")).unwrap().map(|label| label.unwrap().path());
    let notes =
        notes.flat_map(|label| fs::read_dir(label).unwrap()).map(|file| file.unwrap().path());
    for note in notes.filter(|note| note.extension().is_some_and(|is| is == "json")) {
        let note: Value = serde_json::from_str(&fs::read_to_string(note).unwrap()).unwrap();
        assert_eq!(note["crop"], serde_json::json!([0.0, 0.0, 1.0, 0.5]));
    }
    // The same through `classify`, of pictures that no exit is sure of: each is kept under its answer.
    bench.never_sure();
    let classify =
        ["classify", "ship.png", "truck.png", "--cloud", &cloud, "--keep-hard", "doubts"];
    let (_, lines) = bench.lines(&classify);
    for line in lines.iter().filter(|line| line["picture"].is_string()) {
        let folder = bench.path("doubts").join(line["label"].as_str().unwrap());
        let files: Vec<_> =
            fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
        let picture = files.iter().find(|file| file.extension().unwrap() == "png").unwrap();
        let name = line["picture"].as_str().unwrap();
        assert_eq!(fs::read(picture).unwrap(), fs::read(bench.path(name)).unwrap());
        let note: Value =
            serde_json::from_str(&fs::read_to_string(picture.with_extension("json")).unwrap())
                .unwrap();
        assert_eq!((&note["origin"], &note["scores"]), (&line["origin"], &line["scores"]));
    }
}

#[test]
fn a_camera_that_shows_the_same_for_ever_drifts() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let ship = sample(&bench, "ship");
    let sea = format!("sea={}", cameras.add("sea", AT_ONCE, move |_| Shot::Picture(ship.clone())));
    let broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mqtt = format!("mqtt://{}", broker.address);
    let watch = [&sea, "--interval", "0.003", "--frames", "250", "--mqtt", &mqtt];
    let files = ["--metrics-file", "fogline.prom", "--drift-every", "0.001"];
    let lines = watched(&bench, &[&watch[..], &files[..]].concat());
    let drifting = of(&lines, "drifting");
    assert_eq!((drifting.len(), &drifting[0]["drifting"]), (1, &true.into()), "{drifting:?}");
    assert!(drifting[0]["off"].as_array().unwrap().contains(&"exit-1".into()));
    let end = of(&lines, "end")[0];
    assert!(end["drift"]["ratios"]["exit-1"].as_f64().unwrap() > 1.0, "{end}");
    assert!(end["drift"]["ratios"]["classes"].is_null(), "only on demand");
    let published = || serde_json::from_str(&subscriber.last("fogline/gateway/drift").unwrap());
    patiently("the alarm", || published().is_ok_and(|alarm: Value| &alarm == drifting[0]));
    let metrics = fs::read_to_string(bench.path("fogline.prom")).unwrap();
    assert!(metrics.contains("\nfogline_drifting 1\n"), "{metrics}");
    assert!(metrics.contains("fogline_samples_total{origin=\"exit-1\"} 250"), "{metrics}");
    let off = watched(&bench, &[&watch[..5], &["--drift", "off"]].concat());
    assert!(of(&off, "drifting").is_empty() && of(&off, "end")[0]["drift"].is_null());
}

#[test]
fn grey_pictures_drift_and_audits_are_counted() {
    let cloud = scripted(|_| Say::Scores);
    let cloud_url = format!("FOGLINE_CLOUD={}", cloud.url);
    let server = Server::start(Bench::new(), &[&cloud_url, "FOGLINE_AUDIT_RATE=1"]);
    let ship = fs::read(server.bench.path("ship.png")).unwrap();
    let answers = server.classify("image/png", &ship).answers();
    // The scripted function gives a request's first sample class 0, which is airplane.
    assert_eq!(answers[0]["audit"]["agrees"], false, "{answers:?}");
    let grey = vec![127; 32 * 32 * 3 * 250];
    assert_eq!(server.classify("application/octet-stream", &grey).answers().len(), 250);
    let text = String::from_utf8(server.get("/metrics").body).unwrap();
    let one = "fogline_audits_total{exit=\"exit-1\",class=\"ship\",outcome=\"disagreed\"} 1";
    assert!(text.lines().any(|line| line == one), "{text}");
    let alarm = "fogline_drift_alarms_total{histogram=\"exit-1\"} 1";
    assert!(text.lines().any(|line| line == alarm), "{text}");
}
