//! Progress of a long task: announces each stage with its number and the estimated time left.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Instant;

use anyhow::Result;

use crate::{step, target};

/// A stage's name, and the seconds from its start to the end of the task on a fresh two-core machine.
pub type Stage = (&'static str, f64);

/// The stages of a running task. Several threads may share them.
pub struct Stages {
    planned: Vec<Stage>,
    /// For each stage, the seconds from its start to the end in the last run.
    last: BTreeMap<String, f64>,
    began: Instant,
    /// The start time of each stage, in order.
    starts: Mutex<Vec<(&'static str, f64)>>,
}

impl Stages {
    /// Stages of which none has started yet, with the times of the last run if there was one.
    pub fn new(stages: &[Stage]) -> Self {
        let last = fs::read(file()).ok().and_then(|json| serde_json::from_slice(&json).ok());
        Self {
            planned: stages.to_vec(),
            last: last.unwrap_or_default(),
            began: Instant::now(),
            starts: Mutex::default(),
        }
    }

    /// Announces a stage and runs its work.
    pub fn run<T>(&self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let place = {
            let mut starts = self.starts.lock().expect("no thread panics while it counts");
            starts.push((name, self.began.elapsed().as_secs_f64()));
            starts.len()
        };
        let left = words(self.left(name));
        step::say(&format!("[{place} of {}] {name} ({left})", self.planned.len()));
        work()
    }

    /// Seconds from a stage's start to the end, from the last run or else the plan.
    fn left(&self, name: &str) -> f64 {
        let new = || self.planned.iter().find(|(stage, _)| *stage == name).map_or(0.0, |(_, s)| *s);
        self.last.get(name).copied().unwrap_or_else(new)
    }

    /// Stores this run's times for the next run's estimates.
    pub fn close(self) -> Result<()> {
        let total = self.began.elapsed().as_secs_f64();
        let starts = self.starts.into_inner().expect("no thread panics while it counts");
        let mut times = self.last;
        times.extend(starts.into_iter().map(|(name, start)| (name.to_owned(), total - start)));
        fs::create_dir_all(target().join("xtask"))?;
        Ok(fs::write(file(), serde_json::to_string_pretty(&times)?)?)
    }
}

fn file() -> PathBuf {
    target().join("xtask/times.json")
}

fn words(seconds: f64) -> String {
    match seconds {
        s if s < 10.0 => "a few seconds left".into(),
        s if s < 90.0 => format!("about {:.0} s left", (s / 10.0).round() * 10.0),
        s => format!("about {:.0} min left", (s / 60.0).round()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_run_says_how_much_is_left_and_else_the_stage_itself() {
        let mut stages = Stages::new(&[("one", 600.0), ("two", 30.0)]);
        stages.last = [("two".to_owned(), 12.0)].into();
        assert_eq!(stages.left("one"), 600.0);
        assert_eq!(stages.left("two"), 12.0);
    }

    #[test]
    fn time_is_rounded_to_what_can_be_known() {
        assert_eq!(words(3.2), "a few seconds left");
        assert_eq!(words(44.0), "about 40 s left");
        assert_eq!(words(95.0), "about 2 min left");
        assert_eq!(words(601.0), "about 10 min left");
    }
}
