//! `wasmtime serve`: every route, every refusal, and the metrics of both.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::thread;
use std::time::Duration;

use fogline_edge::device::picture;
use serde_json::Value;

use crate::bench::{Bench, huge, variable};
use crate::cloud::{Say, scripted};
use crate::server::{Reply, Server, ask, promise, read};

const PIXELS: &str = "application/octet-stream";

fn file(server: &Server, name: &str) -> Vec<u8> {
    fs::read(server.bench.path(name)).unwrap()
}

/// A sample as pixels of the pair's input size.
fn pixels(server: &Server, name: &str) -> Vec<u8> {
    let rgba = image::open(server.bench.path(name)).unwrap().into_rgba8();
    picture::from_rgba(&rgba, rgba.width(), rgba.height(), 32).unwrap()
}

/// A multipart form with files, as curl sends it.
fn form(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = vec![];
    for (name, file) in files {
        let head = format!(
            "--edge\r\ncontent-disposition: form-data; name=\"picture\"; filename=\"{name}\"\r\n\r\n"
        );
        body.extend([head.as_bytes(), file, b"\r\n"].concat());
    }
    body.extend(b"--edge--\r\n");
    body
}

const FORM: &str = "multipart/form-data; boundary=edge";

#[test]
fn every_route_answers() {
    let server = Server::start(Bench::new(), &[]);
    assert_eq!(server.get("/health").json()["status"], "live");
    let ready = server.get("/ready?now").json();
    assert_eq!((&ready["status"], &ready["cloud"]), (&"ready".into(), &"not_configured".into()));
    assert_eq!(ready["pair"]["name"], "cifar10-w1");
    let counters = server.counters();
    assert!(counters.values().all(|&number| number == 0.0), "{counters:?}");
    // Series exist before anything is counted.
    for name in ["samples_total cloud", "degraded_total cloud_late", "refused_total busy"] {
        assert!(counters.contains_key(&format!("fogline_{name}")), "{counters:?}");
    }
    let text = String::from_utf8(server.get("/metrics").body).unwrap();
    for gauge in
        ["in_flight 0", "circuit_open 0", "build_info{version=", "pair_info{name=\"cifar10-w1\","]
    {
        assert!(text.contains(&format!("\nfogline_{gauge}")), "{text}");
    }
    let page = server.get("/");
    let text = String::from_utf8_lossy(&page.body);
    assert!(text.contains("cifar10-w1") && text.contains("simd128"), "{text}");
    // Nothing from other hosts, no scripts, and only the page's own style.
    let policy = page.header("content-security-policy").unwrap();
    let nonce = policy.split('\'').find_map(|word| word.strip_prefix("nonce-")).unwrap();
    assert!(policy.starts_with("default-src 'none'; style-src 'nonce-"), "{policy}");
    assert!(text.contains(&format!("<style nonce=\"{nonce}\">")), "{text}");
    assert!(!text.contains("://") && !text.contains("<script"), "{text}");
    let head = ask(&mut server.connect(), "HEAD", "/", "", b"");
    assert_eq!((head.status, head.body.len()), (200, 0));
    server.get("/else").refused(404, "not_found");
    for (method, path, allowed) in
        [("GET", "/classify", "POST"), ("POST", "/health", "GET, HEAD"), ("PUT", "/", "GET, HEAD")]
    {
        let reply = ask(&mut server.connect(), method, path, "", b"");
        reply.refused(405, "method_not_allowed");
        assert_eq!(reply.header("allow"), Some(allowed));
    }
}

#[test]
fn a_picture_is_answered_as_the_command_answers_it() {
    let server = Server::start(Bench::new(), &[]);
    for name in ["frog.png", "ship.png"] {
        let (_, line) = server.bench.classify(name, None);
        let by_file = server.classify("image/png", &file(&server, name)).answers().remove(0);
        let by_pixels = server.classify(PIXELS, &pixels(&server, name)).answers().remove(0);
        for part in ["label", "index", "confidence", "scores", "origin", "degraded", "exits"] {
            assert!(line.get(part).is_some(), "{line}");
            assert_eq!((&by_file[part], &by_pixels[part]), (&line[part], &line[part]), "{part}");
        }
    }
}

#[test]
fn several_pictures_are_answered_in_their_order_and_a_bad_one_loses_no_others() {
    let server = Server::start(Bench::new(), &[]);
    let (frog, ship) = (file(&server, "frog.png"), file(&server, "ship.png"));
    let body = form(&[("a.png", &frog), ("b.txt", b"no picture"), ("c.png", &ship)]);
    let answers = server.classify(FORM, &body).answers();
    let names: Vec<_> = answers.iter().map(|answer| answer["picture"].as_str().unwrap()).collect();
    assert_eq!(names, ["a.png", "b.txt", "c.png"]);
    assert_eq!(answers[1]["error"], "picture_unknown");
    let both = [pixels(&server, "frog.png"), pixels(&server, "ship.png")].concat();
    let by_pixels = server.classify(PIXELS, &both).answers();
    assert_eq!(by_pixels.len(), 2);
    for (form, pixels) in [(0, 0), (2, 1)] {
        assert!(answers[form]["scores"].is_array());
        assert_eq!(answers[form]["scores"], by_pixels[pixels]["scores"]);
    }
    let counters = server.counters();
    assert_eq!(counters["fogline_refused_total picture_unknown"], 1.0);
}

#[test]
fn what_is_no_picture_is_refused_by_status_and_word_and_counted() {
    let server = Server::start(Bench::new(), &[]);
    let frog = file(&server, "frog.png");
    let cut_form = form(&[("a.png", &frog)]);
    let cases: [(&str, &[u8], u16, &str); 13] = [
        ("image/png", b"", 422, "picture_unknown"),
        ("image/jpeg", b"GIF89a", 422, "picture_unknown"),
        ("image/png", &frog[..frog.len() / 2], 422, "picture_damaged"),
        ("image/png", &huge(), 422, "picture_size"),
        ("text/plain", &frog, 415, "unsupported_media_type"),
        ("", &frog, 415, "unsupported_media_type"),
        (PIXELS, &[0; 3071], 400, "malformed"),
        (PIXELS, b"", 400, "malformed"),
        (PIXELS, &vec![0; 257 * 3072], 413, "too_large"),
        ("multipart/form-data", &cut_form, 400, "malformed"),
        (FORM, &cut_form[..cut_form.len() - 20], 400, "malformed"),
        (FORM, b"--edge--\r\n", 400, "malformed"),
        (FORM, b"nothing of it", 400, "malformed"),
    ];
    for (content_type, body, status, word) in cases {
        println!("{content_type}, {} bytes", body.len());
        server.classify(content_type, body).refused(status, word);
    }
    // A body that is too large is refused before it has arrived, even if its length exceeds 32 bits. A body that is cut off
    // holds up nobody.
    for length in [(50 << 20) + 1, 1 << 32, 1 << 50] {
        let mut over = promise(&server, length, b"");
        read(&mut over, true).expect("a reply").refused(413, "too_large");
    }
    drop(promise(&server, 10_000, &frog[..100]));
    let answers = server.classify("image/png", &frog).answers();
    assert!(answers[0]["label"].is_string());
    let counters = server.counters();
    for (word, number) in
        [("picture_unknown", 2.0), ("unsupported_media_type", 2.0), ("too_large", 4.0)]
    {
        assert_eq!(counters[&format!("fogline_refused_total {word}")], number, "{counters:?}");
    }
}

#[test]
fn a_boundary_needs_no_quotes() {
    let server = Server::start(Bench::new(), &[]);
    let frog = file(&server, "frog.png");
    for (boundary, said) in
        [("=_a:b/c?d", "=_a:b/c?d"), ("=_a:b/c?d", "\"=_a:b/c?d\""), ("a'b", "a'b ; charset=utf-8")]
    {
        let head = format!("--{boundary}\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n");
        let end = format!("\r\n--{boundary}--\r\n");
        let body = [head.as_bytes(), &frog, end.as_bytes()].concat();
        let content_type = format!("multipart/form-data; Boundary={said}");
        assert_eq!(server.classify(&content_type, &body).answers().len(), 1, "{said}");
    }
    for none in ["", "; boundary=", "; boundary=\"\""] {
        server.classify(&format!("multipart/form-data{none}"), b"").refused(400, "malformed");
    }
}

#[test]
fn a_request_without_a_host_is_answered() {
    let server = Server::start(Bench::new(), &[]);
    let mut probe = server.connect();
    probe.write_all(b"GET /health HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(read(&mut probe, true).expect("a reply").status, 200);
}

#[test]
fn a_client_is_shown_no_backtrace() {
    let server = Server::start(Bench::new(), &[]);
    let mut client = server.connect();
    let head = "POST /classify HTTP/1.1\r\nhost: x\r\ncontent-type: image/png\r\ntransfer-encoding: chunked\r\n\r\n";
    client.write_all(head.as_bytes()).unwrap();
    client.write_all(b"zz\r\n").unwrap();
    let reply = read(&mut client, true).expect("a reply");
    assert_eq!(reply.status, 400);
    let said = reply.json()["message"].as_str().unwrap().to_owned();
    assert!(said.starts_with("the body is incomplete: ") && !said.contains('\n'), "{said}");
}

#[test]
fn a_hard_picture_is_answered_by_the_cloud_and_counted() {
    let server = Server::never_sure(&[&format!("FOGLINE_CLOUD={}", variable("FOGLINE_CLOUD"))]);
    let answers = server.classify("image/png", &file(&server, "frog.png")).answers();
    assert_eq!((&answers[0]["origin"], &answers[0]["degraded"]), (&"cloud".into(), &Value::Null));
    let sent = answers[0]["bytesSent"].as_f64().unwrap();
    assert!((400.0..1024.0).contains(&sent), "a coded map: {answers:?}");
    let counters = server.counters();
    assert_eq!(counters["fogline_samples_total cloud"], 1.0);
    assert_eq!(counters["fogline_bytes_sent_total"], sent);
    assert_eq!(server.get("/ready").json()["cloud"], "asked");
}

#[test]
fn a_cloud_that_fails_degrades_by_its_word_and_is_counted() {
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let half_open = scripted(|_| Say::Nothing);
    let dribbling = scripted(|_| Say::Dribble);
    let failing = scripted(|_| Say::Status(503, ""));
    let busy = scripted(|_| Say::Status(429, "retry-after: 60\r\n"));
    let broken = scripted(|_| Say::Break);
    for (cloud, reason) in [
        (&format!("http://{nowhere}"), "cloud_unreachable"),
        (&half_open.url, "cloud_late"),
        (&dribbling.url, "cloud_late"),
        (&failing.url, "cloud_refused"),
        (&busy.url, "cloud_refused"),
        (&broken.url, "cloud_unreachable"),
    ] {
        let server = Server::never_sure(&[&format!("FOGLINE_CLOUD={cloud}"), "FOGLINE_DEADLINE=1"]);
        let answers = server.classify("image/png", &file(&server, "frog.png")).answers();
        assert_eq!(answers[0]["degraded"]["reason"], reason, "{answers:?}");
        assert!(answers[0]["origin"].as_str().unwrap().starts_with("exit-"), "{answers:?}");
        assert_eq!(server.counters()[&format!("fogline_degraded_total {reason}")], 1.0);
    }
}

#[test]
fn a_function_of_another_version_degrades_by_its_word() {
    let bench = Bench::new();
    bench.never_sure();
    bench.change_manifest(|manifest| {
        manifest["files"]["edge.qonnx"]["sha256"] = "ab".repeat(32).into();
    });
    let server = Server::start(bench, &[&format!("FOGLINE_CLOUD={}", variable("FOGLINE_CLOUD"))]);
    let answers = server.classify("image/png", &file(&server, "frog.png")).answers();
    assert_eq!(answers[0]["degraded"]["reason"], "unknown_pair", "{answers:?}");
}

#[test]
fn instances_remember_what_they_sent_and_that_the_cloud_is_away() {
    let reason = |reply: Reply| -> String {
        reply.answers()[0]["degraded"]["reason"].as_str().unwrap().to_owned()
    };
    let cloud = scripted(|_| Say::Status(404, ""));
    let server =
        Server::never_sure(&[&format!("FOGLINE_CLOUD={}", cloud.url), "FOGLINE_MAX_OFFLOAD=0.5"]);
    let frog = pixels(&server, "frog.png");
    let reasons: Vec<_> = (0..40).map(|_| reason(server.classify(PIXELS, &frog))).collect();
    let over = reasons.iter().filter(|reason| *reason == "over_quota").count();
    assert_eq!(over + cloud.samples().len(), 40, "{reasons:?}");
    assert!((20..40).contains(&over), "{reasons:?}");
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server =
        Server::never_sure(&[&format!("FOGLINE_CLOUD=http://{nowhere}"), "FOGLINE_DEADLINE=0.1"]);
    // Each instance has to find out for itself.
    let mut reasons = (0..100).map(|_| reason(server.classify(PIXELS, &frog)));
    assert!(reasons.any(|reason| reason == "circuit_open"));
    let mut clouds = (0..100).map(|_| server.get("/ready").json()["cloud"].clone());
    assert!(clouds.any(|cloud| cloud == "left_alone"));
}

#[test]
fn a_question_to_the_cloud_holds_up_nobody_else() {
    let bench = Bench::new();
    let cloud = scripted(|_| Say::Nothing);
    let url = format!("FOGLINE_CLOUD={}", cloud.url);
    let server = Server::start(bench, &[&url, "FOGLINE_DEADLINE=5"]);
    // Samples of which an exit is sure, and others.
    let names = ["frog.png", "ship.png", "cat.png", "horse.png", "truck.png", "airplane.png"];
    let is_hard = |name: &&&str| server.bench.classify(name, None).1["degraded"].is_object();
    let (hard, easy) = (names.iter().find(is_hard), names.iter().find(|name| !is_hard(name)));
    let (hard, easy) = (file(&server, hard.unwrap()), file(&server, easy.unwrap()));
    thread::scope(|scope| {
        let waiting = scope.spawn(|| server.classify("image/png", &hard).answers());
        while cloud.samples().is_empty() {
            thread::yield_now();
        }
        let answers = server.classify("image/png", &easy).answers();
        assert_eq!(answers[0]["degraded"], Value::Null);
        assert!(!waiting.is_finished(), "the cloud gives no answer for five seconds");
        assert_eq!(waiting.join().unwrap()[0]["degraded"]["reason"], "cloud_late");
    });
}

#[test]
fn twenty_at_once_are_answered_and_their_counts_add_up_and_outlive_the_server() {
    let server = Server::start(Bench::new(), &[]);
    let frog = pixels(&server, "frog.png");
    let head = format!("content-type: {PIXELS}\r\n");
    thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let mut connection = server.connect();
                for _ in 0..10 {
                    let mut ask = || ask(&mut connection, "POST", "/classify", &head, &frog);
                    let mut reply = ask();
                    // Eight at work and eight waiting are the limit.
                    while reply.status == 503 {
                        thread::sleep(Duration::from_millis(10));
                        reply = ask();
                    }
                    assert_eq!(reply.answers().len(), 1);
                }
            });
        }
    });
    let samples = |server: &Server| -> f64 {
        let counters = server.counters();
        let of_samples = counters.iter().filter(|(name, _)| name.starts_with("fogline_samples"));
        of_samples.map(|(_, number)| number).sum()
    };
    assert_eq!(samples(&server), 200.0);
    let folder = server.bench.path("metrics");
    assert!((1..=64).contains(&fs::read_dir(&folder).unwrap().count()));
    let page = String::from_utf8(server.get("/").body).unwrap();
    assert!(page.contains("<td>200</td>"), "{page}");
    let next = Server::start(Bench::new(), &[]);
    fs::create_dir(next.bench.path("metrics")).unwrap();
    for file in fs::read_dir(folder).unwrap() {
        let file = file.unwrap();
        if file.file_type().unwrap().is_dir() {
            continue;
        }
        fs::copy(file.path(), next.bench.path("metrics").join(file.file_name())).unwrap();
    }
    assert_eq!(samples(&next), 200.0);
    next.classify(PIXELS, &frog).answers();
    assert_eq!(samples(&next), 201.0);
}

#[test]
fn what_is_wrong_with_options_or_pair_is_said_until_it_is_put_right() {
    let server = Server::start(Bench::new(), &["FOGLINE_MODEL=later"]);
    assert_eq!(server.get("/health").status, 200);
    for reply in [server.get("/ready"), server.classify("image/png", b"")] {
        reply.refused(503, "not_ready");
        assert!(reply.json()["message"].as_str().unwrap().contains("later"), "{}", reply.json());
    }
    fs::create_dir(server.bench.path("later")).unwrap();
    for name in ["edge.fog", "manifest.json"] {
        fs::copy(server.bench.path(name), server.bench.path(&format!("later/{name}"))).unwrap();
    }
    assert_eq!(server.get("/ready").status, 200);
    for (variable, word) in
        [("FOGLINE_POLICY=luck", "options"), ("FOGLINE_CONFIG=a.toml", "config_key")]
    {
        let bench = Bench::new();
        fs::write(bench.path("a.toml"), "cluod = 'http://host'").unwrap();
        let server = Server::start(bench, &[variable]);
        let reply = server.get("/ready");
        reply.refused(503, "not_ready");
        assert!(reply.json()["message"].as_str().unwrap().contains(word), "{}", reply.json());
    }
}

#[test]
fn a_damaged_count_is_said_and_costs_no_answer() {
    let bench = Bench::new();
    fs::create_dir(bench.path("metrics")).unwrap();
    fs::write(bench.path("metrics/000.counts"), "no counts").unwrap();
    let server = Server::start(bench, &[]);
    for answered in [0.0, 1.0, 2.0] {
        // Counted once, even if the file is rewritten.
        let counters = server.counters();
        assert_eq!(counters["fogline_counts_damaged_total"], 1.0, "{counters:?}");
        let samples = counters.iter().filter(|(name, _)| name.starts_with("fogline_samples"));
        assert_eq!(samples.map(|(_, number)| number).sum::<f64>(), answered);
        assert_eq!(server.classify("image/png", &file(&server, "frog.png")).answers().len(), 1);
    }
    let uncounted = Server::start(Bench::new(), &["FOGLINE_METRICS=frog.png"]);
    uncounted.get("/ready").refused(503, "not_ready");
}

#[test]
fn as_a_command_it_says_how() {
    let output = Bench::new().run(&["serve", "--model", "."]);
    assert!(!output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("error[not_a_command]") && said.contains("wasmtime serve"), "{said}");
    let help = Bench::new().run(&["serve", "--help"]);
    assert!(String::from_utf8(help.stdout).unwrap().contains("wasmtime serve -S cli"));
}
