//! Formats a report as the table in terminal and docs.

use std::fmt;

use fogline::energy::Constants;
use fogline::manifest::{Part, Role};
use fogline::policy::Policy;

use super::{Bytes, Compared, Elsewhere, Energy, Paper, Report};

/// How many times less energy the system's computation needs than the twin's.
const REDUCTION: &str = "reduction of computational energy";

impl Report {
    fn exits(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<10}{:>10}{:>12}{:>20}", "", "accuracy", "answers", "accuracy on these")?;
        for (index, &accuracy) in self.accuracy.exits.iter().enumerate() {
            let name = self.accuracy.names.get(index).cloned();
            let name = name.unwrap_or_else(|| format!("exit-{}", index + 1));
            let share = percent(self.share.exits[index]);
            let right = self.accuracy.of_those_that_end[index].map_or("-".into(), percent);
            writeln!(f, "{name:<10}{:>10}{share:>12}{right:>20}", percent(accuracy))?;
        }
        let cloud = percent(self.share.cloud);
        writeln!(f, "{:<10}{:>10}{cloud:>12}", "cloud", percent(self.accuracy.r#final))?;
        writeln!(f, "{:<10}{:>10}", "system", percent(self.accuracy.system))?;
        if let Some(twin) = self.accuracy.twin.map(percent) {
            let what = "the same network in full precision, without exits";
            writeln!(f, "{:<10}{twin:>10}   {what}", "twin")?;
        }
        writeln!(f)
    }

    fn against_the_paper(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paper = self.paper.as_ref();
        let theirs = |value: &dyn Fn(&Paper) -> String| paper.map_or("-".into(), value);
        let network = theirs(&|p| format!("paper ({})", p.network));
        writeln!(f, "{:<46}{:>10}   {network}", "", "here")?;
        let share = percent(1.0 - self.share.cloud);
        let (what, paper) =
            ("answered at the edge", theirs(&|p| format!("{:.0}%", p.edge_share * 100.0)));
        writeln!(f, "{what:<46}{share:>10}   {paper}")?;
        let less = format!("{:.2}×", self.energy.computation.reduction);
        let (what, paper) = (REDUCTION, theirs(&|p| format!("{}×", p.reduction)));
        writeln!(f, "{what:<46}{less:>10}   {paper}")?;
        if let Some(twin) = self.accuracy.twin {
            let points = format!("{:+.2} pts", (self.accuracy.system - twin) * 100.0);
            let what = "accuracy compared with the twin";
            writeln!(f, "{what:<46}{points:>10}   {}", theirs(&|_| "\"minimal\"".into()))?;
        }
        if let (Policy::Appeal, Some(improvement)) = (self.head.policy, self.accuracy.improvement) {
            let what = "relative improvement (AppealNet)";
            writeln!(f, "{what:<46}{:>10}", percent(improvement))?;
        }
        writeln!(f)
    }

    fn energy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Energy { constants, computation, memory, radio } = &self.energy;
        writeln!(f, "{:<30}{:>12}{:>12}{:>12}", "µJ per picture", "system", "twin", "reduction")?;
        for (name, term) in [("computation", Some(computation)), ("memory", memory.as_ref())] {
            let Some(term) = term else { continue };
            let Compared { system, twin, reduction } = term;
            writeln!(f, "{name:<30}{system:>12.2}{twin:>12.2}{reduction:>11.2}×")?;
        }
        let times = |all: f64| format!("{:.2}×", all / radio.system);
        let less = match radio.jpeg {
            _ if radio.system == 0.0 => "nothing is sent".to_owned(),
            Some(jpeg) => format!(
                "{} less than with every picture sent as JPEG, {} less than raw",
                times(jpeg),
                times(radio.raw)
            ),
            None => format!("{} less than with every picture sent raw", times(radio.raw)),
        };
        writeln!(f, "{:<30}{:>12.0}   {less}", "radio", radio.system)?;
        let Constants { multiply, add, full_mac, access, radio } = constants;
        writeln!(
            f,
            "constants, pJ: MAC of k bits {multiply} k/32 + {add}, of 32 bits {full_mac}; memory {access} per bit; radio {radio} per bit\n"
        )
    }

    fn bytes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Bytes { map, frame, mean, jpeg, raw, fp32_map } = &self.bytes;
        writeln!(
            f,
            "bytes    per offloaded picture {frame:.0} (map {map}), per picture on average {mean:.0}"
        )?;
        let jpeg = jpeg.map_or(String::new(), |bytes| format!("JPEG {bytes:.0}, "));
        writeln!(f, "         instead of: {jpeg}raw RGB {raw}, the map in fp32 {fp32_map}\n")
    }
}

impl Report {
    fn elsewhere(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.elsewhere.is_empty() {
            return Ok(());
        }
        let row = |f: &mut fmt::Formatter<'_>, name, cell: &dyn Fn(&Elsewhere) -> String| {
            write!(f, "{name:<46}")?;
            self.elsewhere.iter().try_for_each(|point| write!(f, "{:>12}", cell(point)))?;
            writeln!(f)
        };
        row(f, "with other thresholds, answered at the edge", &|point| {
            format!("{:.0}%", point.share * 100.0)
        })?;
        row(f, "accuracy", &|point| percent(point.accuracy))?;
        row(f, REDUCTION, &|point| format!("{:.2}×", point.reduction))?;
        writeln!(f)
    }
}

impl Report {
    /// Markdown header of the table whose rows come from [`Report::row`].
    pub const HEADER: &str = "\
| pair, test data | answered at the edge (paper) | accuracy | full-precision twin (same network, no exits) | reduction of computational energy (paper) | bytes per picture (JPEG) |
|---|---|---|---|---|---|
";

    /// The report as one Markdown table row.
    pub fn row(&self) -> String {
        let paper = |value: &dyn Fn(&Paper) -> String| {
            self.paper.as_ref().map_or(String::new(), |paper| format!(" ({})", value(paper)))
        };
        let jpeg = self.bytes.jpeg.map_or(String::new(), |jpeg| format!(" ({jpeg:.0})"));
        format!(
            "| `{} {}`, {} | {}{} | {} | {} | {:.1}×{} | {:.0}{jpeg} |\n",
            self.head.model,
            self.head.version,
            self.head.data,
            percent(1.0 - self.share.cloud),
            paper(&|paper| format!("{:.0}%", paper.edge_share * 100.0)),
            percent(self.accuracy.system),
            self.accuracy.twin.map_or("-".into(), percent),
            self.energy.computation.reduction,
            paper(&|paper| format!("{}×", paper.reduction)),
            self.bytes.mean,
        )
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.head)?;
        self.exits(f)?;
        self.against_the_paper(f)?;
        self.elsewhere(f)?;
        self.energy(f)?;
        self.bytes(f)?;
        // A trunk without layers of its own has no MACs.
        for part in self.parts.iter().filter(|part| !part.macs.is_empty()) {
            writeln!(f, "{}", mac_line(part))?;
        }
        Ok(())
    }
}

pub fn percent(fraction: f64) -> String {
    format!("{:.2}%", fraction * 100.0)
}

fn mac_line(part: &Part) -> String {
    let macs: Vec<String> = part
        .macs
        .iter()
        .map(|(bits, n)| {
            let s = if *bits == 1 { "" } else { "s" };
            format!("{:.2} M at {bits} bit{s}", *n as f64 / 1e6)
        })
        .collect();
    let role = match part.role {
        Role::Trunk => "edge",
        Role::Head => "exit",
        Role::Cloud => "cloud",
    };
    let way = part.way.map_or(String::new(), |way| format!(", way {way}"));
    format!("MACs     {:<8} {role:<6} {}{way}", part.name, macs.join(", "))
}
