//! The header `traceparent`, from a client of the gateway to the function.

use std::fs;

use fogline::trace::Traceparent;

use crate::bench::{Bench, lines};
use crate::cloud::{Say, scripted};
use crate::server::{Server, ask};

#[test]
fn tries_of_a_request_are_spans_of_one_trace_and_requests_are_traces() {
    let bench = Bench::new();
    bench.never_sure();
    let cloud = scripted(|request| if request == 0 { Say::Status(503, "") } else { Say::Scores });
    let one_each = ["classify", "frog.png", "ship.png", "--model", ".", "--json", "--batch", "1"];
    let (success, answers) = lines(&bench.run(&[&one_each[..], &["--cloud", &cloud.url]].concat()));
    assert!(success && answers.iter().all(|answer| answer["origin"] == "cloud"), "{answers:?}");
    let traces = cloud.traces();
    assert_eq!(traces.len(), 3, "{traces:?}");
    for (trace, id) in &traces {
        assert!(trace.trace_id == *id && trace.sampled, "{traces:?}");
    }
    let [first, again, other] = [0, 1, 2].map(|request| traces[request].0);
    assert_eq!(first.trace_id, again.trace_id);
    assert_ne!(first.trace_id, other.trace_id);
    assert!(first.span_id != again.span_id && again.span_id != other.span_id, "{traces:?}");
}

#[test]
fn a_signed_request_has_a_trace_that_is_not_signed() {
    let bench = Bench::new();
    bench.never_sure();
    let cloud = scripted(|_| Say::Scores);
    let keys = ["AWS_ACCESS_KEY_ID=A", "AWS_SECRET_ACCESS_KEY=b", "AWS_REGION=eu-central-1"];
    let line = ["classify", "frog.png", "--model", ".", "--json", "--iam", "--cloud", &cloud.url];
    let (success, answers) = lines(&bench.command_in(&keys, &line).output().unwrap());
    assert!(success, "{answers:?}");
    let signed = cloud.header("authorization").unwrap();
    assert!(signed.contains("SignedHeaders=content-type;host;x-amz-date,"), "{signed}");
    assert_eq!(cloud.traces().len(), 1);
}

#[test]
fn a_client_s_trace_is_passed_on_for_its_own_request_alone() {
    let cloud = scripted(|_| Say::Scores);
    let server = Server::never_sure(&[&format!("FOGLINE_CLOUD={}", cloud.url)]);
    let picture = fs::read(server.bench.path("frog.png")).unwrap();
    let client = Traceparent { trace_id: [0x4b; 16], span_id: [0x0f; 8], sampled: false };
    let valid = format!("traceparent: {client}\r\n");
    let invalid = "traceparent: 00-4b-0f-01\r\n";
    // On one connection, so that the requests come one after the other, and an instance may serve all.
    let mut stream = server.connect();
    for headers in [&valid, "", invalid, &[&valid[..], &valid].concat(), &valid] {
        let head = format!("content-type: image/png\r\n{headers}");
        let reply = ask(&mut stream, "POST", "/classify", &head, &picture);
        assert_eq!(reply.answers()[0]["origin"], "cloud");
    }
    let traces = cloud.traces();
    let is_passed_on: Vec<_> =
        traces.iter().map(|(trace, _)| trace.trace_id == client.trace_id).collect();
    assert_eq!(is_passed_on, [true, false, false, false, true], "{traces:?}");
    for (trace, id) in &traces {
        let is_own = trace.trace_id == *id && trace.sampled;
        let is_clients = trace.trace_id == client.trace_id && !trace.sampled;
        assert!(is_own || is_clients, "{traces:?}");
        assert_ne!(trace.span_id, client.span_id);
    }
}
