//! MQTT 3.1.1 without sockets: messages that wait for a broker, and a connection's packets.
//!
//! An [`Outbox`] holds messages until the broker has acknowledged them (QoS 1). It outlives connections: what a lost one had not
//! acknowledged is sent again, in order. It is bounded: while the broker is away, the oldest messages make way for new ones and
//! are counted. A broker that forgot its session, after a restart for example, gets the last retained message of every topic
//! again.
//!
//! QoS 1 means at least once: a message whose acknowledgement was lost arrives twice. Ours carry a sequence number, by which a
//! reader tells.
//!
//! ```
//! use fogline_gateway::mqtt::{Outbox, Kind};
//!
//! let mut outbox = Outbox::new(100);
//! outbox.put("fogline/gate/door/state", "cat", Kind::Retained);
//! outbox.opened(false);
//! assert!(outbox.packet().is_some());
//! assert!(outbox.packet().is_none()); // until the broker has acknowledged it
//! outbox.acknowledged(1);
//! assert_eq!((outbox.counts().published, outbox.counts().waiting), (1, 0));
//! ```

use core::fmt;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use mqtt_proto::v3::{Connack, Connect, ConnectReturnCode, Header, LastWill, Packet, Publish};
use mqtt_proto::{Error, Pid, Protocol, QoS, QosPid, TopicName};

/// The most messages that are sent before the first of them is acknowledged.
const IN_FLIGHT: usize = 16;
/// The least limit of an outbox: more than can be on their way.
pub const LEAST: usize = 2 * IN_FLIGHT;
/// The most bytes of a packet from the broker. There are no subscriptions, so it sends acknowledgements only.
const MOST_PACKET: u32 = 1024;

/// How a message is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The broker keeps the last one of the topic; each is delivered.
    Retained,
    /// The broker keeps the last one; one that is not sent yet is replaced by a later one.
    Latest,
}

/// What became of the messages.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Acknowledged by the broker.
    pub published: u64,
    /// Not acknowledged yet.
    pub waiting: u64,
    /// Dropped, since too many were waiting.
    pub dropped: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sent {
    Not,
    /// On this connection, with this packet id.
    Now(u16),
    /// On an earlier connection of the same session: it is sent again with the same id.
    Before(u16),
}

#[derive(Debug)]
struct Message {
    topic: TopicName,
    payload: Bytes,
    sent: Sent,
}

/// Messages to a broker, in order.
#[derive(Debug)]
pub struct Outbox {
    most: usize,
    waiting: VecDeque<Message>,
    /// The last acknowledged message of each topic.
    retained: BTreeMap<TopicName, Bytes>,
    last_id: u16,
    counts: Counts,
}

impl Outbox {
    /// An empty outbox for at most `most` messages, at least [`LEAST`].
    pub fn new(most: usize) -> Self {
        Self {
            most: most.max(LEAST),
            waiting: VecDeque::new(),
            retained: BTreeMap::new(),
            last_id: 0,
            counts: Counts::default(),
        }
    }

    /// Adds a message. If too many are waiting, the oldest goes that is not being sent and that a later one of its topic follows, since
    /// the last one of each topic is worth most; or else the oldest.
    ///
    /// # Panics
    /// If the topic has a wildcard or is empty: topics are not made of what others send.
    pub fn put(&mut self, topic: &str, payload: impl Into<Bytes>, kind: Kind) {
        let topic = TopicName::try_from(topic).expect("a topic without wildcards");
        let payload = payload.into();
        if kind == Kind::Latest {
            let same = |message: &&mut Message| message.sent == Sent::Not && message.topic == topic;
            // The last one: an earlier one may be from before a connection broke.
            if let Some(message) = self.waiting.iter_mut().rev().find(same) {
                message.payload = payload;
                return;
            }
        }
        if self.waiting.len() >= self.most {
            let mut later = BTreeSet::from([&topic]);
            let (mut oldest, mut followed) = (None, None);
            for (at, message) in self.waiting.iter().enumerate().rev() {
                if message.sent == Sent::Not {
                    oldest = Some(at);
                    followed = if later.insert(&message.topic) { followed } else { Some(at) };
                }
            }
            // There is one: `most` is larger than what can be on its way.
            if let Some(at) = followed.or(oldest) {
                self.waiting.remove(at);
                self.counts.dropped += 1;
            }
        }
        self.waiting.push_back(Message { topic, payload, sent: Sent::Not });
    }

    /// A connection was opened. If the broker has no session of ours, it also forgot the packet ids, and perhaps what it retained.
    pub fn opened(&mut self, has_session: bool) {
        for message in &mut self.waiting {
            message.sent = match message.sent {
                Sent::Now(id) | Sent::Before(id) if has_session => Sent::Before(id),
                _ => Sent::Not,
            };
        }
        if has_session {
            return;
        }
        let is_waiting =
            |topic: &TopicName| self.waiting.iter().any(|message| message.topic == *topic);
        let forgotten: Vec<_> = self
            .retained
            .iter()
            .filter(|(topic, _)| !is_waiting(topic))
            .map(|(topic, payload)| (topic.clone(), payload.clone()))
            .collect();
        for (topic, payload) in forgotten.into_iter().rev() {
            let message = Message { topic, payload, sent: Sent::Not };
            self.waiting.push_front(message);
        }
    }

    /// The next packet to send, if there is one.
    pub fn packet(&mut self) -> Option<Vec<u8>> {
        let at = self.in_flight();
        if at >= IN_FLIGHT || at == self.waiting.len() {
            return None;
        }
        let (id, dup) = match self.waiting[at].sent {
            Sent::Before(id) => (id, true),
            _ => (self.free_id(), false),
        };
        let message = &mut self.waiting[at];
        message.sent = Sent::Now(id);
        let packet = Packet::Publish(Publish {
            dup,
            retain: true,
            qos_pid: QosPid::Level1(Pid::try_from(id).expect("ids are not 0")),
            topic_name: message.topic.clone(),
            payload: message.payload.clone(),
        });
        Some(encoded(&packet))
    }

    /// The number of messages that this connection has not acknowledged. They are the first ones, since all are sent in order.
    pub fn in_flight(&self) -> usize {
        self.waiting.iter().take_while(|message| matches!(message.sent, Sent::Now(_))).count()
    }

    /// A packet id that no waiting message has.
    fn free_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            let id = self.last_id;
            let is = |message: &Message| matches!(message.sent, Sent::Now(used) | Sent::Before(used) if used == id);
            if !self.waiting.iter().take(LEAST).any(is) {
                return id;
            }
        }
    }

    /// The broker acknowledged the packet with this id.
    pub fn acknowledged(&mut self, id: u16) {
        let is = |message: &Message| matches!(message.sent, Sent::Now(sent) | Sent::Before(sent) if sent == id);
        if let Some(message) =
            self.waiting.iter().take(LEAST).position(is).and_then(|at| self.waiting.remove(at))
        {
            self.retained.insert(message.topic, message.payload);
            self.counts.published += 1;
        }
    }

    /// What became of the messages so far.
    pub fn counts(&self) -> Counts {
        Counts { waiting: self.waiting.len() as u64, ..self.counts }
    }
}

/// How to introduce oneself to a broker.
#[derive(Clone)]
#[allow(clippy::exhaustive_structs)]
pub struct Hello {
    /// The client's id, the same at each connection.
    pub client: String,
    /// The user's name, if the broker wants one.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<String>,
    /// Seconds after which the broker takes a silent client for gone.
    pub keep_alive: u16,
    /// The topic on which the broker then publishes [`Hello::gone`], retained.
    pub will: String,
    /// What it publishes.
    pub gone: &'static str,
}

impl Hello {
    /// The first packet of a connection. The session is kept by the broker.
    ///
    /// # Panics
    /// If the will's topic has a wildcard or is empty.
    pub fn packet(&self) -> Vec<u8> {
        let topic = TopicName::try_from(self.will.as_str()).expect("a topic without wildcards");
        let mut will = LastWill::new(QoS::Level1, topic, Bytes::from_static(self.gone.as_bytes()));
        will.retain = true;
        encoded(&Packet::Connect(Connect {
            protocol: Protocol::V311,
            clean_session: false,
            keep_alive: self.keep_alive,
            client_id: self.client.as_str().into(),
            last_will: Some(will),
            username: self.user.as_deref().map(Into::into),
            password: self.password.clone().map(Bytes::from),
        }))
    }
}

/// The packet that asks whether the broker is still there.
pub fn ping() -> Vec<u8> {
    encoded(&Packet::Pingreq)
}

/// The packet that ends a connection without the will being published.
pub fn goodbye() -> Vec<u8> {
    encoded(&Packet::Disconnect)
}

fn encoded(packet: &Packet) -> Vec<u8> {
    packet.encode().expect("it is far smaller than MQTT allows").as_ref().to_vec()
}

/// What a broker said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// It accepted the connection.
    Opened {
        /// Whether it has our session.
        has_session: bool,
    },
    /// It acknowledged a message.
    Acknowledged(u16),
    /// It answered a ping.
    Pong,
}

/// Why a connection is of no use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum MqttError {
    /// The broker refused the connection.
    Refused(&'static str),
    /// The broker sent what is not MQTT 3.1.1, or not for us.
    Protocol(String),
}

impl MqttError {
    /// The stable error code.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Refused(_) => "mqtt_refused",
            Self::Protocol(_) => "mqtt_protocol",
        }
    }
}

impl fmt::Display for MqttError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(why) => write!(f, "the broker refused the connection: {why}"),
            Self::Protocol(why) => write!(f, "the broker's answer is not MQTT 3.1.1: {why}"),
        }
    }
}

impl std::error::Error for MqttError {}

/// Reads what a broker sends, as its bytes arrive.
#[derive(Debug, Default)]
pub struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    /// Adds bytes as they arrive.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next event, if it has arrived as a whole.
    ///
    /// # Errors
    /// If the broker refused the connection, or sent what it should not.
    pub fn event(&mut self) -> Result<Option<Event>, MqttError> {
        let protocol = |error: Error| MqttError::Protocol(error.to_string());
        let header = match Header::decode(&self.buffer) {
            Ok(header) => header,
            Err(error) if error.is_eof() => return Ok(None),
            Err(error) => return Err(protocol(error)),
        };
        // Before the packet itself: it would be allocated by a length that may be a lie.
        if header.remaining_len > MOST_PACKET {
            let why = format!("a packet of {} bytes", header.remaining_len);
            return Err(MqttError::Protocol(why));
        }
        let length = mqtt_proto::total_len(header.remaining_len as usize).map_err(protocol)?;
        let Some(bytes) = self.buffer.get(..length) else { return Ok(None) };
        let packet = Packet::decode(bytes).map_err(protocol)?;
        let packet = packet.ok_or_else(|| MqttError::Protocol("a packet is cut short".into()))?;
        self.buffer.drain(..length);
        match packet {
            Packet::Connack(Connack { session_present, code: ConnectReturnCode::Accepted }) => {
                Ok(Some(Event::Opened { has_session: session_present }))
            }
            Packet::Connack(Connack { code, .. }) => Err(MqttError::Refused(reason(code))),
            Packet::Puback(id) => Ok(Some(Event::Acknowledged(id.value()))),
            Packet::Pingresp => Ok(Some(Event::Pong)),
            other => Err(MqttError::Protocol(format!("a packet {:?}", other.get_type()))),
        }
    }
}

fn reason(code: ConnectReturnCode) -> &'static str {
    match code {
        ConnectReturnCode::Accepted => "it did not",
        ConnectReturnCode::UnacceptableProtocolVersion => "it does not speak MQTT 3.1.1",
        ConnectReturnCode::IdentifierRejected => "it does not accept the client's id",
        ConnectReturnCode::ServerUnavailable => "it is not available",
        ConnectReturnCode::BadUserNameOrPassword => "wrong user name or password",
        ConnectReturnCode::NotAuthorized => "not authorised: give a user name and password",
    }
}

#[cfg(test)]
mod tests;
