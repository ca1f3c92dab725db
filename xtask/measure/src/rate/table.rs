//! Formats accuracy and bytes as tables, and says where the system sends less.

use std::fmt;

use super::{Point, QUALITIES, Rate, Rival};
use crate::report::percent;
use crate::subject::TWIN_ONNX;

impl Rival {
    fn name(&self) -> String {
        format!("{} as {}", self.which(), self.format.name())
    }

    /// Which pictures are sent.
    fn which(&self) -> &str {
        if self.after_exits { "hard pictures" } else { "every picture" }
    }

    /// Its greatest accuracy, with the fewest bytes that give it.
    fn best(&self) -> Option<&Point> {
        let best = self.points.iter().map(|point| point.accuracy).max_by(f64::total_cmp)?;
        self.reaching(best)
    }
}

impl Point {
    /// The bytes and what gives them.
    fn cost(&self) -> String {
        let quality = self.quality.map_or(String::new(), |quality| format!(" (quality {quality})"));
        format!("{:.0} bytes{quality}", self.bytes)
    }
}

impl Rate {
    /// What was measured, and the verdict.
    pub fn summary(&self) -> String {
        self.head() + "\n" + &self.verdict()
    }

    fn head(&self) -> String {
        format!("accuracy against bytes: {}; bytes are means per picture\n", self.head)
    }

    fn system(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<22}{:>10}{:>12}{:>9}", "the system", "at edge", "accuracy", "bytes")?;
        let rows = self.curve.iter().map(|point| ("", point));
        for (name, point) in rows.chain([("its own thresholds", &self.own)]) {
            let (share, accuracy) = (percent(point.share), percent(point.accuracy));
            writeln!(f, "{name:<22}{share:>10}{accuracy:>12}{:>9.0}", point.bytes)?;
        }
        writeln!(f)
    }

    fn files(&self, f: &mut fmt::Formatter<'_>, twin: f64) -> fmt::Result {
        writeln!(
            f,
            "pictures as files to the twin, which is right for {} of them as the edge sees them; accuracy, bytes\n\
             hard are the {} that no exit is sure of, the exits answer the others\n",
            percent(twin),
            percent(1.0 - self.own.share)
        )?;
        let line = |f: &mut fmt::Formatter<'_>, name: &str, cell: &dyn Fn(&Rival) -> String| {
            write!(f, "{name:<10}")?;
            self.rivals.iter().try_for_each(|rival| write!(f, "{:>18}", cell(rival)))?;
            writeln!(f)
        };
        line(f, "", &|rival| rival.which().into())?;
        line(f, "quality", &|rival| format!("as {}", rival.format.name()))?;
        for quality in QUALITIES.into_iter().map(Some).chain([None]) {
            let at =
                |rival: &Rival| rival.points.iter().find(|point| point.quality == quality).copied();
            if self.rivals.iter().all(|rival| at(rival).is_none()) {
                continue;
            }
            let name = quality.map_or("as it is".to_owned(), |quality| quality.to_string());
            line(f, &name, &|rival| {
                at(rival).map_or(String::new(), |point| {
                    format!("{} {:>7.0}", percent(point.accuracy), point.bytes)
                })
            })?;
        }
        writeln!(f)
    }

    /// Where the system sends less than its rivals, and where more.
    fn verdict(&self) -> String {
        let own = &self.own;
        let mut text = format!(
            "at {} accuracy, with its own thresholds, the system sends {:.0} bytes\n",
            percent(own.accuracy),
            own.bytes
        );
        let mut verdicts = vec![];
        for rival in &self.rivals {
            let what = match (rival.reaching(own.accuracy), rival.best()) {
                (Some(point), _) => {
                    format!("{}: {}", point.cost(), compared(own.bytes, point.bytes))
                }
                (None, Some(best)) => {
                    let best = format!("{} with {}", percent(best.accuracy), best.cost());
                    format!("never as accurate: {best} at most")
                }
                (None, None) => continue,
            };
            verdicts.push((rival.name(), what));
        }
        text += &rows(&verdicts);
        let every = self.rivals.iter().filter(|rival| !rival.after_exits);
        let along: Vec<_> = every.map(|rival| (rival.name(), self.along(rival))).collect();
        if !along.is_empty() {
            text += "with other thresholds, as accurate as each of these, the system sends\n";
            text += &rows(&along);
        }
        text
    }

    /// The accuracies at which the system sends less than a rival, and at which more; and what the rival alone reaches.
    fn along(&self, rival: &Rival) -> String {
        let mut reached: Vec<f64> = self.curve.iter().map(|point| point.accuracy).collect();
        reached.push(self.own.accuracy);
        reached.sort_by(f64::total_cmp);
        reached.dedup();
        // Runs of accuracies with the same verdict.
        let mut runs: Vec<(&str, f64, f64)> = vec![];
        for &accuracy in &reached {
            let system = self.fewest(accuracy).unwrap_or(f64::INFINITY);
            let verdict = match rival.reaching(accuracy).map(|point| point.bytes) {
                Some(bytes) if bytes < system => "more",
                Some(bytes) if bytes == system => "as much",
                _ => "less",
            };
            match runs.last_mut() {
                Some((last, _, to)) if *last == verdict => *to = accuracy,
                _ => runs.push((verdict, accuracy, accuracy)),
            }
        }
        let runs = runs.into_iter().map(|(verdict, from, to)| {
            let (from, to) = (percent(from), percent(to));
            if from == to {
                format!("{verdict} at {from}")
            } else {
                format!("{verdict} at {from} to {to}")
            }
        });
        let text = runs.collect::<Vec<_>>().join(", ");
        let most = reached.last().copied().unwrap_or_default();
        match rival.best().filter(|best| best.accuracy > most) {
            Some(best) => {
                let alone = percent(best.accuracy);
                format!("{text}; the system never reaches its {alone}, {}", best.cost())
            }
            None => text,
        }
    }
}

/// Indented lines of a name and what is said of it.
fn rows(rows: &[(String, String)]) -> String {
    let lines = rows.iter().map(|(name, what)| format!("  {name:<26}{what}\n"));
    lines.collect::<Vec<_>>().concat()
}

/// How the system's bytes compare with a rival's.
fn compared(own: f64, rival: f64) -> String {
    let times = |more: f64, less: f64| format!("{:.2}×", more / less);
    match (own, rival) {
        _ if own == rival => "as much".to_owned(),
        (0.0, _) => "the system wins, it sends nothing".to_owned(),
        _ if own < rival => format!("the system wins, it sends {} less", times(rival, own)),
        _ => format!("the system loses, it sends {} as much", times(own, rival)),
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head())?;
        self.system(f)?;
        match self.twin {
            Some(twin) => self.files(f, twin)?,
            None => writeln!(
                f,
                "only the system's curve: without {TWIN_ONNX} in the pair's folder, nothing classifies a JPEG or WebP in full \
                 precision; the recipe writes it with export --twin\n"
            )?,
        }
        write!(f, "{}", self.verdict())
    }
}
