//! `wasmtime serve` under load: clients that leave, clients that send slowly, and a server that is stopped.

use std::env;
use std::fs;
use std::io::Cursor;
use std::thread;
use std::time::{Duration, Instant};

use image::{ImageFormat, RgbImage};

use crate::bench::Bench;
use crate::cloud::{Say, scripted};
use crate::server::{BOUNDS, Server, THREADS, ask, leave, promise};

/// A picture of four megapixels, the largest that the systemd unit allows.
fn four_megapixels() -> Vec<u8> {
    let mut png = Cursor::new(vec![]);
    RgbImage::new(2000, 2000).write_to(&mut png, ImageFormat::Png).unwrap();
    png.into_inner()
}

fn gauge(server: &Server, name: &str) -> f64 {
    let text = String::from_utf8(server.get("/metrics").body).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).expect(name);
    line.trim().parse().unwrap()
}

/// The number of classification requests in progress or waiting.
fn slots(server: &Server) -> usize {
    fs::read_dir(server.bench.path("metrics/work")).map_or(0, Iterator::count)
}

#[test]
fn leaving_clients_memory() {
    let server = Server::start(Bench::new(), &["FOGLINE_MAX_PIXELS=4000000"]);
    let picture = four_megapixels();
    for _ in 0..150 {
        leave(&server, &picture);
    }
    assert!(gauge(&server, "fogline_in_flight ") <= 8.0);
    // 150 instances would take 150 times 30 MiB.
    assert!(server.most_memory() < 1 << 20, "{} KiB", server.most_memory());
    while gauge(&server, "fogline_in_flight ") > 0.0 {
        thread::yield_now();
    }
    assert_eq!(server.classify("image/png", &picture).answers().len(), 1);
    let counters = server.counters();
    assert_eq!(counters["fogline_counts_damaged_total"], 0.0, "{counters:?}");
}

/// For three seconds, or FOGLINE_LOAD_SECONDS: with 1200 it shows that memory stays where it is after twenty minutes.
#[test]
fn clients_that_leave_send_slowly_or_send_what_is_damaged_cost_neither_memory_nor_probes() {
    let seconds = env::var("FOGLINE_LOAD_SECONDS").map_or(3, |given| given.parse().unwrap());
    let server = Server::start(Bench::new(), &["FOGLINE_MAX_PIXELS=4000000"]);
    let (picture, frog) = (four_megapixels(), fs::read(server.bench.path("frog.png")).unwrap());
    let (began, time) = (Instant::now(), Duration::from_secs(seconds));
    let going = || began.elapsed() < time;
    let [mut scrapes, mut slowest] = [0, 0].map(Duration::from_secs);
    thread::scope(|scope| {
        for client in 0..9 {
            let (server, picture, cut) = (&server, &picture, &frog[..frog.len() / 2]);
            scope.spawn(move || {
                while going() {
                    match client % 3 {
                        0 => {
                            leave(server, picture);
                            // Without a pause most connections would overflow the kernel's queue, and cost the server nothing.
                            thread::sleep(Duration::from_millis(10));
                        }
                        1 => {
                            let slow = promise(server, 1000, b"abc");
                            thread::sleep(Duration::from_millis(500));
                            drop(slow);
                        }
                        _ => {
                            let reply = server.classify("image/png", cut);
                            assert!([422, 503].contains(&reply.status), "{reply:?}");
                        }
                    }
                }
            });
        }
        let mut minute = 0;
        while going() {
            for (path, longest) in [("/health", &mut slowest), ("/metrics", &mut scrapes)] {
                let asked = Instant::now();
                assert_eq!(server.get(path).status, 200);
                *longest = asked.elapsed().max(*longest);
            }
            if began.elapsed().as_secs() / 60 > minute {
                minute += 1;
                println!("minute {minute}: at most {} KiB so far", server.most_memory());
            }
            thread::sleep(Duration::from_millis(100));
        }
    });
    println!("/health took at most {slowest:?}, /metrics {scrapes:?}");
    // The pool of instances, as the unit bounds it: MemoryMax.
    assert!(server.most_memory() < 4_800_000, "{} KiB", server.most_memory());
    let counters = server.counters();
    assert_eq!(counters["fogline_counts_damaged_total"], 0.0, "{counters:?}");
}

#[test]
fn probes_do_not_wait_behind_work() {
    let cloud = scripted(|_| Say::Nothing);
    let cloud_url = format!("FOGLINE_CLOUD={}", cloud.url);
    let server = Server::never_sure(&[&cloud_url, "FOGLINE_DEADLINE=20"]);
    let frog = fs::read(server.bench.path("frog.png")).unwrap();
    // Eight at work, half of which send slowly while the others wait for a cloud that hangs, and eight that wait for them.
    let clients: Vec<_> = (0..16)
        .map(|at| match at % 2 {
            0 => promise(&server, 1000, b"abc"),
            _ => promise(&server, frog.len() as u64, &frog),
        })
        .collect();
    while slots(&server) < 16 {
        thread::yield_now();
    }
    for path in ["/health", "/ready", "/metrics"] {
        assert_eq!(server.get(path).status, 200);
    }
    server.classify("image/png", &frog).refused(503, "busy");
    assert_eq!(gauge(&server, "fogline_in_flight "), 8.0, "those eight still wait");
    drop(clients);
}

#[test]
fn a_server_that_is_told_to_stop_answers_what_it_has_begun_and_ends() {
    let cloud = scripted(|_| Say::Nothing);
    let cloud_url = format!("FOGLINE_CLOUD={}", cloud.url);
    let server = Server::never_sure(&[&cloud_url, "FOGLINE_DEADLINE=3"]);
    let frog = fs::read(server.bench.path("frog.png")).unwrap();
    thread::scope(|scope| {
        let clients: Vec<_> =
            (0..4).map(|_| scope.spawn(|| server.classify("image/png", &frog).answers())).collect();
        while cloud.samples().len() < 4 {
            thread::yield_now();
        }
        server.interrupt();
        for client in clients {
            assert_eq!(client.join().unwrap()[0]["degraded"]["reason"], "cloud_late");
        }
    });
    assert!(server.ended());
}

#[test]
fn a_second_signal_ends_a_server_that_a_connection_holds() {
    let server = Server::start(Bench::new(), &[]);
    let mut kept = server.connect();
    assert_eq!(ask(&mut kept, "GET", "/health", "", b"").status, 200);
    server.interrupt();
    // Two signals count as one if the second comes before the first was handled.
    thread::sleep(Duration::from_secs(1));
    server.interrupt();
    assert!(server.ended());
}

#[test]
fn the_readme_and_the_unit_have_the_bounds_that_are_tested() {
    for file in ["docs/gateway.md", "infra/gateway/fogline-serve.service"] {
        let text = fs::read_to_string(format!("../../{file}")).unwrap();
        assert!(text.contains(&format!("{}={}", THREADS.0, THREADS.1)), "{file}");
        for pair in BOUNDS.chunks(2) {
            assert!(text.contains(&pair.join(" ")), "{file} lacks {pair:?}");
        }
    }
}
