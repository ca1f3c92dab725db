//! `fogline watch`: cameras and folders, their states, and what becomes of doubts.
//!
//! Every source is a task of its own: it fetches a frame, skips it if nothing moved, and has it classified. All share one
//! session, one cloud with its quota, one comparison with the calibration's pictures, and one connection to a broker. A source that fails or is slow holds up no other.

mod broker;
mod feed;
mod folder;
mod http;
mod report;
mod sources;
mod topics;
mod watcher;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use fogline_edge::cloud::{Client, CloudError};
use fogline_edge::device::metrics::Metrics;
use fogline_edge::session::offload::Offload;
use fogline_edge::session::{Answer, Session};
use wstd::future::FutureExt;
use wstd::runtime::spawn;
use wstd::task::sleep;

use self::broker::{Broker, Outlet};
use self::report::Count;
use self::sources::{Look, Place, sources};
use self::watcher::Watcher;
use crate::component::classifier::Setup;
use crate::component::cloud::seconds;
use crate::component::drift::{self, Monitor};
use crate::component::fault::{Fault, complain};
use crate::component::hard::{Hardness, Keeping};
use crate::component::pair::Decoder;
use crate::component::signal::Signal;
use crate::component::transport::{WasiHttp, fraction};

/// Watch cameras and folders: publish states, and keep the doubtful pictures.
///
/// A SOURCE is the URL of a snapshot or of a Motion JPEG stream, or a folder that fills up; NAME=SOURCE names it. The class that an
/// answer gives becomes the source's state after --equal equal answers in a row. Every event is a line of JSON on standard output:
/// `state`, `away` and `back` of a source, `connected` and `disconnected` of the broker, `drifting` and `steady`, `heartbeat`, `end`. With --mqtt, states
/// also go to a broker, retained, and Home Assistant finds them by itself.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  wasmtime run -S http --dir . fogline.wasm watch door=http://camera/snapshot.jpg --model DIR --cloud URL\n  \
        wasmtime run -S http,inherit-network,allow-ip-name-lookup --dir . fogline.wasm watch --sources cameras.toml \\\n      \
        --model DIR --cloud URL --mqtt mqtt://broker --audit-rate 0.02 --keep-hard hard\n\n\
        cameras.toml has a table for each source, whose keys are those of --sources' own options:\n  \
        [door]\n  url = \"http://camera/stream\"\n  crop = \"0.25,0,0.5,1\"\n  motion = 0.02\n  [inbox]\n  folder = \"inbox\""
)]
pub struct Options {
    /// What to watch: an http:// or https:// URL, or a folder; NAME=SOURCE names it.
    #[arg(value_name = "SOURCE")]
    named: Vec<String>,
    /// TOML file with more sources: a table each, named like the source, with `url` or `folder`, and any of `user`,
    /// `password-file`, `interval`, `timeout`, `crop`, `motion`, `equal`, `escalate-every`, `existing`.
    #[arg(long, value_name = "FILE")]
    sources: Option<PathBuf>,
    #[command(flatten)]
    look: Look,
    #[command(flatten)]
    setup: Setup,
    #[command(flatten)]
    keeping: Keeping,
    #[command(flatten)]
    broker: Broker,
    /// Minimum time between two pictures of a source that are compared with the calibration's (--drift): those that follow each other
    /// are alike.
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    drift_every: Duration,
    /// Time between two heartbeats.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    heartbeat: Duration,
    /// Also print a line for every answer, as `classify --json` does.
    #[arg(long)]
    answers: bool,
    /// Write metrics for Prometheus to this file at each heartbeat, as its node exporter's textfile collector reads them.
    #[arg(long, value_name = "FILE")]
    metrics_file: Option<PathBuf>,
    /// Stop after so many frames of all sources.
    #[arg(long, value_name = "N")]
    frames: Option<u64>,
}

/// What all sources share.
struct Watch {
    session: RefCell<Session>,
    cloud: Option<Client<WasiHttp>>,
    offload: RefCell<Offload>,
    decoder: Decoder,
    hard: RefCell<Option<Hardness>>,
    outlet: Option<Rc<Outlet>>,
    monitor: RefCell<Option<Monitor>>,
    metrics: RefCell<Metrics>,
    counts: RefCell<BTreeMap<String, Count>>,
    /// How many frames may still be looked at.
    frames: Cell<u64>,
    /// Raised when no more may.
    done: Signal,
    /// The number of states published so far.
    sequence: Cell<u64>,
    answers: bool,
    drift_every: Duration,
    began: Instant,
}

/// How long the broker may take for the last messages.
const FAREWELL: Duration = Duration::from_secs(3);

/// Watches until the given number of frames was looked at, or for ever. Returns whether no source was away at the end.
pub async fn run(options: &Options) -> Result<bool, Fault> {
    let sources = sources(&options.named, options.sources.as_deref(), &options.look)?;
    let setup = options.setup.open()?;
    let manifest = setup.session.manifest().clone();
    let names: Vec<_> = sources.iter().map(|source| source.name.as_str()).collect();
    let outlet = options.broker.outlet(&manifest, &names, setup.monitor.is_some())?;
    let folders = sources.iter().filter_map(|source| match &source.place {
        Place::Folder(path) => Some(path.as_path()),
        Place::Camera { .. } => None,
    });
    let hard = options.keeping.open(setup.cloud.is_some(), &folders.collect::<Vec<_>>())?;
    let counts = sources.iter().map(|source| (source.name.clone(), Count::default()));
    let watch = Rc::new(Watch {
        session: RefCell::new(setup.session),
        cloud: setup.cloud,
        offload: RefCell::new(setup.offload),
        decoder: setup.decoder,
        hard: RefCell::new(hard),
        outlet: outlet.map(Rc::new),
        monitor: RefCell::new(setup.monitor),
        metrics: RefCell::default(),
        counts: RefCell::new(counts.collect()),
        frames: Cell::new(options.frames.unwrap_or(u64::MAX)),
        done: Signal::default(),
        sequence: Cell::new(0),
        answers: options.answers,
        drift_every: options.drift_every,
        began: Instant::now(),
    });
    if let Some(path) = &options.metrics_file {
        report::replace(path, "")?;
    }
    // A task ends when it is dropped.
    let mut tasks = vec![];
    if let Some(outlet) = &watch.outlet {
        tasks.push(spawn(broker::keep(Rc::clone(outlet))));
    }
    for source in sources {
        tasks.push(spawn(Watcher::new(source, Rc::clone(&watch))?.run()));
    }
    while watch.frames.get() > 0 {
        let beat = watch.done.wait().timeout(wstd::time::Duration::from(options.heartbeat)).await;
        if beat.is_err() {
            watch.report("heartbeat", options)?;
        }
    }
    // The frames in progress may still change a state.
    let all_done = async {
        while watch.counts.borrow().values().any(|count| count.busy) {
            watch.done.wait().await;
        }
    };
    let _ = all_done.timeout(wstd::time::Duration::from(options.setup.cloud.deadline())).await;
    if let Some(outlet) = &watch.outlet {
        let _ = outlet.leave().timeout(wstd::time::Duration::from(FAREWELL)).await;
    }
    drop(tasks);
    watch.report("end", options)?;
    let away = watch.counts.borrow().values().any(|count| count.away);
    Ok(!away)
}

impl Watch {
    /// Classifies pixels: on the edge at once, and then perhaps in the cloud. If `held` is set, nothing is sent, for this reason.
    fn classify(&self, rgb: &[u8], held: Option<CloudError>) -> impl Future<Output = Answer> + '_ {
        let mut offload = self.offload.borrow_mut();
        self.session.borrow_mut().classify_within(rgb, self.cloud.as_ref(), &mut offload, held)
    }

    /// Compares a picture with the calibration's, and reports when drift begins or ends.
    fn compare(&self, answer: &Answer) -> Result<(), Fault> {
        let mut monitor = self.monitor.borrow_mut();
        let Some(monitor) = &mut *monitor else { return Ok(()) };
        if !monitor.observe(answer) {
            return Ok(());
        }
        for histogram in monitor.take_raised() {
            self.metrics.borrow_mut().drift(&histogram);
        }
        let line = report::drift(monitor)?;
        if let Some(outlet) = &self.outlet {
            outlet.drift(line);
        }
        Ok(())
    }

    /// Takes one of the frames that may be looked at. When there are none left, waits for ever: the run ends.
    async fn take_frame(&self) {
        match self.frames.get() {
            0 => std::future::pending().await,
            u64::MAX => {}
            left => self.frames.set(left - 1),
        }
    }

    /// Changes the counts of a source.
    fn count(&self, source: &str, change: impl FnOnce(&mut Count)) {
        if let Some(count) = self.counts.borrow_mut().get_mut(source) {
            change(count);
        }
    }

    /// Prints a heartbeat, or the last line, publishes it, and writes the metrics.
    fn report(&self, event: &'static str, options: &Options) -> Result<(), Fault> {
        let line = report::heartbeat(event, self)?;
        if let Some(outlet) = self.outlet.as_ref().filter(|_| event == "heartbeat") {
            outlet.heartbeat(line);
        }
        if let Some(path) = &options.metrics_file {
            let gauges = drift::gauges(self.monitor.borrow().as_ref());
            let text = self.metrics.borrow().to_string() + &gauges;
            report::replace(path, &text).unwrap_or_else(|fault| complain(&fault));
        }
        Ok(())
    }
}

/// What must go well for so long until a later failure is tried again soon.
const HEALTHY: Duration = Duration::from_secs(10);

/// The pauses after failures in a row: from a second to `longest`.
struct Pauses {
    longest: Duration,
    next: Duration,
}

impl Pauses {
    fn up_to(longest: Duration) -> Self {
        Self { longest, next: Duration::from_secs(1) }
    }

    /// Waits after a failure, before which all went well since `since`. The next pause is twice as long, unless it went well for long.
    /// Half of a pause is random, so that many devices do not come back at once.
    async fn wait(&mut self, since: Option<Instant>) {
        if since.is_some_and(|since| since.elapsed() > HEALTHY) {
            self.next = Duration::from_secs(1);
        }
        let pause = self.next.mul_f64(1.0 + fraction());
        sleep(pause.min(self.longest).into()).await;
        self.next = (self.next * 2).min(self.longest);
    }
}
