//! `fogline watch`: scripted cameras, a folder, a real broker that is killed, and the real function.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::bench::{Bench, lines, variable};
use crate::cameras::{Cameras, Manner, Shot};
use crate::door::Door;
use crate::mosquitto::{Mosquitto, Subscriber};

pub const AT_ONCE: Manner = Manner::Snapshot(Duration::ZERO);

/// Samples of which an exit is sure, which makes their answers the same everywhere.
pub const SURE: [&str; 4] = ["airplane", "automobile", "ship", "truck"];

/// `watch` with access to the network, where brokers are.
pub fn command(bench: &Bench, arguments: &[&str]) -> Command {
    let mut command = Command::new(variable("FOGLINE_WASMTIME"));
    command.args(["run", "--allow-precompiled", "-S", "http,inherit-network", "--dir", "."]);
    command.arg(variable("FOGLINE_COMPONENT")).args(["watch", "--model", "."]).args(arguments);
    command.current_dir(&bench.folder);
    command
}

/// Runs to the end. Returns the lines.
pub fn watched(bench: &Bench, arguments: &[&str]) -> Vec<Value> {
    let output = command(bench, arguments).output().unwrap();
    lines(&output).1
}

pub fn of<'a>(lines: &'a [Value], event: &str) -> Vec<&'a Value> {
    lines.iter().filter(|line| line["event"] == event).collect()
}

pub fn sample(bench: &Bench, name: &str) -> Vec<u8> {
    fs::read(bench.path(&format!("{name}.png"))).unwrap()
}

/// Waits until something is so, for at most a minute.
pub fn patiently(what: &str, mut is: impl FnMut() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_mins(1), "waited in vain for {what}");
        thread::sleep(Duration::from_millis(5));
    }
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
pub struct Running {
    child: Child,
    lines: Arc<Mutex<Vec<Value>>>,
}

impl Running {
    pub fn start(bench: &Bench, arguments: &[&str]) -> Self {
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

    pub fn lines(&self) -> Vec<Value> {
        self.lines.lock().unwrap().clone()
    }

    /// Waits until so many answers are there. Returns the process's memory in KiB.
    pub fn wait_for(&mut self, answers: usize) -> u64 {
        patiently("answers", || {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended early");
            let lines = self.lines();
            lines.iter().filter(|line| line["picture"].is_string()).count() >= answers
        });
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    pub fn ended(mut self) -> Vec<Value> {
        self.child.wait().unwrap();
        // The reader has the last line before it sees the end.
        patiently("the last line", || !of(&self.lines(), "end").is_empty());
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

    let status = || subscriber.last("fogline/gateway/status");
    patiently("the farewell", || status().as_deref() == Some("offline"));

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
    let status = || subscriber.last("fogline/gateway/status");
    patiently("the will", || status().as_deref() == Some("offline"));
    // Nobody listens there.
    let arguments =
        ["--interval", "0.001", "--equal", "1", "--frames", "400", "--mqtt-queue", "32"];
    let nobody = ["--mqtt", "mqtt://127.0.0.1:1", "--mqtt-discovery", "none"];
    let lines = watched(&bench, &[&[door.as_str()], &arguments[..], &nobody].concat());
    let mqtt = &of(&lines, "end")[0]["mqtt"];
    assert_eq!(
        (&mqtt["connected"], &mqtt["published"], &mqtt["waiting"]),
        (&false.into(), &0.into(), &32.into())
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
