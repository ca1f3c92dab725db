//! A real MQTT broker, and a subscriber to everything.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use mqtt_proto::v3::{Connect, Packet, Subscribe};
use mqtt_proto::{Pid, QoS, QosPid, TopicFilter};
use tempfile::TempDir;

use crate::bench::variable;
use crate::watch::patiently;

/// Mosquitto on a port of its own. It keeps nothing on disk.
pub struct Mosquitto {
    pub address: String,
    folder: TempDir,
    child: Child,
}

impl Mosquitto {
    pub fn start() -> Self {
        Self::with("allow_anonymous true\n")
    }

    /// With these lines of configuration.
    pub fn with(settings: &str) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let configuration = format!("listener {} 127.0.0.1\n{settings}", address.port());
        fs::write(folder.path().join("mosquitto.conf"), configuration).unwrap();
        let address = address.to_string();
        let child = run(&address, folder.path().join("mosquitto.conf"));
        Self { address, folder, child }
    }

    /// Kills it at once, without a chance to say or save anything.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub fn restart(&mut self) {
        self.child = run(&self.address, self.folder.path().join("mosquitto.conf"));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the program and waits until it accepts connections.
fn run(address: &str, configuration: PathBuf) -> Child {
    let mut command = Command::new(variable("FOGLINE_MOSQUITTO"));
    command.arg("-c").arg(configuration).stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    patiently("mosquitto", || {
        assert!(child.try_wait().unwrap().is_none(), "mosquitto ended");
        TcpStream::connect(address).is_ok()
    });
    child
}

/// A message as it arrived.
#[derive(Debug, Clone)]
pub struct Message {
    pub topic: String,
    pub text: String,
    /// Whether the broker had kept it before.
    pub kept: bool,
}

/// A subscriber to all topics, which comes back when the broker does.
pub struct Subscriber {
    messages: Arc<Mutex<Vec<Message>>>,
    subscribed: Arc<Mutex<usize>>,
}

impl Subscriber {
    pub fn of(broker: &Mosquitto) -> Self {
        let (messages, subscribed) = (Arc::default(), Arc::default());
        let new = Self { messages: Arc::clone(&messages), subscribed: Arc::clone(&subscribed) };
        let address = broker.address.clone();
        // The thread ends with the test process.
        thread::spawn(move || {
            loop {
                listen(&address, &messages, &subscribed);
                thread::sleep(Duration::from_millis(5));
            }
        });
        new.wait(1);
        new
    }

    /// Waits until it has subscribed so many times.
    pub fn wait(&self, times: usize) {
        patiently("the subscription", || *self.subscribed.lock().unwrap() >= times);
    }

    /// All messages so far.
    pub fn messages(&self) -> Vec<Message> {
        self.messages.lock().unwrap().clone()
    }

    /// The text of the last message of a topic.
    pub fn last(&self, topic: &str) -> Option<String> {
        let messages = self.messages.lock().unwrap();
        messages.iter().rev().find(|message| message.topic == topic).map(|m| m.text.clone())
    }
}

/// Receives messages until the connection breaks.
fn listen(address: &str, messages: &Mutex<Vec<Message>>, subscribed: &Mutex<usize>) -> Option<()> {
    let mut stream = TcpStream::connect(address).ok()?;
    let mut send = |packet: Packet| stream.write_all(packet.encode().unwrap().as_ref()).ok();
    send(Packet::Connect(Connect::new("subscriber".into(), 0)))?;
    let all = vec![(TopicFilter::try_from("#").unwrap(), QoS::Level1)];
    send(Packet::Subscribe(Subscribe::new(Pid::try_from(1).unwrap(), all)))?;
    let (mut bytes, mut piece) = (vec![], [0; 4096]);
    loop {
        while let Some(packet) = Packet::decode(&bytes).unwrap() {
            bytes.drain(..packet.encode_len().unwrap());
            match packet {
                Packet::Suback(_) => *subscribed.lock().unwrap() += 1,
                Packet::Publish(message) => {
                    messages.lock().unwrap().push(Message {
                        topic: message.topic_name.to_string(),
                        text: String::from_utf8(message.payload.to_vec()).unwrap(),
                        kept: message.retain,
                    });
                    if let QosPid::Level1(id) = message.qos_pid {
                        stream.write_all(Packet::Puback(id).encode().unwrap().as_ref()).ok()?;
                    }
                }
                _ => {}
            }
        }
        match stream.read(&mut piece).ok()? {
            0 => return None,
            length => bytes.extend_from_slice(&piece[..length]),
        }
    }
}
