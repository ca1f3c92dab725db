//! An outbox against a broker that comes and goes.

use mqtt_proto::v3::Packet;
use proptest::prelude::*;

use super::*;

const TOPIC: &str = "fogline/gate/door/state";

/// A broker that loses connections, and may lose its memory.
#[derive(Default)]
struct Broker {
    /// Payloads in order of arrival, with whether they were marked as sent before.
    arrived: Vec<(String, bool)>,
    unacknowledged: Vec<u16>,
}

impl Broker {
    fn take(&mut self, packet: &[u8]) {
        let Ok(Some(Packet::Publish(publish))) = Packet::decode(packet) else {
            panic!("not a message")
        };
        assert!(publish.retain);
        let QosPid::Level1(id) = publish.qos_pid else { panic!("not QoS 1") };
        let text = String::from_utf8(publish.payload.to_vec()).unwrap();
        self.arrived.push((text, publish.dup));
        self.unacknowledged.push(id.value());
    }

    /// Acknowledges as many messages as are there, up to `most`.
    fn acknowledge(&mut self, outbox: &mut Outbox, most: usize) {
        for id in self.unacknowledged.drain(..most.min(self.unacknowledged.len())) {
            outbox.acknowledged(id);
        }
    }

    fn take_all(&mut self, outbox: &mut Outbox) {
        while let Some(packet) = outbox.packet() {
            self.take(&packet);
        }
    }
}

/// Payloads in the order of their first arrival.
fn first_arrivals(arrived: &[(String, bool)]) -> Vec<&str> {
    let mut seen = vec![];
    for (text, _) in arrived {
        if !seen.contains(&text.as_str()) {
            seen.push(text.as_str());
        }
    }
    seen
}

proptest! {
    /// Whatever happens in between, every message arrives, in order, and only those that a connection broke off with come twice.
    #[test]
    fn every_message_arrives_in_order(steps in prop::collection::vec((0_u8..4, 0_usize..20, any::<bool>()), 1..120)) {
        let (mut outbox, mut broker) = (Outbox::new(10_000), Broker::default());
        let (mut put, mut broken) = (0, 0);
        for (step, number, has_session) in steps {
            match step {
                0 => for _ in 0..number {
                    outbox.put(TOPIC, put.to_string(), Kind::Retained);
                    put += 1;
                },
                1 => broker.take_all(&mut outbox),
                2 => broker.acknowledge(&mut outbox, number),
                _ => {
                    broken += broker.unacknowledged.len() + usize::from(!has_session);
                    broker.unacknowledged.clear();
                    outbox.opened(has_session);
                }
            }
        }
        while outbox.counts().waiting > 0 {
            broker.take_all(&mut outbox);
            broker.acknowledge(&mut outbox, usize::MAX);
        }
        let expected: Vec<String> = (0..put).map(|number| number.to_string()).collect();
        prop_assert_eq!(first_arrivals(&broker.arrived), expected);
        prop_assert!(broker.arrived.len() <= put + broken);
    }

    #[test]
    fn nothing_that_a_broker_sends_breaks_the_reader(bytes in prop::collection::vec(any::<u8>(), 0..200), piece in 1_usize..20) {
        let mut reader = Reader::default();
        for piece in bytes.chunks(piece) {
            reader.push(piece);
            while let Ok(Some(_)) = reader.event() {}
        }
    }
}

#[test]
fn a_message_of_the_same_session_is_marked_when_it_is_sent_again() {
    let (mut outbox, mut broker) = (Outbox::new(10), Broker::default());
    outbox.put(TOPIC, "cat", Kind::Retained);
    broker.take_all(&mut outbox);
    for (has_session, dup) in [(true, true), (true, true), (false, false)] {
        outbox.opened(has_session);
        broker.take_all(&mut outbox);
        assert_eq!(broker.arrived.pop().unwrap(), ("cat".to_owned(), dup));
    }
}

#[test]
fn a_broker_that_forgot_gets_the_last_of_each_topic_again() {
    let (mut outbox, mut broker) = (Outbox::new(10), Broker::default());
    for (topic, text) in [("a", "old"), ("a", "new"), ("b", "only")] {
        outbox.put(topic, text, Kind::Retained);
    }
    broker.take_all(&mut outbox);
    broker.acknowledge(&mut outbox, usize::MAX);
    broker.arrived.clear();
    outbox.opened(true);
    broker.take_all(&mut outbox);
    assert!(broker.arrived.is_empty(), "it kept them");
    outbox.put("b", "newer", Kind::Retained);
    outbox.opened(false);
    broker.take_all(&mut outbox);
    assert_eq!(first_arrivals(&broker.arrived), ["new", "newer"]);
}

#[test]
fn without_a_broker_the_oldest_go_and_are_counted() {
    let (mut outbox, mut broker) = (Outbox::new(LEAST), Broker::default());
    outbox.put("quiet", "the only one", Kind::Retained);
    for number in 0..100 {
        outbox.put(TOPIC, number.to_string(), Kind::Retained);
    }
    let dropped = 101 - LEAST as u64;
    assert_eq!(outbox.counts(), Counts { published: 0, waiting: LEAST as u64, dropped });
    while outbox.counts().waiting > 0 {
        broker.take_all(&mut outbox);
        broker.acknowledge(&mut outbox, usize::MAX);
    }
    let kept: Vec<String> = (dropped..100).map(|number| number.to_string()).collect();
    let arrived = first_arrivals(&broker.arrived);
    assert_eq!(
        (arrived[0], arrived[1..].to_vec()),
        ("the only one", kept.iter().map(String::as_str).collect())
    );
}

#[test]
fn only_the_latest_heartbeat_waits() {
    let (mut outbox, mut broker) = (Outbox::new(10), Broker::default());
    for number in 0..5 {
        outbox.put("beat", number.to_string(), Kind::Latest);
    }
    broker.take_all(&mut outbox);
    // It is being sent, so the next one is another message.
    outbox.put("beat", "5", Kind::Latest);
    broker.take_all(&mut outbox);
    assert_eq!(first_arrivals(&broker.arrived), ["4", "5"]);
}

#[test]
fn the_last_value_stays_the_last_when_a_connection_breaks() {
    let (mut outbox, mut broker) = (Outbox::new(10), Broker::default());
    outbox.put("there", "online", Kind::Latest);
    broker.take_all(&mut outbox);
    outbox.put("there", "offline", Kind::Latest);
    outbox.opened(false);
    outbox.put("there", "online again", Kind::Latest);
    broker.arrived.clear();
    broker.take_all(&mut outbox);
    assert_eq!(broker.arrived.last().unwrap().0, "online again");
}

#[test]
fn a_broker_is_not_flooded() {
    let (mut outbox, mut broker) = (Outbox::new(1000), Broker::default());
    for number in 0..100 {
        outbox.put(TOPIC, number.to_string(), Kind::Retained);
    }
    broker.take_all(&mut outbox);
    assert_eq!(broker.arrived.len(), IN_FLIGHT);
    broker.acknowledge(&mut outbox, 1);
    broker.take_all(&mut outbox);
    assert_eq!(broker.arrived.len(), IN_FLIGHT + 1);
}

#[test]
fn a_broker_s_answers_are_read_in_pieces() {
    let mut reader = Reader::default();
    let mut events = vec![];
    for byte in [0x20, 2, 1, 0, 0x40, 2, 1, 2, 0xd0, 0] {
        reader.push(&[byte]);
        events.extend(reader.event().unwrap());
    }
    let expected = [Event::Opened { has_session: true }, Event::Acknowledged(258), Event::Pong];
    assert_eq!(events, expected);
}

#[test]
fn refusals_and_other_protocols_are_named() {
    let said = |bytes: &[u8]| {
        let mut reader = Reader::default();
        reader.push(bytes);
        reader.event().unwrap_err()
    };
    assert_eq!(said(&[0x20, 2, 0, 4]), MqttError::Refused("wrong user name or password"));
    assert!(said(&[0x20, 2, 0, 5]).to_string().contains("user name and password"));
    // A message, of a length that nobody would send; HTTP; and a message, though nothing is subscribed.
    for bytes in [&[0x30, 0xff, 0xff, 0xff, 0x7f][..], b"HTTP/1.1 400", &[0x30, 3, 0, 1, b'a']] {
        assert_eq!(said(bytes).word(), "mqtt_protocol");
    }
}
