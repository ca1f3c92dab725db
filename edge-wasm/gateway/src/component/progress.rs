//! A progress line, shown only on a terminal.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

/// The shortest time between two updates.
const EVERY: Duration = Duration::from_millis(200);

pub struct Progress {
    total: usize,
    done: usize,
    began: Instant,
    shown: Option<Instant>,
    on: bool,
}

impl Progress {
    /// Progress on standard error, shown if that is a terminal.
    pub fn new(total: usize) -> Self {
        let on = total > 1 && stderr().is_terminal();
        Self { total, done: 0, began: Instant::now(), shown: None, on }
    }

    /// The same for commands that print lines. If standard output is a terminal too, those lines already show the progress.
    pub fn beside_lines(total: usize) -> Self {
        let progress = Self::new(total);
        Self { on: progress.on && !stdout().is_terminal(), ..progress }
    }

    /// Counts a picture, and updates the line if it is time.
    pub fn step(&mut self) {
        self.done += 1;
        if !self.on || self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let rate = self.done as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let left = (self.total - self.done) as f64 / rate;
        let (done, total) = (self.done, self.total);
        let _ =
            write!(stderr(), "\r{done} of {total}, {rate:.0} per second, {left:.0} s left\x1b[K");
    }
}

impl Drop for Progress {
    /// Erases the line.
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
