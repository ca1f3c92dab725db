//! How far many pictures have come: a line on a terminal, nothing anywhere else.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_millis(200);

pub struct Progress {
    total: usize,
    done: usize,
    began: Instant,
    shown: Option<Instant>,
    on: bool,
}

impl Progress {
    /// Shown on standard error, where that is a terminal.
    pub fn new(total: usize) -> Self {
        let on = total > 1 && stderr().is_terminal();
        Self { total, done: 0, began: Instant::now(), shown: None, on }
    }

    /// The same, beside lines on standard output: where that is a terminal too, they are progress enough.
    pub fn beside_lines(total: usize) -> Self {
        let progress = Self::new(total);
        Self { on: progress.on && !stdout().is_terminal(), ..progress }
    }

    pub fn step(&mut self) {
        self.done += 1;
        if !self.on || self.shown.is_some_and(|shown| shown.elapsed() < EVERY) {
            return;
        }
        self.shown = Some(Instant::now());
        let rate = self.done as f64 / self.began.elapsed().as_secs_f64().max(1e-3);
        let left = (self.total - self.done) as f64 / rate;
        let (done, total) = (self.done, self.total);
        let _ = write!(stderr(), "\r{done} of {total}, {rate:.0} a second, {left:.0} s left\x1b[K");
    }
}

impl Drop for Progress {
    /// Wipes the line.
    fn drop(&mut self) {
        if self.shown.is_some() {
            let _ = write!(stderr(), "\r\x1b[K");
        }
    }
}
