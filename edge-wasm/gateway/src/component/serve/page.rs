//! The gateway's page for people: pair and metrics, in one self-contained document.

use core::fmt;

use fogline_edge::device::metrics::{Metrics, Words};

use super::gateway::Gateway;

/// The page of an instance, with the metrics if they are kept.
pub struct Page<'a> {
    pub gateway: &'a Gateway,
    pub counts: Option<Metrics>,
    /// The nonce that allows the page's style under its content security policy.
    pub nonce: &'a str,
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let session = self.gateway.session();
        let manifest = session.manifest();
        let thresholds: Vec<_> = session.thresholds().iter().map(f32::to_string).collect();
        let mut tables = table(
            "This instance",
            [
                ("pair".into(), format!("{} {}", manifest.name, manifest.version)),
                ("digest".into(), hex::encode(manifest.pair_digest())),
                (
                    "policy".into(),
                    format!("{} with thresholds {}", session.policy(), thresholds.join(", ")),
                ),
                ("cloud".into(), self.gateway.cloud().replace('_', " ")),
                ("engine".into(), format!("{}, {}", env!("CARGO_PKG_VERSION"), session.backend())),
            ],
        );
        if let Some(counts) = &self.counts {
            let rows = |words: &Words| -> Vec<_> {
                words.iter().map(|(word, number)| (word.to_owned(), number.to_string())).collect()
            };
            tables += &table("Answered by", rows(&counts.samples));
            tables += &table("Degraded, by reason", rows(&counts.degraded));
            tables += &table("Refused by", rows(&counts.refused));
            tables +=
                &table("Sent to the cloud", [("bytes".into(), counts.bytes_sent.to_string())]);
        }
        write!(f, include_str!("page.html"), nonce = self.nonce, tables = tables)
    }
}

/// An HTML table of names and texts, which are escaped.
fn table(caption: &str, rows: impl IntoIterator<Item = (String, String)>) -> String {
    let rows = rows.into_iter().map(|(name, text)| {
        format!("<tr><th scope=\"row\">{}</th><td>{}</td></tr>\n", shown(&name), shown(&text))
    });
    format!("<table>\n<caption>{caption}</caption>\n{}</table>\n", rows.collect::<String>())
}

fn shown(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
