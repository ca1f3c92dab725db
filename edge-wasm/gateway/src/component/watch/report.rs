//! The events of a run: lines of JSON on standard output, and messages to a broker.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use fogline_edge::device::audits::Summary;
use fogline_edge::device::metrics::Words;
use fogline_edge::device::watch::Change;
use fogline_edge::session::Answer;
use fogline_gateway::mqtt::Counts;
use serde::Serialize;

use super::Watch;
use crate::component::cloud;
use crate::component::drift::Monitor;
use crate::component::fault::{Fault, hinted, json, say};

/// What a source has seen since the start.
#[derive(Clone, Default, Serialize)]
pub struct Count {
    /// Its state, once there is one.
    pub state: Option<String>,
    /// Frames that arrived.
    pub frames: u64,
    /// Frames that were skipped, since nothing moved.
    pub still: u64,
    /// Frames that are no picture.
    pub unreadable: u64,
    pub answers: u64,
    /// Hard pictures that were sent to the cloud.
    pub offloaded: u64,
    /// Sure answers that were sent as well.
    pub audited: u64,
    /// Whether it does not answer now, and how often it stopped answering.
    pub away: bool,
    pub outages: u64,
    /// Whether a frame is in progress.
    #[serde(skip)]
    pub busy: bool,
}

/// A line on standard output.
#[derive(Serialize)]
struct Line<'a, T> {
    /// Seconds since 1970.
    unix: f64,
    event: &'a str,
    #[serde(flatten)]
    what: T,
}

#[derive(Serialize)]
struct Source<'a> {
    source: &'a str,
}

#[derive(Serialize)]
struct Away<'a> {
    source: &'a str,
    #[serde(flatten)]
    fault: &'a Fault,
}

/// A new state, as standard output and the broker get it.
#[derive(Serialize)]
struct Changed<'a> {
    source: &'a str,
    state: &'a str,
    before: Option<&'a str>,
    confidence: f32,
    origin: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<&'a str>,
    /// The number of the source's frame that made it so.
    frame: u64,
    /// Whether the latest pictures of all sources are unlike the calibration's.
    drifting: bool,
    /// The number of this state among all of the run. A message that arrives twice has the same one.
    sequence: u64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Heartbeat<'a> {
    seconds: f64,
    sources: &'a BTreeMap<String, Count>,
    samples: &'a Words,
    degraded: &'a Words,
    bytes_sent: u64,
    /// The state of the cloud.
    cloud: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    audits: Option<Summary<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drift: Option<Drift<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hard: Option<Hard>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mqtt: Option<Mqtt>,
}

/// How far the latest pictures are from the calibration's.
#[derive(Serialize)]
struct Drift<'a> {
    drifting: bool,
    /// The histograms that are off.
    off: Vec<&'a str>,
    /// The distance of each as a multiple of its limit.
    ratios: BTreeMap<&'a str, f64>,
}

impl<'a> Drift<'a> {
    fn of(monitor: &'a Monitor) -> Self {
        let rounded = |(name, ratio): (&'a str, f64)| (name, (ratio * 1e3).round() / 1e3);
        let ratios = monitor.distances().map(rounded).collect();
        Self { drifting: monitor.is_drifting(), off: monitor.off(), ratios }
    }
}

#[derive(Serialize)]
struct Hard {
    kept: u64,
    removed: u64,
}

#[derive(Serialize)]
struct Mqtt {
    connected: bool,
    #[serde(flatten)]
    counts: Counts,
}

/// A line of JSON about an event.
fn line(event: &str, what: impl Serialize) -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let unix = since.as_millis() as f64 / 1e3;
    json(&Line { unix, event, what })
}

pub fn away(source: &str, fault: &Fault) -> Result<(), Fault> {
    say(&line("away", Away { source, fault }))
}

pub fn back(source: &str) -> Result<(), Fault> {
    say(&line("back", Source { source }))
}

/// Prints that the broker is there, or why it is not.
pub fn broker(fault: Option<&Fault>) -> Result<(), Fault> {
    match fault {
        None => say(&line("connected", ())),
        Some(fault) => say(&line("disconnected", fault)),
    }
}

/// Prints that drift began or ended, and returns the line.
pub fn drift(monitor: &Monitor) -> Result<String, Fault> {
    let event = if monitor.is_drifting() { "drifting" } else { "steady" };
    let line = line(event, Drift::of(monitor));
    say(&line)?;
    Ok(line)
}

/// Prints and publishes a new state.
pub fn state(watch: &Watch, source: &str, change: Change, answer: &Answer) -> Result<(), Fault> {
    let session = watch.session.borrow();
    let class = |index: usize| session.manifest().classes[index].as_str();
    let sequence = watch.sequence.get() + 1;
    watch.sequence.set(sequence);
    let mut frame = 0;
    watch.count(source, |count| {
        count.state = Some(class(change.now).to_owned());
        frame = count.frames;
    });
    let state = Changed {
        source,
        state: class(change.now),
        before: change.before.map(class),
        confidence: answer.confidence,
        origin: &answer.origin,
        degraded: answer.degraded.as_ref().map(|degraded| degraded.reason.as_str()),
        frame,
        drifting: watch.monitor.borrow().as_ref().is_some_and(Monitor::is_drifting),
        sequence,
    };
    let line = line("state", state);
    if let Some(outlet) = &watch.outlet {
        outlet.state(source, line.clone());
    }
    say(&line)
}

/// Prints what was counted so far, and returns the line.
pub fn heartbeat(event: &str, watch: &Watch) -> Result<String, Fault> {
    let (metrics, counts) = (watch.metrics.borrow(), watch.counts.borrow());
    let (hard, monitor) = (watch.hard.borrow(), watch.monitor.borrow());
    let beat = Heartbeat {
        seconds: (watch.began.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        sources: &counts,
        samples: &metrics.samples,
        degraded: &metrics.degraded,
        bytes_sent: metrics.bytes_sent,
        cloud: cloud::state(watch.cloud.as_ref()),
        audits: metrics.audits.summary(),
        drift: monitor.as_ref().map(Drift::of),
        hard: hard.as_ref().map(|hard| {
            let (kept, removed) = hard.counts();
            Hard { kept, removed }
        }),
        mqtt: watch.outlet.as_ref().map(|outlet| {
            let (connected, counts) = outlet.counts();
            Mqtt { connected, counts }
        }),
    };
    let line = line(event, beat);
    say(&line)?;
    Ok(line)
}

/// Replaces a file as a whole, for readers that may come at any time.
pub fn replace(path: &Path, text: &str) -> Result<(), Fault> {
    let new = path.with_extension("new");
    let written = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    written.map_err(|error| Fault::new("metrics_unusable", hinted(&error)).of(path))
}
