//! The connection to an MQTT broker, which comes back by itself.
//!
//! WASI 0.2 has sockets, but no TLS: a broker elsewhere needs a bridge or a tunnel on this machine.

use std::cell::{Cell, RefCell};
use std::env;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fogline::manifest::Manifest;
use fogline_gateway::mqtt::{self, Counts, Event, Hello, Kind, LEAST, MqttError, Outbox, Reader};
use serde_json::json;
use wasip2::sockets::instance_network::instance_network;
use wasip2::sockets::ip_name_lookup::resolve_addresses;
use wasip2::sockets::network::{ErrorCode, IpAddress};
use wstd::future::FutureExt;
use wstd::io::{AsyncPollable, AsyncRead, AsyncWrite};
use wstd::net::TcpStream;

use super::topics::{Topics, is_name};
use super::{Pauses, report};
use crate::component::config::MQTT_PASSWORD;
use crate::component::fault::{Fault, complain, first_line, shown_url};
use crate::component::pair;
use crate::component::signal::Signal;

/// Options for the broker.
#[derive(clap::Args)]
pub struct Broker {
    /// Publish to this MQTT 3.1.1 broker: mqtt://HOST or mqtt://HOST:PORT. Needs `wasmtime run -S inherit-network`, and
    /// `allow-ip-name-lookup` for a host's name. There is no TLS.
    #[arg(long, value_name = "URL")]
    mqtt: Option<String>,
    /// User at the broker. The password is the variable FOGLINE_MQTT_PASSWORD, or in --mqtt-password-file.
    #[arg(long, value_name = "NAME")]
    mqtt_user: Option<String>,
    /// File with the password.
    #[arg(long, value_name = "FILE")]
    mqtt_password_file: Option<PathBuf>,
    /// This gateway's name in topics: fogline/NAME/SOURCE/state. No two at a broker may have the same.
    #[arg(long, value_name = "NAME", default_value = "gateway", value_parser = name)]
    mqtt_name: String,
    /// What topics begin with.
    #[arg(long, value_name = "TOPIC", default_value = "fogline", value_parser = topic)]
    mqtt_topic: String,
    /// What the topics of Home Assistant's discovery begin with; `none` publishes none.
    #[arg(long, value_name = "TOPIC", default_value = "homeassistant", value_parser = topic)]
    mqtt_discovery: String,
    /// Maximum number of messages that wait while the broker is away; then the oldest are dropped, and counted.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(LEAST as i64..=10_000))]
    mqtt_queue: u32,
}

/// Seconds after which the broker takes a silent gateway for gone.
const KEEP_ALIVE: u16 = 30;
/// How long the broker may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest pause before the next connection.
const LONGEST: Duration = Duration::from_mins(1);

/// Where messages go.
pub struct Outlet {
    host: String,
    hello: Hello,
    topics: Topics,
    outbox: RefCell<Outbox>,
    /// Raised when there is a message, and when one was acknowledged.
    changed: Signal,
    connected: Cell<bool>,
    leaving: Cell<Leaving>,
}

/// How far the end of the last connection is.
#[derive(Clone, Copy, PartialEq)]
enum Leaving {
    Not,
    /// Once the broker has all messages.
    Soon,
    /// The broker was told.
    Done,
}

fn name(text: &str) -> Result<String, String> {
    if !is_name(text) {
        return Err(format!("'{text}' cannot be part of a topic: use letters, digits, - and _"));
    }
    Ok(text.to_owned())
}

fn topic(text: &str) -> Result<String, String> {
    text.split('/').try_for_each(|part| name(part).map(drop)).map(|()| text.to_owned())
}

impl Broker {
    /// Where messages about these sources, and about drift if it is monitored, go, if a broker is named.
    ///
    /// # Errors
    /// If its URL is invalid, or the password cannot be read.
    pub fn outlet(
        &self,
        manifest: &Manifest,
        sources: &[&str],
        is_monitored: bool,
    ) -> Result<Option<Outlet>, Fault> {
        let Some(url) = &self.mqtt else { return Ok(None) };
        let topics = Topics::new(&self.mqtt_topic, &self.mqtt_name);
        let password = match &self.mqtt_password_file {
            None => env::var(MQTT_PASSWORD).ok().filter(|password| !password.is_empty()),
            Some(path) => {
                let bytes = pair::read(path).map_err(|fault| fault.of(path))?;
                Some(String::from_utf8_lossy(&bytes).trim_end().to_owned())
            }
        };
        if password.is_some() && self.mqtt_user.is_none() {
            return Err(Fault::new("mqtt_user", "a password needs --mqtt-user"));
        }
        let hello = Hello {
            client: topics.id(),
            user: self.mqtt_user.clone(),
            password,
            keep_alive: KEEP_ALIVE,
            will: topics.status(),
            gone: "offline",
        };
        let mut outbox = Outbox::new(self.mqtt_queue as usize);
        let mut first = vec![];
        let under = &self.mqtt_discovery;
        if under != "none" {
            first.extend(sources.iter().map(|name| topics.discovery(under, name, manifest)));
            first.extend(is_monitored.then(|| topics.drift_discovery(under, manifest)));
        }
        if is_monitored {
            // The broker may still have an alarm of an earlier run.
            first.push((topics.drift(), json!({"event": "steady", "drifting": false})));
        }
        for (topic, payload) in first {
            outbox.put(&topic, payload.to_string(), Kind::Latest);
        }
        Ok(Some(Outlet {
            host: host(url)?,
            hello,
            topics,
            outbox: RefCell::new(outbox),
            changed: Signal::default(),
            connected: Cell::new(false),
            leaving: Cell::new(Leaving::Not),
        }))
    }
}

/// `HOST:PORT` of a broker's URL.
fn host(url: &str) -> Result<String, Fault> {
    let fault = |why: &str| Fault::new("mqtt_url", format!("--mqtt {}: {why}", shown_url(url)));
    let (scheme, rest) = url.split_once("://").unwrap_or(("mqtt", url));
    match scheme {
        "mqtt" | "tcp" => {}
        "mqtts" | "ssl" | "wss" | "ws" => {
            return Err(fault(
                "WASI has no TLS and this no WebSocket: use mqtt:// to a broker, bridge or tunnel on this machine",
            ));
        }
        _ => return Err(fault("it does not begin with mqtt://")),
    }
    let rest = rest.trim_end_matches('/');
    if rest.contains('@') {
        return Err(fault(
            "give the user as --mqtt-user, and the password in FOGLINE_MQTT_PASSWORD",
        ));
    }
    match rest.rsplit_once(':') {
        Some((host, port))
            if !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0) =>
        {
            Ok(rest.to_owned())
        }
        None if !rest.is_empty() => Ok(format!("{rest}:1883")),
        _ => Err(fault("it is not mqtt://HOST:PORT")),
    }
}

impl Outlet {
    fn put(&self, topic: &str, payload: impl Into<String>, kind: Kind) {
        self.outbox.borrow_mut().put(topic, payload.into(), kind);
        self.changed.raise();
    }

    /// Publishes a new state. Every one is delivered.
    pub fn state(&self, source: &str, json: String) {
        self.put(&self.topics.state(source), json, Kind::Retained);
    }

    /// Publishes whether a source is there.
    pub fn availability(&self, source: &str, is: bool) {
        let text = if is { "online" } else { "offline" };
        self.put(&self.topics.availability(source), text, Kind::Latest);
    }

    /// Publishes whether there is drift.
    pub fn drift(&self, json: String) {
        self.put(&self.topics.drift(), json, Kind::Retained);
    }

    pub fn heartbeat(&self, json: String) {
        self.put(&self.topics.heartbeat(), json, Kind::Latest);
    }

    /// Publishes that the gateway goes, and waits until the broker has all messages.
    pub async fn leave(&self) {
        self.leaving.set(Leaving::Soon);
        self.put(&self.topics.status(), "offline", Kind::Latest);
        while self.leaving.get() != Leaving::Done {
            self.changed.wait().await;
        }
    }

    /// Whether the broker is there, and what became of the messages.
    pub fn counts(&self) -> (bool, Counts) {
        (self.connected.get(), self.outbox.borrow().counts())
    }
}

/// Keeps the connection, until the end of the run.
pub async fn keep(outlet: Rc<Outlet>) {
    let (mut pauses, mut reported) = (Pauses::up_to(LONGEST), false);
    loop {
        let began = Instant::now();
        let Err(fault) = session(&outlet).await;
        // The broker ends a connection after its goodbye.
        if outlet.leaving.get() == Leaving::Done {
            return;
        }
        let was_connected = outlet.connected.replace(false);
        reported &= !was_connected;
        // One line for each time that it is away.
        if !reported && let Err(fault) = report::broker(Some(&fault)) {
            complain(&fault);
        }
        reported = true;
        pauses.wait(was_connected.then_some(began)).await;
    }
}

/// One connection, until it breaks.
async fn session(outlet: &Outlet) -> Result<std::convert::Infallible, Fault> {
    let connecting = connect(&outlet.host).timeout(wstd::time::Duration::from(PATIENCE));
    let stream = connecting.await.unwrap_or_else(|_| {
        let why = format!("{}: no connection in time", outlet.host);
        Err(Fault::new("mqtt_unreachable", why))
    })?;
    let mut reader = Reader::default();
    write(&stream, &outlet.hello.packet()).await?;
    // When something was last sent, and the first of what the broker has not answered.
    let (mut spoke, mut asked) = (Instant::now(), Some(Instant::now()));
    let mut bytes = [0; 1024];
    loop {
        while let Some(event) = reader.event().map_err(|error| unusable(&error))? {
            match event {
                Event::Opened { .. } if outlet.connected.get() => {
                    return Err(Fault::new("mqtt_protocol", "the broker accepted us twice"));
                }
                Event::Opened { has_session } => {
                    outlet.connected.set(true);
                    report::broker(None)?;
                    outlet.outbox.borrow_mut().opened(has_session);
                    // The will made it offline.
                    if outlet.leaving.get() == Leaving::Not {
                        outlet.put(&outlet.topics.status(), "online", Kind::Latest);
                    }
                }
                Event::Acknowledged(id) => {
                    outlet.outbox.borrow_mut().acknowledged(id);
                    outlet.changed.raise();
                }
                _ => {}
            }
            // It answers, if not all yet.
            asked = (outlet.outbox.borrow().in_flight() > 0).then(Instant::now);
        }
        while outlet.connected.get() {
            let Some(packet) = outlet.outbox.borrow_mut().packet() else { break };
            write(&stream, &packet).await?;
            spoke = Instant::now();
            asked.get_or_insert(spoke);
        }
        if outlet.leaving.get() == Leaving::Soon && outlet.counts().1.waiting == 0 {
            // Otherwise the broker would publish the will.
            write(&stream, &mqtt::goodbye()).await?;
            outlet.leaving.set(Leaving::Done);
            outlet.changed.raise();
        }
        if asked.is_some_and(|since| since.elapsed() > PATIENCE) {
            return Err(Fault::new("mqtt_silent", format!("{} does not answer", outlet.host)));
        }
        if outlet.connected.get() && spoke.elapsed() > Duration::from_secs(KEEP_ALIVE.into()) / 2 {
            write(&stream, &mqtt::ping()).await?;
            spoke = Instant::now();
            asked.get_or_insert(spoke);
        }
        // Until there is something to read, or to write, or to look after.
        let other = async {
            let tick = wstd::time::Duration::from_secs(1);
            let _ = outlet.changed.wait().timeout(tick).await;
        };
        if let Ok(read) = (&stream).read(&mut bytes).timeout(other).await {
            match read.map_err(|error| broken(&error))? {
                0 => return Err(broken(&"it closed the connection")),
                length => reader.push(&bytes[..length]),
            }
        }
    }
}

/// Connects to the first address of a host that answers. wstd has no IPv6 yet.
async fn connect(host: &str) -> Result<TcpStream, Fault> {
    let fault = |why: String| Fault::new("mqtt_unreachable", format!("{host}: {why}"));
    let (name, port) = host.rsplit_once(':').expect("the URL was checked");
    let mut why = "it has no IPv4 address".to_owned();
    for address in addresses(name).await.map_err(fault)? {
        let port = port.parse().expect("the URL was checked");
        match TcpStream::connect_addr((address, port).into()).await {
            Ok(stream) => return Ok(stream),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                why = "wasmtime gives no access to the network: add `-S inherit-network`".into();
            }
            Err(error) => why = error.to_string(),
        }
    }
    Err(fault(why))
}

/// The IPv4 addresses of a name. The standard library would hold up all sources meanwhile.
async fn addresses(name: &str) -> Result<Vec<Ipv4Addr>, String> {
    if let Ok(address) = name.parse() {
        return Ok(vec![address]);
    }
    let failed = |code: ErrorCode| match code {
        ErrorCode::AccessDenied => {
            "a name needs `wasmtime run -S inherit-network,allow-ip-name-lookup`".to_owned()
        }
        code => format!(
            "its name was not found ({}), or `wasmtime run` lacks -S allow-ip-name-lookup",
            code.name()
        ),
    };
    let stream = resolve_addresses(&instance_network(), name).map_err(failed)?;
    let mut found = vec![];
    loop {
        match stream.resolve_next_address() {
            Ok(Some(IpAddress::Ipv4((a, b, c, d)))) => found.push(Ipv4Addr::new(a, b, c, d)),
            Ok(Some(IpAddress::Ipv6(_))) => {}
            Ok(None) => return Ok(found),
            Err(ErrorCode::WouldBlock) => AsyncPollable::new(stream.subscribe()).wait_for().await,
            Err(code) => return Err(failed(code)),
        }
    }
}

async fn write(stream: &TcpStream, bytes: &[u8]) -> Result<(), Fault> {
    let mut to = stream;
    let written = to.write_all(bytes).timeout(wstd::time::Duration::from(PATIENCE)).await;
    match written {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(broken(&error)),
        Err(_) => Err(broken(&"it takes nothing")),
    }
}

fn broken(why: &dyn std::fmt::Display) -> Fault {
    Fault::new("mqtt_broken", format!("the connection broke: {}", first_line(&why)))
}

fn unusable(error: &MqttError) -> Fault {
    Fault::new(error.word(), error)
}
