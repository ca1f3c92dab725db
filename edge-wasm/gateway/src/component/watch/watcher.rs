//! One source: frame after frame, to a state.

use std::rc::Rc;
use std::time::{Duration, Instant};

use fogline_edge::cloud::CloudError;
use fogline_edge::device::watch::{Motion, States};
use fogline_edge::session::Answer;
use wstd::task::sleep;

use super::feed::{Feed, Frame};
use super::report;
use super::sources::Source;
use super::{Pauses, Watch};
use crate::component::fault::{Fault, complain, json, say};
use crate::component::line::Line;

/// The longest pause after a source failed.
const LONGEST: Duration = Duration::from_secs(30);

/// Frames in a row that are no picture, after which a camera is away.
const UNREADABLE: u32 = 3;

/// A source in progress.
pub struct Watcher {
    source: Source,
    watch: Rc<Watch>,
    feed: Feed,
    motion: Motion,
    states: States,
    escalated: Option<Instant>,
    compared: Option<Instant>,
    /// Whether the source answers, once that is known.
    there: Option<bool>,
    /// Frames in a row that are no picture.
    unreadable: u32,
}

impl Watcher {
    pub fn new(source: Source, watch: Rc<Watch>) -> Result<Self, Fault> {
        let (motion, states) = (Motion::new(source.motion), States::new(source.equal));
        let feed = Feed::of(&source)?;
        let (escalated, compared, there) = (None, None, None);
        Ok(Self { source, watch, feed, motion, states, escalated, compared, there, unreadable: 0 })
    }

    /// Looks at frames for ever. Standard output that cannot be written ends the run.
    pub async fn run(mut self) {
        let (mut pauses, mut well) = (Pauses::up_to(LONGEST), None);
        loop {
            let outcome = match self.feed.next(&self.source.name).await {
                Ok(Some(frame)) => {
                    well.get_or_insert_with(Instant::now);
                    // Others have their turn, too, while a folder has many pictures.
                    sleep(wstd::time::Duration::from_millis(1)).await;
                    self.watch.take_frame().await;
                    self.watch.count(&self.source.name, |count| count.busy = true);
                    let seen = self.see(&frame).await;
                    self.watch.count(&self.source.name, |count| count.busy = false);
                    if self.watch.frames.get() == 0 {
                        self.watch.done.raise();
                    }
                    seen
                }
                Ok(None) => self.back(),
                Err(fault) => {
                    let away = self.away(&fault);
                    pauses.wait(well.take()).await;
                    away
                }
            };
            if let Err(fault) = outcome {
                complain(&fault);
                std::process::exit(1);
            }
        }
    }

    /// Reports the first of several errors in a row.
    fn away(&mut self, fault: &Fault) -> Result<(), Fault> {
        if self.there == Some(false) {
            return Ok(());
        }
        self.there = Some(false);
        self.watch.count(&self.source.name, |count| {
            count.away = true;
            count.outages += 1;
        });
        if let Some(outlet) = &self.watch.outlet {
            outlet.availability(&self.source.name, false);
        }
        report::away(&self.source.name, fault)
    }

    /// Reports that the source is back, or there for the first time.
    fn back(&mut self) -> Result<(), Fault> {
        let before = self.there.replace(true);
        if before == Some(true) {
            return Ok(());
        }
        self.watch.count(&self.source.name, |count| count.away = false);
        if let Some(outlet) = &self.watch.outlet {
            outlet.availability(&self.source.name, true);
        }
        if before == Some(false) { report::back(&self.source.name) } else { Ok(()) }
    }

    /// Takes note of a frame that is no picture. A camera that sends nothing else is away; others may send one now and then.
    fn unreadable(&mut self, frame: &Frame, fault: &Fault) -> Result<(), Fault> {
        self.unreadable += 1;
        self.watch.count(&self.source.name, |count| count.unreadable += 1);
        let message = format!("{}: {}", frame.picture, fault.message);
        let fault = Fault { message, ..fault.clone() };
        match (self.feed.is_camera(), self.unreadable) {
            (true, UNREADABLE) => self.away(&fault)?,
            (true, 1) | (false, _) => complain(&fault),
            (true, _) => {}
        }
        Ok(())
    }

    async fn see(&mut self, frame: &Frame) -> Result<(), Fault> {
        let watch = Rc::clone(&self.watch);
        watch.count(&self.source.name, |count| count.frames += 1);
        let rgb = match watch.decoder.decode_part(&frame.file, self.source.crop) {
            Ok(rgb) => rgb,
            Err(fault) => return self.unreadable(frame, &fault),
        };
        self.unreadable = 0;
        self.back()?;
        let name = &self.source.name;
        // An unsettled source needs answers, even if nothing moves: otherwise its state would never become known.
        let wanted = !self.states.is_settled();
        if !self.motion.moved(&rgb, watch.decoder.size(), wanted) {
            watch.count(name, |count| count.still += 1);
            return Ok(());
        }
        let answer = watch.classify(&rgb, self.too_soon()).await;
        if answer.bytes_sent > 0 && answer.audit.is_none() {
            self.escalated = Some(Instant::now());
        }
        self.answered(frame, answer)
    }

    /// Why a hard picture may not go to the cloud yet.
    fn too_soon(&self) -> Option<CloudError> {
        let (least, last) = (self.source.escalate_every?, self.escalated?);
        (last.elapsed() < least).then(|| {
            let seconds = least.as_secs_f64();
            let why = format!("this source asked less than {seconds} s ago (--escalate-every)");
            CloudError::Held { word: "too_soon", why }
        })
    }

    fn answered(&mut self, frame: &Frame, answer: Answer) -> Result<(), Fault> {
        let (watch, name) = (&self.watch, &self.source.name);
        watch.metrics.borrow_mut().answer(&answer);
        watch.count(name, |count| {
            count.answers += 1;
            count.offloaded += u64::from(answer.bytes_sent > 0 && answer.audit.is_none());
            count.audited += u64::from(answer.audit.is_some());
        });
        if let Some(hard) = &mut *watch.hard.borrow_mut() {
            hard.keep(&frame.picture, &frame.file, &answer, self.source.crop);
        }
        if self.compared.is_none_or(|last| last.elapsed() >= watch.drift_every) {
            self.compared = Some(Instant::now());
            watch.compare(&answer)?;
        }
        let change = self.states.answer(answer.index);
        let outcome = Ok(answer);
        if watch.answers {
            say(&json(&Line::of(frame.picture.clone(), &outcome)))?;
        }
        let (Some(change), Ok(answer)) = (change, &outcome) else { return Ok(()) };
        report::state(watch, name, change, answer)
    }
}
