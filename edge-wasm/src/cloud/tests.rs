use core::cell::{Cell, RefCell};
use core::num::NonZeroU32;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use fogline::frame::{Request, Response, Tensor};
use fogline::refusal::Refusal;

use super::circuit::{FAULTS, FIRST, LONGEST};
use super::client::{MOST_CHARACTERS, refusal};
use super::*;

/// Answers from a list. Its clock only moves by pauses, and by `cost` per post.
struct Script {
    replies: RefCell<Vec<Result<Reply, TransportError>>>,
    clock: Cell<Duration>,
    cost: Duration,
    pauses: RefCell<Vec<Duration>>,
    bodies: RefCell<Vec<Vec<u8>>>,
    /// While set, a post never ends.
    hangs: Cell<bool>,
}

impl Transport for &Script {
    async fn post(&self, body: &[u8], _: Duration) -> Result<Reply, TransportError> {
        self.clock.set(self.clock.get() + self.cost);
        self.bodies.borrow_mut().push(body.to_vec());
        if self.hangs.get() {
            core::future::pending::<()>().await;
        }
        self.replies.borrow_mut().remove(0)
    }

    async fn pause(&self, duration: Duration) {
        self.clock.set(self.clock.get() + duration);
        self.pauses.borrow_mut().push(duration);
    }

    fn now(&self) -> Duration {
        self.clock.get()
    }

    fn random(&self) -> [u8; 16] {
        // Half of the range: 0.5 as a fraction.
        u128::from(u32::MAX / 2).to_le_bytes()
    }

    fn function_ms(&self) -> Option<f64> {
        Some(self.bodies.borrow().len() as f64)
    }
}

fn script(replies: Vec<Result<Reply, TransportError>>) -> Script {
    Script {
        replies: RefCell::new(replies),
        clock: Cell::default(),
        cost: Duration::from_millis(10),
        pauses: RefCell::default(),
        bodies: RefCell::default(),
        hangs: Cell::default(),
    }
}

fn request() -> Request {
    let tensor = Tensor { shape: [8, 1, 1], bits: 1, bytes: vec![7] };
    Request { pair: [1; 32], request_id: [2; 16], tensors: vec![tensor] }
}

fn reply(status: u16, body: &[u8]) -> Reply {
    Reply { status, retry_after: None, body: body.to_vec() }
}

fn status(status: u16) -> Reply {
    reply(status, b"")
}

fn answer(request_id: [u8; 16], scores: Vec<Vec<f32>>) -> Reply {
    reply(200, &Response { request_id, scores }.encode().unwrap())
}

/// Asks with a single poll, which is enough because the script never waits. `None` if it hangs.
fn ask(client: &Client<&Script>, request: &Request) -> Option<Vec<Asked>> {
    match pin!(client.ask(request, None, 2)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcomes) => Some(outcomes),
        Poll::Pending => None,
    }
}

fn one(client: &Client<&Script>) -> Asked {
    let outcomes = ask(client, &request()).expect("a script never waits");
    let [outcome] = outcomes.try_into().expect("one outcome for one sample");
    outcome
}

fn client(script: &Script) -> Client<&Script> {
    Client::new(script).within(Duration::from_secs(1))
}

/// Asks once, with a deadline of one second.
fn run(script: &Script) -> (Result<Vec<f32>, CloudError>, usize) {
    let outcome = one(&client(script));
    (outcome.result, outcome.bytes_sent)
}

#[test]
fn a_passing_fault_is_tried_again_with_the_same_bytes() {
    let lost = Err(TransportError::Unreachable("reset".into()));
    let script = script(vec![lost, Ok(status(503)), Ok(answer([2; 16], vec![vec![1.0, 2.0]]))]);
    let (result, sent) = run(&script);
    assert_eq!(result, Ok(vec![1.0, 2.0]));
    let bodies = script.bodies.borrow();
    assert_eq!((bodies.len(), &bodies[0], &bodies[1]), (3, &bodies[1], &bodies[2]));
    assert_eq!(sent, 3 * bodies[0].len());
    // Half of 200 ms, half of 400 ms: the random number is 0.5.
    assert_eq!(*script.pauses.borrow(), [100, 200].map(Duration::from_millis));
}

#[test]
fn the_function_s_own_time_is_that_of_the_try_that_was_answered() {
    let script = script(vec![Ok(status(503)), Ok(good()), Ok(status(404))]);
    let client = client(&script);
    let outcome = one(&client);
    // Two posts of 10 ms and a pause of 100 ms; the script reports its number of posts as the function's time.
    assert_eq!((outcome.ms, outcome.function_ms), (120.0, Some(2.0)));
    assert_eq!(one(&client).function_ms, None, "a refusal is no answer");
}

#[test]
fn a_try_without_a_connection_sends_nothing() {
    let none = || Err(TransportError::Unconnected("its name was not found".into()));
    let (result, sent) = run(&script(vec![none(), none(), none()]));
    assert_eq!((result.unwrap_err().word(), sent), ("cloud_unreachable", 0));
    let broken = Err(TransportError::Unreachable("reset".into()));
    let script = script(vec![none(), broken, none()]);
    assert_eq!(run(&script).1, script.bodies.borrow()[1].len());
}

#[test]
fn a_refusal_of_aws_is_passed_on() {
    for (body, message) in [
        (r#"{"Message": "Signature expired"}"#, "Signature expired"),
        (r#"{"message": "Rate\u001b exceeded", "Type": "x"}"#, "Rate exceeded"),
        (r#"{"Type": "x"}"#, "without a reason"),
    ] {
        assert_eq!(refusal(body.as_bytes()), Refusal::new("cloud_refused", message));
    }
}

#[test]
fn three_tries_are_all() {
    let script = script([500, 502, 504].map(|code| Ok(status(code))).to_vec());
    let (result, _) = run(&script);
    assert!(matches!(result, Err(CloudError::Refused { status: 504, .. })), "{result:?}");
}

#[test]
fn a_refusal_is_not_tried_again_and_keeps_its_word() {
    let body = br#"{"error": "unknown_pair", "message": "no such pair"}"#;
    let script = script(vec![Ok(reply(404, body))]);
    let (result, _) = run(&script);
    assert_eq!(result.unwrap_err().word(), "unknown_pair");
    assert!(script.pauses.borrow().is_empty());
}

#[test]
fn a_refusal_is_made_fit_for_a_terminal() {
    let said = |body: &str| refusal(body.as_bytes());
    let red = said(r#"{"error": "unknown_pair", "message": "\u001b[31mno\nsuch pair"}"#);
    assert_eq!(red, Refusal::new("unknown_pair", "[31mnosuch pair"));
    let long = said(&format!(r#"{{"error": "a", "message": "{}"}}"#, "x".repeat(900)));
    assert_eq!(long.message.len(), MOST_CHARACTERS);
    for word in ["", "No Word", r"\u001b"] {
        let body = format!(r#"{{"error": "{word}", "message": ""}}"#);
        assert_eq!(said(&body).error, "cloud_refused");
    }
}

#[test]
fn retry_after_is_honoured_within_the_deadline_only() {
    let busy = |wait| Ok(Reply { retry_after: Some(wait), ..status(429) });
    let patient =
        script(vec![busy(Duration::from_millis(700)), Ok(answer([2; 16], vec![vec![0.0, 1.0]]))]);
    assert!(run(&patient).0.is_ok());
    assert_eq!(*patient.pauses.borrow(), [Duration::from_millis(700)]);
    // The longest is more than a clock can hold: the sum once overflowed.
    for seconds in [5_000, u64::MAX] {
        let hasty = script(vec![busy(Duration::from_secs(seconds))]);
        assert_eq!(run(&hasty).0.unwrap_err().word(), "cloud_refused");
        assert!(hasty.pauses.borrow().is_empty());
    }
}

#[test]
fn what_is_no_answer_to_this_request_is_refused() {
    let bad = [
        Ok(answer([9; 16], vec![vec![1.0, 2.0]])),
        Ok(answer([2; 16], vec![vec![1.0, 2.0], vec![1.0, 2.0]])),
        Ok(answer([2; 16], vec![vec![1.0]])),
        Ok(reply(200, b"<html>")),
        Err(TransportError::TooLarge),
    ];
    for reply in bad {
        assert_eq!(run(&script(vec![reply])).0.unwrap_err().word(), "cloud_bad_answer");
    }
}

#[test]
fn a_batch_is_answered_sample_by_sample_and_its_bytes_add_up() {
    let mut request = request();
    request.tensors = vec![request.tensors[0].clone(); 3];
    let scores = vec![vec![1.0, 2.0], vec![3.0, 4.0], vec![5.0, 6.0]];
    let lost = Err(TransportError::Unreachable("reset".into()));
    let script = script(vec![
        Ok(answer([2; 16], scores.clone())),
        Ok(answer([2; 16], scores[..2].to_vec())),
        lost.clone(),
        lost.clone(),
        lost,
    ]);
    let client = client(&script);
    let outcomes = ask(&client, &request).unwrap();
    let sent: usize = outcomes.iter().map(|outcome| outcome.bytes_sent).sum();
    assert_eq!(sent, request.encode().unwrap().len());
    let got: Vec<_> = outcomes.into_iter().map(|outcome| outcome.result.unwrap()).collect();
    assert_eq!(got, scores);
    for word in ["cloud_bad_answer", "cloud_unreachable"] {
        let outcomes = ask(&client, &request).unwrap();
        let words: Vec<_> =
            outcomes.iter().map(|o| o.result.as_ref().unwrap_err().word()).collect();
        assert_eq!(words, [word; 3]);
    }
}

fn good() -> Reply {
    answer([2; 16], vec![vec![1.0, 2.0]])
}

fn word(outcome: &Asked) -> &str {
    outcome.result.as_ref().map_or_else(CloudError::word, |_| "answered")
}

/// A client whose circuit has just opened.
fn opened(script: &Script) -> Client<&Script> {
    let client = client(script);
    for _ in 0..FAULTS {
        script.replies.borrow_mut().extend([Ok(status(503)), Ok(status(503)), Ok(status(503))]);
        assert_eq!(word(&one(&client)), "cloud_refused");
    }
    client
}

fn later(script: &Script, wait: Duration) {
    script.clock.set(script.clock.get() + wait);
}

#[test]
fn an_open_circuit_answers_at_once_and_sends_nothing() {
    let script = script(vec![]);
    let client = opened(&script);
    let before = (script.bodies.borrow().len(), script.clock.get());
    let outcome = one(&client);
    assert_eq!((word(&outcome), outcome.bytes_sent), ("circuit_open", 0));
    assert_eq!((script.bodies.borrow().len(), script.clock.get()), before);
}

#[test]
fn a_client_that_forgives_asks_at_once() {
    let script = script(vec![]);
    let client = opened(&script);
    client.forgive();
    script.replies.borrow_mut().extend([Ok(status(503)), Ok(status(503)), Ok(good())]);
    assert_eq!(word(&one(&client)), "answered");
}

#[test]
fn one_probe_closes_the_circuit() {
    let script = script(vec![]);
    let client = opened(&script);
    later(&script, FIRST);
    script.replies.borrow_mut().extend([Ok(good()), Ok(good())]);
    assert_eq!([one(&client), one(&client)].each_ref().map(word), ["answered"; 2]);
}

#[test]
fn a_probe_tries_once_and_its_faults_double_the_pause_up_to_a_cap() {
    let script = script(vec![]);
    let client = opened(&script);
    let mut pause = FIRST;
    for _ in 0..10 {
        // Three quarters of the pause, for the random number is 0.5.
        later(&script, pause.mul_f64(0.74));
        assert_eq!(word(&one(&client)), "circuit_open");
        later(&script, pause.mul_f64(0.02));
        script.replies.borrow_mut().push(Ok(status(503)));
        assert_eq!(word(&one(&client)), "cloud_refused");
        pause = (pause * 2).min(LONGEST);
    }
    assert_eq!(pause, LONGEST);
    // After closing, pauses start again from the first.
    later(&script, LONGEST);
    script.replies.borrow_mut().push(Ok(good()));
    assert_eq!(word(&one(&client)), "answered");
    for _ in 0..FAULTS {
        script.replies.borrow_mut().extend([Ok(status(503)), Ok(status(503)), Ok(status(503))]);
        one(&client);
    }
    later(&script, FIRST);
    script.replies.borrow_mut().push(Ok(good()));
    assert_eq!(word(&one(&client)), "answered");
}

#[test]
fn while_a_probe_is_under_way_nothing_else_passes_and_a_cancelled_one_makes_room() {
    let script = script(vec![]);
    let client = opened(&script);
    later(&script, FIRST);
    script.hangs.set(true);
    let request = request();
    let mut probe = Box::pin(client.ask(&request, None, 2));
    assert!(probe.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    script.hangs.set(false);
    assert_eq!(word(&one(&client)), "circuit_open");
    drop(probe);
    script.replies.borrow_mut().push(Ok(good()));
    assert_eq!(word(&one(&client)), "answered");
}

#[test]
fn cancelled_questions_and_the_callers_own_faults_open_nothing() {
    let script = script(vec![]);
    let client = client(&script);
    script.hangs.set(true);
    for _ in 0..2 * FAULTS {
        assert!(ask(&client, &request()).is_none());
    }
    script.hangs.set(false);
    for code in [400, 404, 409, 413, 301].repeat(3) {
        script.replies.borrow_mut().push(Ok(status(code)));
        assert_eq!(word(&one(&client)), "cloud_refused");
    }
    // With an answer in between, the failures are not in a row.
    for _ in 0..2 * FAULTS {
        script.replies.borrow_mut().extend([Ok(status(503)), Ok(status(503)), Ok(status(503))]);
        one(&client);
        script.replies.borrow_mut().push(Ok(good()));
        assert_eq!(word(&one(&client)), "answered");
    }
}

#[test]
fn every_passing_fault_opens_the_circuit() {
    let faults = [
        Err(TransportError::Unreachable("reset".into())),
        Err(TransportError::Late),
        Ok(status(429)),
        Ok(status(500)),
        Ok(reply(200, b"<html>")),
    ];
    for fault in faults {
        let script = script(vec![]);
        let client = client(&script);
        for _ in 0..FAULTS {
            *script.replies.borrow_mut() = vec![fault.clone(); 3];
            assert_ne!(word(&one(&client)), "circuit_open");
        }
        assert_eq!(word(&one(&client)), "circuit_open", "{fault:?}");
    }
}

#[test]
fn bodies_wait_for_those_before_them_and_every_try_counts() {
    let bytes = request().encode().unwrap().len();
    let script = script(vec![Ok(good()), Ok(status(503)), Ok(good()), Ok(good())]);
    // One body occupies the line for 250 ms.
    let pace = NonZeroU32::new(bytes as u32 * 4);
    let client = client(&script).at_most(pace);
    for _ in 0..3 {
        assert_eq!(word(&one(&client)), "answered");
    }
    // A post takes 10 ms. After the failure come a pause of 100 ms and the rest of the reserved time.
    assert_eq!(*script.pauses.borrow(), [240, 100, 140, 240].map(Duration::from_millis));
    assert_eq!(script.clock.get(), Duration::from_millis(3 * 250 + 10));
}

#[test]
fn a_body_that_would_wait_beyond_the_deadline_is_not_sent_and_nothing_is_held_against_the_cloud() {
    let script = script(vec![Ok(good())]);
    // One body would take longer than the deadline of one second.
    let client = client(&script).at_most(NonZeroU32::new(10));
    assert_eq!(word(&one(&client)), "answered");
    for _ in 0..2 * FAULTS {
        let outcome = one(&client);
        assert_eq!((word(&outcome), outcome.bytes_sent), ("over_bandwidth", 0));
        assert!(outcome.result.unwrap_err().may_pass());
    }
    assert_eq!((script.bodies.borrow().len(), script.pauses.borrow().len()), (1, 0));
    later(&script, Duration::from_mins(1));
    script.replies.borrow_mut().push(Ok(good()));
    assert_eq!(word(&one(&client)), "answered");
}
