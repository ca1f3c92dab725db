//! Formats the comparison as a table.

use std::fmt;

use super::{Comparison, Point, Row, SHARES};

impl Comparison {
    /// Compares each system with the plain network at other shares, along its own curve.
    fn along_the_curves(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\n{:<28}", "at other shares at the edge")?;
        SHARES.iter().try_for_each(|share| write!(f, "{:>17.0}%", share * 100.0))?;
        writeln!(f)?;
        let plain = &self.rows[0];
        for row in &self.rows[1..] {
            write!(f, "{:<28}", format!("{} {}", row.model, row.version))?;
            for share in SHARES {
                let cell = match (row.curve.at_share(share), plain.curve.at_share(share)) {
                    (Some(own), Some(beside)) => {
                        let points = (own.accuracy - beside.accuracy) * 100.0;
                        let energy = plain.more_energy(&own).unwrap_or_else(|| "-".into());
                        format!("{points:+.2} {energy:>7}")
                    }
                    _ => "-".into(),
                };
                write!(f, "{cell:>18}")?;
            }
            writeln!(f)?;
        }
        writeln!(f, "(points of accuracy at the same share; energy at the same accuracy)")
    }

    /// Accuracy of networks with a learned policy, under that policy and under the others.
    fn by_policy(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.rows.iter().filter(|row| !row.others.is_empty()) {
            writeln!(f, "\n{} {} by its own policy and by others", row.model, row.version)?;
            write!(f, "{:<28}", "accuracy at these shares")?;
            SHARES.iter().try_for_each(|share| write!(f, "{:>17.0}%", share * 100.0))?;
            writeln!(f)?;
            let own = [(row.policy, &row.curve)];
            let others = row.others.iter().map(|(policy, curve)| (*policy, curve));
            for (policy, curve) in own.into_iter().chain(others) {
                write!(f, "{:<28}", policy.name())?;
                for share in SHARES {
                    let cell = curve.at_share(share).map_or("-".into(), |p| percent(p.accuracy));
                    write!(f, "{cell:>18}")?;
                }
                writeln!(f)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { data, date, samples, hard, rows } = self;
        writeln!(
            f,
            "{samples} test pictures of {data}, {date}; µJ (of computation), bytes and ms are means per picture\n\
             edge ms: one native thread; all ms: with the cloud's layers for pictures that are sent, without the network\n"
        )?;
        writeln!(
            f,
            "{:<28}{:>16}{:>9}{:>9}{:>9}{:>8}{:>7}{:>9}{:>9}{:>10}",
            "",
            "policy",
            "accuracy",
            "on hard",
            "at edge",
            "µJ",
            "bytes",
            "edge ms",
            "all ms",
            "edge.fog"
        )?;
        for Row { model, version, policy, own, download, edge_ms, cloud_ms, .. } in rows {
            let all_ms = edge_ms + (1.0 - own.share) * cloud_ms;
            let name = format!("{model} {version}");
            let hard = if hard.is_empty() { "-".to_owned() } else { percent(own.hard) };
            writeln!(
                f,
                "{name:<28}{:>16}{:>9}{hard:>9}{:>9}{:>8.2}{:>7.0}{edge_ms:>9.2}{all_ms:>9.2}{download:>10}",
                policy.name(),
                percent(own.accuracy),
                percent(own.share),
                own.energy,
                own.bytes
            )?;
        }
        let plain = &rows[0];
        writeln!(
            f,
            "\n{:<28}{:>25}{:>18}{:>19}",
            "against the plain network", "accuracy at this share", "on hard", "µJ as accurate"
        )?;
        for row in &rows[1..] {
            let beside = plain.curve.at_share(row.own.share);
            let points = |own: f64, of: fn(&Point) -> f64| match &beside {
                Some(point) => format!("{:+.2} pts", (own - of(point)) * 100.0),
                None => "-".into(),
            };
            let hard =
                if hard.is_empty() { "-".into() } else { points(row.own.hard, |point| point.hard) };
            let energy = plain.more_energy(&row.own).unwrap_or_else(|| "never as accurate".into());
            let name = format!("{} {}", row.model, row.version);
            writeln!(
                f,
                "{name:<28}{:>25}{hard:>18}{energy:>19}",
                points(row.own.accuracy, |point| point.accuracy)
            )?;
        }
        self.along_the_curves(f)?;
        self.by_policy(f)?;
        if !hard.is_empty() {
            writeln!(f, "\nhard classes: {}", hard.join(", "))?;
        }
        Ok(())
    }
}

fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}
