//! `fogline watch`: scripted cameras, a folder, a real broker that is killed, and the real function.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::bench::{Bench, lines, variable};
use crate::cameras::{Cameras, Manner, Shot};
use crate::cloud::{Say, scripted};
use crate::door::Door;
use crate::mosquitto::{Mosquitto, Subscriber};

const AT_ONCE: Manner = Manner::Snapshot(Duration::ZERO);

/// Samples of which an exit is sure, which makes their answers the same everywhere.
const SURE: [&str; 4] = ["airplane", "automobile", "ship", "truck"];

/// `watch` with access to the network, where brokers are.
fn command(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = Command::new(variable("FOGLINE_WASMTIME"));
    command.args(["run", "--allow-precompiled", "-S", "http,inherit-network", "--dir", "."]);
    command.arg(variable("FOGLINE_COMPONENT")).args(["watch", "--model", "."]).args(arguments);
    command.current_dir(&bench.folder);
    command
}

/// Runs to the end. Returns the lines.
fn watched(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    let output = command(bench, arguments).output().unwrap();
    lines(&output).1
}

fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

fn sample(bench: &Bench, name: &str) -> Vec<u8> {
    fs::read(bench.path(&format!("{name}.png"))).unwrap()
}

/// What a camera shows, in blocks of equal pictures.
struct Blocks {
    pictures: Vec<Vec<u8>>,
    /// The block of each frame that was sent whole.
    sent: Arc<Mutex<Vec<usize>>>,
}

/// The frames of a block, and which of them is another picture.
const BLOCK: usize = 25;
const FLICKER: usize = 12;
/// Answers in a row that make a state.
const EQUAL: usize = 3;

impl Blocks {
    fn new(bench: &Bench) -> Self {
        Self {
            pictures: SURE.iter().map(|name| sample(bench, name)).collect(),
            sent: Arc::default(),
        }
    }

    /// The next frame.
    fn shot(&self) -> Shot {
        let mut sent = self.sent.lock().unwrap();
        let (block, within) = (sent.len() / BLOCK, sent.len() % BLOCK);
        sent.push(block);
        let picture = if within == FLICKER { block + 1 } else { block };
        Shot::Picture(self.pictures[picture % SURE.len()].clone())
    }
}

/// A run of `watch`, whose lines are read while it runs.
struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Running {
    fn start(bench: &Bench, arguments: &[&str]) -> Self {
        let mut child = command(bench, arguments).stdout(Stdio::piped()).spawn().unwrap();
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let (output, kept) = (BufReader::new(child.stdout.take().unwrap()), Arc::clone(&lines));
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, lines }
    }

    fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until so many answers are there. Returns the process's memory in KiB.
    fn wait_for(&mut self, answers: usize) -> u64 {
        while self.lines().iter().filter(|line| line["picture"].is_string()).count() < answers {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended early");
            thread::sleep(Duration::from_millis(5));
        }
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    fn ended(mut self) -> Vec<Value> {
        self.child.wait().unwrap();
        // The reader has the last line before it sees the end.
        while of(&self.lines(), "end").is_empty() {
            thread::sleep(Duration::from_millis(5));
        }
        self.lines()
    }
}

/// The states that these answers make, by the rule as the documentation has it.
fn expected(lines: &[Value]) -> Vec<(String, String)> {
    let mut states = vec![];
    let mut sources: BTreeMap<&str, (Vec<&str>, Option<&str>)> = BTreeMap::new();
    for line in lines {
        let (Some(source), Some(label)) = (line["picture"].as_str(), line["label"].as_str()) else {
            continue;
        };
        let (answers, state) = sources.entry(source).or_default();
        answers.push(label);
        let latest = answers.iter().rev().take(EQUAL);
        let all = answers.len() >= EQUAL && latest.clone().all(|answer| *answer == label);
        if all && *state != Some(label) {
            *state = Some(label);
            states.push((source.to_owned(), label.to_owned()));
        }
    }
    states
}

/// Checks that every state of a camera comes once, for its block, and in time.
fn in_time(lines: &[Value], source: &str, sent: &[usize]) {
    let mut next = 0;
    for line in of(lines, "state").into_iter().filter(|line| line["source"] == source) {
        let frame = line["frame"].as_u64().unwrap() as usize - 1;
        let block = sent[frame];
        assert_eq!(
            (block, line["state"].as_str()),
            (next, Some(SURE[block % SURE.len()])),
            "{line}"
        );
        let first = sent.iter().position(|of| *of == block).unwrap();
        assert!(frame + 1 - first <= EQUAL + 2, "{source}: {} frames late", frame - first);
        next += 1;
    }
    let frames = of(lines, "end")[0]["sources"][source]["frames"].as_u64().unwrap() as usize;
    assert!(next >= frames / BLOCK, "{source}: {next} states of {frames} frames");
}

#[test]
fn three_cameras_and_a_broker_that_is_killed() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let [fast, slow, fails] = [(); 3].map(|()| Arc::new(Blocks::new(&bench)));
    let shots = |blocks: &Arc<Blocks>| {
        let blocks = Arc::clone(blocks);
        move |_| blocks.shot()
    };
    let ms = Duration::from_millis;
    let (flaky, garbage) = (Arc::clone(&fails), sample(&bench, "cat"));
    let places = [
        format!("fast={}", cameras.add("fast", Manner::Stream(ms(15)), shots(&fast))),
        format!("slow={}", cameras.add("slow", Manner::Snapshot(ms(60)), shots(&slow))),
        format!(
            "fails={}",
            cameras.add("fails", AT_ONCE, move |shot| match shot % 120 {
                40 => Shot::Status(500),
                80 => Shot::Half(garbage.clone()),
                _ => flaky.shot(),
            })
        ),
    ];
    let mut broker = Mosquitto::start();
    let subscriber = Subscriber::of(&broker);
    let mut door = Door::to(&format!("http://{}/", broker.address));
    let mqtt = door.url.replace("http://", "mqtt://");
    let arguments = ["--frames", "2000", "--interval", "0.01", "--answers", "--mqtt", &mqtt];
    let arguments = [&arguments[..], &places.each_ref().map(String::as_str)].concat();
    let mut run = Running::start(&bench, &arguments);
    let early = run.wait_for(600);
    door.shut();
    // The broker passes on what it has acknowledged.
    thread::sleep(ms(300));
    broker.kill();
    run.wait_for(1000);
    broker.restart();
    subscriber.wait(2);
    door.open();
    let late = run.wait_for(1900);
    let lines = run.ended();
    assert!(late < early + (8 << 10), "{early} KiB after 600 frames, {late} after 1900");

    let states = of(&lines, "state");
    let found = states.iter().map(|line| {
        let text = |key: &str| line[key].as_str().unwrap().to_owned();
        (text("source"), text("state"))
    });
    assert_eq!(found.collect::<Vec<_>>(), expected(&lines));
    in_time(&lines, "slow", &slow.sent.lock().unwrap());
    in_time(&lines, "fails", &fails.sent.lock().unwrap());
    let end = of(&lines, "end")[0];
    assert!(end["sources"]["fails"]["outages"].as_u64() >= Some(1), "{end}");
    let still_away = end["sources"].as_object().unwrap().values().filter(|at| at["away"] == true);
    assert_eq!(of(&lines, "away").len(), of(&lines, "back").len() + still_away.count());
    assert_eq!(
        (of(&lines, "connected").len(), of(&lines, "disconnected").len()),
        (2, 1),
        "the broker was away once"
    );

    // Each state arrived at the subscriber, as it was printed; what was on its way when the broker died came again.
    let mut arrived: BTreeMap<u64, usize> = BTreeMap::new();
    for message in subscriber.messages() {
        if message.kept || !message.topic.ends_with("/state") {
            continue;
        }
        let state: Value = serde_json::from_str(&message.text).unwrap();
        let sequence = state["sequence"].as_u64().unwrap();
        assert_eq!(states[sequence as usize - 1], &state);
        assert_eq!(
            message.topic,
            format!("fogline/gateway/{}/state", state["source"].as_str().unwrap())
        );
        *arrived.entry(sequence).or_default() += 1;
    }
    assert_eq!(arrived.len(), states.len());
    let again = arrived.values().sum::<usize>() - arrived.len();
    assert!(again <= 16 + 3, "{again} came again: more than can be on their way");
    assert_eq!(end["mqtt"]["dropped"], 0, "{end}");
    assert_eq!(end["mqtt"]["waiting"], 0, "{end}");
    assert_eq!(subscriber.last("fogline/gateway/status").as_deref(), Some("offline"));
    for source in ["fast", "slow", "fails"] {
        let topic = format!("homeassistant/sensor/fogline_gateway_{source}/config");
        let found: Value = serde_json::from_str(&subscriber.last(&topic).unwrap()).unwrap();
        assert_eq!(found["state_topic"], format!("fogline/gateway/{source}/state"));
        assert!(found["options"].as_array().unwrap().contains(&"truck".into()));
    }
}

#[test]
fn a_gateway_that_dies_is_offline_and_messages_beyond_the_limit_are_counted() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let blocks = Blocks::new(&bench);
    let door = format!("door={}", cameras.add("door", AT_ONCE, move |_| blocks.shot()));
    let broker = Mosquitto::with("allow_anonymous true\n");
    let subscriber = Subscriber::of(&broker);
    let mqtt = format!("mqtt://{}", broker.address);
    let mut run =
        Running::start(&bench, &[&door, "--interval", "0.01", "--answers", "--mqtt", &mqtt]);
    run.wait_for(60);
    run.child.kill().unwrap();
    while subscriber.last("fogline/gateway/status").as_deref() != Some("offline") {
        thread::sleep(Duration::from_millis(5));
    }
    // Nobody listens there.
    let arguments = ["--interval", "0.001", "--equal", "1", "--frames", "400", "--mqtt-queue", "5"];
    let nobody = ["--mqtt", "mqtt://127.0.0.1:1", "--mqtt-discovery", "none"];
    let lines = watched(&bench, &[&[door.as_str()], &arguments[..], &nobody].concat());
    let mqtt = &of(&lines, "end")[0]["mqtt"];
    assert_eq!(
        (&mqtt["connected"], &mqtt["published"], &mqtt["waiting"]),
        (&false.into(), &0.into(), &5.into())
    );
    assert!(mqtt["dropped"].as_u64().unwrap() > 10, "{mqtt}");
    assert_eq!(of(&lines, "disconnected")[0]["error"], "mqtt_unreachable");
}

#[test]
fn a_broker_that_wants_a_password_says_so_and_takes_it() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let ship = sample(&bench, "ship");
    let door =
        format!("door={}", cameras.add("door", AT_ONCE, move |_| Shot::Picture(ship.clone())));
    // The hash of `open sesame`, as mosquitto_passwd makes it (PBKDF2 with SHA-512).
    let users = tempfile::tempdir().unwrap();
    let file = users.path().join("users");
    fs::write(&file, "gate:$7$101$+nJSA8J4xZtKCNrJ$TGm6aJufYcgdkE+HT7wc50PfvbE2FOr3CBpYpqad20J+7Ksqof2/8Sve+2Rx7xbgKQdu8udfLra4wR+xVah1TA==\n").unwrap();
    let broker =
        Mosquitto::with(&format!("allow_anonymous false\npassword_file {}\n", file.display()));
    let mqtt = format!("mqtt://{}", broker.address);
    let arguments =
        [&door, "--frames", "30", "--interval", "0.1", "--mqtt", &mqtt, "--mqtt-user", "gate"];
    let refused = watched(&bench, &arguments);
    assert_eq!(of(&refused, "disconnected")[0]["error"], "mqtt_refused");
    fs::write(bench.path("password"), "open sesame\n").unwrap();
    let taken = watched(&bench, &[&arguments[..], &["--mqtt-password-file", "password"]].concat());
    assert_eq!(of(&taken, "connected").len(), 1, "{taken:?}");
}

#[test]
fn still_frames_are_skipped_once_the_state_is_known_and_a_crop_is_cut_out() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let (ship, truck) = (sample(&bench, "ship"), sample(&bench, "truck"));
    let url = cameras.add("yard", AT_ONCE, move |shot| {
        Shot::Picture(if shot < 20 { ship.clone() } else { truck.clone() })
    });
    let url = url.replace("http://", "http://admin:secret@");
    fs::write(
        bench.path("cameras.toml"),
        format!("[yard]\nurl = \"{url}\"\nmotion = 0.01\ncrop = \"0,0,1,1\"\ninterval = 0.01\nequal = 2\n"),
    )
    .unwrap();
    let lines = watched(&bench, &["--sources", "cameras.toml", "--frames", "40"]);
    let states: Vec<_> = of(&lines, "state").iter().map(|line| line["state"].clone()).collect();
    assert_eq!(states, ["ship", "truck"]);
    let yard = &of(&lines, "end")[0]["sources"]["yard"];
    assert_eq!(
        (&yard["frames"], &yard["answers"], &yard["still"]),
        (&40.into(), &4.into(), &36.into())
    );
    assert_eq!(cameras.login().as_deref(), Some("Basic YWRtaW46c2VjcmV0"));
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
    let watch = ["inbox=inbox", "--interval", "0.05", "--equal", "1", "--answers"];
    let mut run = Running::start(&bench, &[&watch[..], &["--frames", "2"]].concat());
    thread::sleep(Duration::from_secs(1));
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
    let published: Value =
        serde_json::from_str(&subscriber.last("fogline/gateway/drift").unwrap()).unwrap();
    assert_eq!(&published, drifting[0]);
    let metrics = fs::read_to_string(bench.path("fogline.prom")).unwrap();
    assert!(metrics.contains("\nfogline_drifting 1\n"), "{metrics}");
    assert!(metrics.contains("fogline_samples_total{origin=\"exit-1\"} 250"), "{metrics}");
    let off = watched(&bench, &[&watch[..5], &["--drift", "off"]].concat());
    assert!(of(&off, "drifting").is_empty() && of(&off, "end")[0]["drift"].is_null());
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
    for (arguments, word, hint) in [
        (&["--frames", "1"][..], "source_missing", "--sources"),
        (&["rtsp://u:pw@camera/1"], "source_url", "Motion JPEG"),
        (&["a b=http://x"], "source_name", "letters"),
        (&["a=http://x", "a=http://y"], "source_name", "two"),
        (&["nowhere"], "source_folder", "--dir"),
        (&["--sources", "bad.toml"], "sources_syntax", "line 5"),
        (&["http://x", "--mqtt", "mqtts://broker"], "mqtt_url", "TLS"),
        (&["http://x", "--crop", "0,0,2,1"], "crop", "0.25,0,0.5,1"),
    ] {
        let said = said(arguments);
        assert!(said.contains(word) && said.contains(hint), "{arguments:?}: {said}");
        assert!(!said.contains("pw@"), "{said}");
    }
}

/// Thirty cameras with a frame a second each: prints the share of a core. `cargo xtask test --soak` runs it.
#[test]
#[ignore = "measures"]
fn thirty_cameras_at_a_frame_a_second() {
    let (bench, cameras) = (Bench::new(), Cameras::new());
    let pictures: Vec<_> = SURE.iter().map(|name| sample(&bench, name)).collect();
    let places: Vec<_> = (0..30)
        .map(|at| {
            let pictures = pictures.clone();
            let url = cameras.add(&format!("c{at}"), AT_ONCE, move |shot| {
                Shot::Picture(pictures[(shot / 10 + at) % 4].clone())
            });
            format!("c{at}={url}")
        })
        .collect();
    let places: Vec<_> = places.iter().map(String::as_str).collect();
    let run =
        Running::start(&bench, &[&places[..], &["--frames", "1800", "--heartbeat", "10"]].concat());
    let pid = run.child.id();
    let cpu = thread::spawn(move || {
        let mut ticks = 0;
        // utime and stime, the 14th and 15th fields, in hundredths of a second.
        while let Ok(stat) = fs::read_to_string(format!("/proc/{pid}/stat")) {
            let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            let (Ok(user), Ok(system)) = (fields[11].parse::<u64>(), fields[12].parse::<u64>())
            else {
                break;
            };
            if fields[0] == "Z" {
                break;
            }
            ticks = user + system;
            thread::sleep(Duration::from_millis(100));
        }
        ticks
    });
    let lines = run.ended();
    let end = of(&lines, "end")[0];
    let (seconds, cpu) = (end["seconds"].as_f64().unwrap(), cpu.join().unwrap() as f64 / 100.0);
    println!("30 cameras: 1800 frames in {seconds:.1} s, {:.1}% of a core", cpu / seconds * 100.0);
    assert!(of(&lines, "away").is_empty());
}
