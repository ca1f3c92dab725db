//! Formats what the watch noticed as a table.

use std::fmt;

use super::{Noticed, Report, STREAMS, Watch};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { head, severity, window, held_out, .. } = self;
        writeln!(f, "drift: {head}")?;
        writeln!(
            f,
            "severity {severity} of 5; windows of {window} pictures, limits from {held_out} held-out pictures\n"
        )?;
        write!(f, "{:<38}", "pictures until the alarm")?;
        for watch in &self.watches {
            write!(f, "{:>26}", watch.title())?;
        }
        write!(f, "\n{:<38}", "")?;
        for _ in &self.watches {
            write!(f, "{:>14}{:>12}", "median", "worst")?;
        }
        writeln!(f)?;
        let rows = self.watches.first().map_or(0, |watch| watch.corruptions.len());
        for row in 0..rows {
            let title = self.watches[0].corruptions[row].corruption.title(*severity);
            write!(f, "{title:<38}")?;
            for watch in &self.watches {
                write!(f, "{}", watch.corruptions[row])?;
            }
            writeln!(f)?;
        }
        let clean = self.watches.first().map_or(0, |watch| watch.clean);
        writeln!(f)?;
        let mut line = |name: &str, cell: &dyn Fn(&Watch) -> String| {
            write!(f, "{name:<38}")?;
            self.watches.iter().try_for_each(|watch| write!(f, "{:>26}", cell(watch)))?;
            writeln!(f)
        };
        let expected = format!("{:.1}", self.expected * clean as f64);
        line(&format!("alarms in {clean} clean pictures"), &|watch| {
            watch.false_alarms.to_string()
        })?;
        line("  as the manifest expects", &|_| expected.clone())?;
        line("  clean pictures under alarm", &|watch| watch.under_alarm.to_string())
    }
}

impl Watch {
    fn title(&self) -> &'static str {
        if self.classes { "exits and classes" } else { "exits alone" }
    }
}

impl fmt::Display for Noticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The few streams that are left would be those with odd pictures.
        let (Some(median), Some(worst), true) =
            (self.median, self.worst, self.streams > STREAMS / 2)
        else {
            return write!(f, "{:>26}", "already under alarm");
        };
        let worst = match self.missed {
            0 => worst.to_string(),
            missed => format!("{missed} missed"),
        };
        write!(f, "{median:>14}{worst:>12}")
    }
}
