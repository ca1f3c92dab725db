//! The names of topics, and what Home Assistant must know to find them (its MQTT discovery).

use fogline::manifest::Manifest;
use serde_json::{Value, json};

/// Whether a text can be a part of a topic, and of an id in Home Assistant.
pub fn is_name(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_".contains(c);
    !text.is_empty() && text.chars().all(plain)
}

/// The names of a gateway's topics: `PREFIX/NAME/…`.
#[derive(Clone)]
pub struct Topics {
    prefix: String,
    name: String,
}

impl Topics {
    pub fn new(prefix: &str, name: &str) -> Self {
        Self { prefix: prefix.to_owned(), name: name.to_owned() }
    }

    /// The client's id, and the start of ids in Home Assistant.
    pub fn id(&self) -> String {
        format!("fogline_{}", self.name)
    }

    fn topic(&self, last: &str) -> String {
        format!("{}/{}/{last}", self.prefix, self.name)
    }

    /// Whether the gateway is there: `online` or `offline`.
    pub fn status(&self) -> String {
        self.topic("status")
    }

    pub fn heartbeat(&self) -> String {
        self.topic("heartbeat")
    }

    /// Whether there is drift.
    pub fn drift(&self) -> String {
        self.topic("drift")
    }

    pub fn state(&self, source: &str) -> String {
        self.topic(&format!("{source}/state"))
    }

    /// Whether a source is there: `online` or `offline`.
    pub fn availability(&self, source: &str) -> String {
        self.topic(&format!("{source}/availability"))
    }

    /// The topic and the payload that let Home Assistant show a source.
    pub fn discovery(&self, under: &str, source: &str, manifest: &Manifest) -> (String, Value) {
        let id = format!("{}_{source}", self.id());
        let state = self.state(source);
        let payload = json!({
            "name": source,
            "unique_id": id,
            "state_topic": state,
            "value_template": "{{ value_json.state }}",
            "json_attributes_topic": state,
            "device_class": "enum",
            "options": manifest.classes,
            "availability_mode": "all",
            "availability": [{"topic": self.status()}, {"topic": self.availability(source)}],
            "device": self.device(manifest),
        });
        (format!("{under}/sensor/{id}/config"), payload)
    }

    /// The same for the alarm of drift.
    pub fn drift_discovery(&self, under: &str, manifest: &Manifest) -> (String, Value) {
        let id = format!("{}_drifting", self.id());
        let payload = json!({
            "name": "drifting",
            "unique_id": id,
            "state_topic": self.drift(),
            "value_template": "{{ 'ON' if value_json.drifting else 'OFF' }}",
            "json_attributes_topic": self.drift(),
            "device_class": "problem",
            "availability": [{"topic": self.status()}],
            "device": self.device(manifest),
        });
        (format!("{under}/binary_sensor/{id}/config"), payload)
    }

    fn device(&self, manifest: &Manifest) -> Value {
        json!({
            "identifiers": [self.id()],
            "name": format!("Fogline {}", self.name),
            "manufacturer": "Fogline",
            "model": format!("{} {}", manifest.name, manifest.version),
            "sw_version": env!("CARGO_PKG_VERSION"),
        })
    }
}
